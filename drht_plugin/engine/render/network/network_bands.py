"""Render network detail band by band, where a band is one or more rows of tiles."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from drht_plugin.bridge.sizes import DETAIL_STRIDE, HALO
from drht_plugin.engine.bands import Demand, Finish, Watch, plan_bands
from drht_plugin.engine.pixels import ImageSpec
from drht_plugin.engine.render.guided_bands import guided_demand
from drht_plugin.engine.render.network.windows import RAMP, TILE, NetworkRenderer, require_tile
from drht_plugin.engine.scene import Scene
from drht_plugin.engine.strength import Strength
from drht_plugin.engine.tiles import tiling
from drht_plugin.errors import InputError
from drht_plugin.geometry import Region

_TILES = (2048, TILE, 768, 512, 384, 256)
"""Sides of the tiles that `fitting_tile` chooses from, in pixels."""

_MEMORY = 768 << 20
"""Default memory for the pixels that are in flight in network detail, in bytes."""


class NetworkBands:
    """Renderer of bands of the corrected image in network detail; a `bands.BandRenderer`.

    An instance serves one pass over the image, in one thread.

    Args:
        scene: the image's scene.
        strength: how much of the correction is applied.
        row_shape: shape of one row of the image, W or W×C.
        renderer: renders the windows of a band.
    """

    def __init__(
        self,
        scene: Scene,
        strength: Strength,
        row_shape: tuple[int, ...],
        renderer: NetworkRenderer,
    ) -> None:
        self._scene, self._strength, self.row_shape = scene, strength, row_shape
        # Only in an image that is stored upright do the windows follow the order of the tiles.
        self._renderer = renderer.in_order() if scene.orientation == 1 else renderer
        self._cut = renderer.tiling(scene.spec, wrap=scene.wrap)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Dtype of the result, the image's own."""
        return self._scene.spec.dtype

    ahead = 0

    def begin(
        self, pixels: npt.NDArray[Any], top: int, band: slice, watch: Watch | None = None
    ) -> Finish:
        """Render the rows `band` of the corrected image; see `BandRenderer`."""
        return partial(self._render, pixels, top, band, watch)

    def _render(
        self, pixels: npt.NDArray[Any], top: int, band: slice, watch: Watch | None, out: Any
    ) -> None:
        scene, width = self._scene, self._scene.spec.width
        left = 0
        if scene.wrap:
            # One full turn from the scene's origin, and the halo on both sides.
            left = scene.origin - self._renderer.halo
            turn = np.arange(left, scene.origin + width + self._renderer.halo)
            pixels = pixels[:, turn % width]
        given = Region(top, left, pixels.shape[0], pixels.shape[1])
        count = self._cut.columns.count
        for first, last in self._rows(band):
            for across in range(count):
                begin, end = self._cut.columns.core(across)
                window = Region(first, begin + scene.origin, last - first, end - begin)
                corrected = self._renderer.render(
                    scene, pixels, window, given=given, strength=self._strength
                )
                columns = np.arange(window.left, window.right) % width
                target = out[first - band.start : last - band.start]
                if columns[0] <= columns[-1]:
                    target[:, columns[0] : columns[-1] + 1] = corrected
                else:
                    target[:, columns] = corrected
                if watch is not None:
                    rows = first - band.start + (last - first) * (across + 1) / count
                    watch(rows / (band.stop - band.start))

    def _rows(self, band: slice) -> Iterator[tuple[int, int]]:
        """Split a band where tiles begin."""
        for down in range(self._cut.rows.count):
            top, bottom = self._cut.rows.core(down)
            first, last = max(top, band.start), min(bottom, band.stop)
            if first < last:
                yield first, last


def network_demand(spec: ImageSpec, tile: int, orientation: int = 1) -> Demand:
    """Return what `NetworkBands` needs with tiles of this side; its bands are rows of tiles.

    Args:
        spec: the stored image's spec.
        tile: side of a tile in pixels, halo included.
        orientation: how the image is stored, 1 to 8 as in EXIF.

    Raises:
        InputError: an impossible tile.
    """
    row = guided_demand(spec).row_in
    halo = NetworkRenderer.halo if orientation != 1 else NetworkRenderer.halo_in_order
    return Demand(halo, tile_step(tile), row, row, 0)


def fitting_tile(spec: ImageSpec, memory: int | str | None, largest: int = TILE) -> int:
    """Return the largest of the usual tiles whose rows fit the memory.

    Args:
        spec: the stored image's spec.
        memory: bytes, or a text such as "512M" or "2G"; None takes the default.
        largest: side of the largest tile that the device takes well, in pixels.

    Returns:
        Side of a tile in pixels, at most `largest`.

    Raises:
        InputError: a memory that is no such number, or too small for the image's rows.
    """
    budget = _MEMORY if memory is None else memory
    for tile in [tile for tile in _TILES[:-1] if tile <= largest]:
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
    """Return the distance from one tile to the next, in pixels.

    Args:
        tile: side of a tile in pixels, halo included.

    Raises:
        InputError: an impossible tile.
    """
    side = require_tile(tile)
    return tiling(1, 1, side, halo=HALO, ramp=RAMP, stride=DETAIL_STRIDE, wrap=False).rows.step
