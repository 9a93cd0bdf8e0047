"""Network detail by bands: rows of tiles, and how large these may be."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from drht_plugin.bridge.layout import HALO, STRIDE
from drht_plugin.engine.bands import Demand, guided_demand, plan_bands
from drht_plugin.engine.detail import RAMP, TILE, NetworkRenderer
from drht_plugin.engine.pixels import Kind
from drht_plugin.engine.render import Strength
from drht_plugin.engine.scene import Scene
from drht_plugin.engine.tiles import Region, tiling
from drht_plugin.errors import InputError

_TILES = (TILE, 768, 512, 384, 256)
_MEMORY = 768 << 20
"""Bytes of pixels that are on their way at once, unless told otherwise."""


class NetworkBands:
    """Bands of the corrected image, in network detail; see `bands.BandRenderer`.

    For one pass over the image, by one thread.
    """

    def __init__(
        self,
        scene: Scene,
        strength: Strength,
        row_shape: tuple[int, ...],
        renderer: NetworkRenderer,
    ) -> None:
        self._scene, self._strength, self.row_shape = scene, strength, row_shape
        # Windows of an image that is not stored upright do not come in the tiles' order.
        self._renderer = renderer.in_order() if scene.orientation == 1 else renderer
        self._cut = renderer.tiling(scene.kind, wrap=scene.wrap)

    @property
    def demand(self) -> Demand:
        """See `BandRenderer`: bands are rows of tiles."""
        row = guided_demand(self._scene.kind).row_in
        return Demand(self._renderer.halo, self._cut.rows.step, row, row, 0)

    @property
    def dtype(self) -> np.dtype[Any]:
        """See `BandRenderer`."""
        return self._scene.kind.dtype

    def __call__(self, pixels: npt.NDArray[Any], top: int, band: slice, out: Any) -> None:
        """See `BandRenderer`."""
        scene, width = self._scene, self._scene.kind.width
        left = 0
        if scene.wrap:
            # The turn from the scene's origin on, and as much beyond as the windows need.
            left = scene.origin - self._renderer.halo
            turn = np.arange(left, scene.origin + width + self._renderer.halo)
            pixels = pixels[:, turn % width]
        given = Region(top, left, pixels.shape[0], pixels.shape[1])
        for first, last in self._rows(band):
            for across in range(self._cut.columns.count):
                begin, end = self._cut.columns.shown_first(across)
                window = Region(first, begin + scene.origin, last - first, end - begin)
                made = self._renderer.render(scene, pixels, given, window, self._strength)
                columns = np.arange(window.left, window.right) % width
                target = out[first - band.start : last - band.start]
                if columns[0] <= columns[-1]:
                    target[:, columns[0] : columns[-1] + 1] = made
                else:
                    target[:, columns] = made

    def _rows(self, band: slice) -> Iterator[tuple[int, int]]:
        """A band, cut where tiles begin."""
        for down in range(self._cut.rows.count):
            top, bottom = self._cut.rows.shown_first(down)
            first, last = max(top, band.start), min(bottom, band.stop)
            if first < last:
                yield first, last


def fitting_tile(kind: Kind, memory: int | str | None) -> int:
    """The largest usual tile whose rows fit the memory, at most `TILE`.

    Raises:
        InputError: no such memory, or one that is too small for the image's rows.
    """
    for tile in _TILES:
        rows = NetworkRenderer.tiling_of(kind, tile, wrap=False).rows.step
        row = guided_demand(kind).row_in
        demand = Demand(HALO + STRIDE + RAMP, rows, row, row, 0)
        try:
            plan_bands(kind, demand, memory=_MEMORY if memory is None else memory, tile=rows)
        except InputError:
            if tile == _TILES[-1]:
                raise
            continue
        break
    return tile


def step_of(tile: int) -> int:
    """Pixels from one tile of this side to the next.

    Raises:
        InputError: an impossible tile.
    """
    return tiling(1, 1, tile, halo=HALO, ramp=RAMP, stride=STRIDE, wrap=False).rows.step
