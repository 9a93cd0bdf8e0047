"""Network detail by bands: rows of tiles, and how large these may be."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from drht_plugin.bridge.sizes import DETAIL_STRIDE, HALO
from drht_plugin.engine.bands import Demand, plan_bands
from drht_plugin.engine.pixels import ImageSpec
from drht_plugin.engine.render.bands import guided_demand
from drht_plugin.engine.render.network.windows import RAMP, TILE, NetworkRenderer, require_tile
from drht_plugin.engine.scene import Scene
from drht_plugin.engine.strength import Strength
from drht_plugin.engine.tiles import tiling
from drht_plugin.errors import InputError
from drht_plugin.geometry import Region

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
        self._cut = renderer.tiling(scene.spec, wrap=scene.wrap)

    @property
    def dtype(self) -> np.dtype[Any]:
        """See `BandRenderer`."""
        return self._scene.spec.dtype

    def __call__(self, pixels: npt.NDArray[Any], top: int, band: slice, out: Any) -> None:
        """See `BandRenderer`."""
        scene, width = self._scene, self._scene.spec.width
        left = 0
        if scene.wrap:
            # The turn from the scene's origin on, and as much beyond as the windows need.
            left = scene.origin - self._renderer.halo
            turn = np.arange(left, scene.origin + width + self._renderer.halo)
            pixels = pixels[:, turn % width]
        given = Region(top, left, pixels.shape[0], pixels.shape[1])
        for first, last in self._rows(band):
            for across in range(self._cut.columns.count):
                begin, end = self._cut.columns.core(across)
                window = Region(first, begin + scene.origin, last - first, end - begin)
                made = self._renderer.render(
                    scene, pixels, window, given=given, strength=self._strength
                )
                columns = np.arange(window.left, window.right) % width
                target = out[first - band.start : last - band.start]
                if columns[0] <= columns[-1]:
                    target[:, columns[0] : columns[-1] + 1] = made
                else:
                    target[:, columns] = made

    def _rows(self, band: slice) -> Iterator[tuple[int, int]]:
        """A band, cut where tiles begin."""
        for down in range(self._cut.rows.count):
            top, bottom = self._cut.rows.core(down)
            first, last = max(top, band.start), min(bottom, band.stop)
            if first < last:
                yield first, last


def network_demand(spec: ImageSpec, tile: int, orientation: int = 1) -> Demand:
    """Return what `NetworkBands` asks for with tiles of this side: bands are rows of tiles.

    Raises:
        InputError: an impossible tile.
    """
    row = guided_demand(spec).row_in
    halo = NetworkRenderer.halo if orientation != 1 else NetworkRenderer.halo_in_order
    return Demand(halo, tile_step(tile), row, row, 0)


def fitting_tile(spec: ImageSpec, memory: int | str | None) -> int:
    """Return the largest usual tile whose rows fit the memory, at most `TILE`.

    Raises:
        InputError: no such memory, or one that is too small for the image's rows.
    """
    budget = _MEMORY if memory is None else memory
    for tile in _TILES[:-1]:
        demand = network_demand(spec, tile)
        try:
            plan_bands(spec, demand, memory=budget, tile=demand.stride)
        except InputError:
            continue
        return tile
    demand = network_demand(spec, _TILES[-1])
    plan_bands(spec, demand, memory=budget, tile=demand.stride)
    return _TILES[-1]


def tile_step(tile: int) -> int:
    """Return the pixels from one tile of this side to the next.

    Raises:
        InputError: an impossible tile.
    """
    require_tile(tile)
    return tiling(1, 1, tile, halo=HALO, ramp=RAMP, stride=DETAIL_STRIDE, wrap=False).rows.step
