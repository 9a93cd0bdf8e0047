"""Render windows in network detail: blend overlapping tiles, each conditioned on the scene."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from drht_plugin.arguments import whole_number
from drht_plugin.bridge.sizes import CELL, DETAIL_STRIDE, HALO
from drht_plugin.engine.pixels import ImageSpec, as_channels, require_finite
from drht_plugin.engine.render.guided import (
    guided_tone,
    mix_with_input,
    not_corrected,
    to_display,
)
from drht_plugin.engine.render.network.tile import (
    NONE_HIDDEN,
    Mask,
    Network,
    Residual,
    Tile,
    TileNetwork,
)
from drht_plugin.engine.scene import Scene
from drht_plugin.engine.strength import FULL, Strength
from drht_plugin.engine.tiles import Piece, Tiling, tiling
from drht_plugin.errors import InputError
from drht_plugin.geometry import Region, Window
from drht_plugin.orientation import to_stored, to_upright, upright_corner, upright_size

FloatArray = npt.NDArray[np.float32]

TILE = 1024
"""Default side of the tiles that the network sees, in pixels, halo included."""

RAMP = 16
"""Pixels over which neighbouring tiles are blended."""


class _Patch(NamedTuple):
    """Guided T and residual of a tile or a part of one.

    Results of a whole tile within the halo of its border are invalid.

    Attributes:
        guided: R×C×3 float32, guided T.
        residual: (R/2)×(C/2)×12 float32, the network's, 2×2 pixels to a place.
        top: row of the first pixel on the tiling's axis.
        left: column of the first pixel on the tiling's axis.
    """

    guided: FloatArray
    residual: FloatArray
    top: int
    left: int

    def holds(self, down: Piece, across: Piece) -> bool:
        """Return whether a part of a tile contains these pieces."""
        rows, columns = self.guided.shape[:2]
        return (
            self.top <= down.start
            and down.stop <= self.top + rows
            and self.left <= across.start
            and across.stop <= self.left + columns
        )

    def part(self, top: int, left: int) -> _Patch:
        """Return a copy of a tile's valid pixels below `top` and right of `left`, both even."""
        down, across = top - self.top, left - self.left
        places = slice(down // CELL, -HALO // CELL), slice(across // CELL, -HALO // CELL)
        guided = self.guided[down:-HALO, across:-HALO]
        return _Patch(guided.copy(), self.residual[places].copy(), top, left)


class _PendingPatch(NamedTuple):
    """Patch that the network is working on; the attributes are those of `_Patch`."""

    guided: FloatArray
    residual: Residual
    top: int
    left: int

    def patch(self) -> _Patch:
        """Wait for the network, and return the patch."""
        return _Patch(self.guided, self.residual(), self.top, self.left)


class _TileSource(NamedTuple):
    """Input pixels that tiles are made from.

    Attributes:
        scene: scene of the image.
        source: R×C×K input pixels of the image's dtype.
        given: region of the image that they are.
        cut: how the image is cut into tiles, as it is upright.
        denoise: see `Strength`.
    """

    scene: Scene
    source: npt.NDArray[Any]
    given: Region
    cut: Tiling
    denoise: float

    def holds(self, down: Piece, across: Piece) -> bool:
        """Return whether it contains all pixels that the network needs for these pieces."""
        scene, spec = self.scene, self.scene.spec
        first = across.start + across.shift + scene.origin
        tile = Region(down.start, first, down.stop - down.start, across.stop - across.start)
        needed = tile.dilated(NetworkRenderer.halo, spec.height, spec.width, wrap=scene.wrap)
        return self.given.holds(needed)


class TilePixels(NamedTuple):
    """What the network sees for a part of a tile: whole strides and the halo.

    Attributes:
        rows, columns: coordinates of the pixels in the scene; mirrored at the image's borders, or
            periodic.
        top, left: where they begin, before that.
    """

    rows: npt.NDArray[np.int64]
    columns: npt.NDArray[np.int64]
    top: int
    left: int


def tile_pixels(cut: Tiling, down: tuple[int, int], across: tuple[int, int]) -> TilePixels:
    """Return what the network sees for rows and columns of a tile, each as first and stop."""
    top, bottom = _padded_span(*down)
    left, right = _padded_span(*across)
    rows = cut.rows.to_pixels(np.arange(top, bottom))
    return TilePixels(rows, cut.columns.to_pixels(np.arange(left, right)), top, left)


class NetworkRenderer:
    """Renderer of windows in network detail; safe to call from several threads.

    Args:
        network: the detail network.
        tile: side of the largest square of pixels that the network is given; None takes `TILE`.

    Attributes:
        halo: input pixels around a window that `render` needs.
        halo_in_order: the same for the renderer that `in_order` makes.
        tile: the side in use.

    Raises:
        InputError: an impossible tile.
    """

    halo = HALO + DETAIL_STRIDE
    halo_in_order = halo + RAMP

    def __init__(self, network: Network, tile: int | None = None) -> None:
        self.tile = TILE if tile is None else tile
        self._network = network
        self._tile_network = TileNetwork(network, self.tile)
        tiling(1, 1, self.tile, halo=HALO, ramp=RAMP, stride=DETAIL_STRIDE, wrap=False)

    @staticmethod
    def tiling_of(spec: ImageSpec, tile: int, *, wrap: bool) -> Tiling:
        """Cut an image into tiles.

        Args:
            spec: the image's spec.
            tile: side of a tile in pixels, halo included.
            wrap: whether columns are periodic.

        Raises:
            InputError: an impossible tile.
        """
        side = require_tile(tile)
        return tiling(
            spec.height, spec.width, side, halo=HALO, ramp=RAMP, stride=DETAIL_STRIDE, wrap=wrap
        )

    def tiling(self, spec: ImageSpec, *, wrap: bool) -> Tiling:
        """Cut an image into this renderer's tiles.

        Args:
            spec: the image's spec.
            wrap: whether columns are periodic.
        """
        return self.tiling_of(spec, self.tile, wrap=wrap)

    def in_order(self) -> NetworkRenderer:
        """Return a renderer for windows in the order of `Tiling.windows`; each tile runs once."""
        return _OrderedRenderer(self._network, self.tile)

    def render(
        self,
        scene: Scene,
        pixels: npt.NDArray[Any],
        window: Region,
        *,
        given: Region,
        strength: Strength = FULL,
        out: npt.NDArray[Any] | None = None,
    ) -> npt.NDArray[Any]:
        """Correct the pixels of one window.

        Args:
            scene: the survey of the whole image.
            pixels: the input pixels in the region `given`. Columns outside a panorama are those one
                turn further.
            window: region to correct.
            given: region that contains the window and `halo` pixels around it, clipped to the
                image.
            strength: how much of the correction is applied.
            out: array for the result; None allocates one.

        Returns:
            The corrected pixels of the window, with the dtype and channels of `pixels`.

        Raises:
            InputError: `given` is too small; NaN or infinity in the pixels.
        """
        needed = window.dilated(self.halo, scene.spec.height, scene.spec.width, wrap=scene.wrap)
        if not given.holds(needed):
            raise InputError(f"{window} needs the pixels of {needed}; given are {given}")
        source = as_channels(pixels)
        down, left = needed.top - given.top, needed.left - given.left
        needed_pixels = source[down : down + needed.height, left : left + needed.width]
        require_finite(needed_pixels, needed.top, left=needed.left)
        down, left = window.top - given.top, window.left - given.left
        window_pixels = source[down : down + window.height, left : left + window.width]
        if out is None:
            shape = (window.height, window.width, *pixels.shape[2:])
            out = np.empty(shape, pixels.dtype)
        if not_corrected(scene, window_pixels, strength, as_channels(out)):
            return out
        cut = self.tiling(scene.upright.spec, wrap=scene.wrap)
        tiles = _TileSource(scene, source, given, cut, strength.denoise)
        if scene.orientation == 1:
            corrected = self._blend_tiles(tiles, window)
        else:
            corrected = self._blend_turned(tiles, window)
        mix_with_input(scene, window_pixels, corrected, strength, as_channels(out))
        return out

    def _blend_turned(self, tiles: _TileSource, window: Region) -> FloatArray:
        """Blend the tiles of an image that is stored turned, since the network sees it upright."""
        scene = tiles.scene

        def upright(region: Region) -> Region:
            corner, size = (region.top, region.left), (region.height, region.width)
            whole = scene.spec.height, scene.spec.width
            top, left = upright_corner(corner, size, whole, scene.orientation)
            return Region(top, left, *upright_size(*size, scene.orientation))

        pixels = to_upright(tiles.source, scene.orientation)
        turned = tiles._replace(scene=scene.upright, source=pixels, given=upright(tiles.given))
        made = self._blend_tiles(turned, upright(window))
        return np.ascontiguousarray(to_stored(made, scene.orientation))

    def _blend_tiles(self, tiles: _TileSource, window: Region) -> FloatArray:
        """Return T of a window: the weighted sum of its tiles."""
        from drht_plugin.bridge.detail_planes import add_tile

        cut = tiles.cut
        left = window.left - tiles.scene.origin
        total = np.zeros((window.height, window.width, 3), np.float32)
        for down in cut.rows.pieces(window.top, window.bottom):
            for across in cut.columns.pieces(left, left + window.width):
                patch = self._patch(tiles, down, across)
                first, begin = (
                    down.start + down.shift - window.top,
                    across.start + across.shift - left,
                )
                add_tile(
                    patch.guided,
                    patch.residual,
                    down.start - patch.top,
                    across.start - patch.left,
                    cut.rows.weights(down),
                    cut.columns.weights(across),
                    total[
                        first : first + down.stop - down.start,
                        begin : begin + across.stop - across.start,
                    ],
                )
        return total

    def _patch(self, tiles: _TileSource, down: Piece, across: Piece) -> _Patch:
        """Return a patch that contains these pieces of a tile."""
        return self._begin(tiles, down, across).patch()

    def _begin(self, tiles: _TileSource, down: Piece, across: Piece) -> _PendingPatch:
        """Start the network on the pieces of a tile and the pixels that it needs around them."""
        scene, source, given, cut, denoise = tiles
        rows, columns, top, left = tile_pixels(
            cut, (down.start, down.stop), (across.start, across.stop)
        )
        first_row = rows.min()
        block_rows = slice(first_row - given.top, rows.max() + 1 - given.top)
        if scene.wrap:
            # The columns continue around the panorama, in the image's own coordinates.
            first_column = left + across.shift + scene.origin
            across_block = np.arange(len(columns))
        else:
            first_column = columns.min()
            across_block = columns - first_column
        last_column = first_column + across_block.max()
        block = source[block_rows, first_column - given.left : last_column + 1 - given.left]
        display = to_display(block, scene.spec)[..., : scene.spec.colours].clip(0, 1)
        guided = guided_tone(scene, display, Window(int(first_row), int(first_column)))
        down_block = rows - first_row
        tile_display, tile_guided = (
            _gather(p, down_block, across_block) for p in (display, guided)
        )
        hidden = _transparent(block, scene.spec, down_block, across_block)
        residual = self._tile_network.begin(
            Tile(scene, tile_display, tile_guided, rows, columns, hidden, denoise)
        )
        return _PendingPatch(tile_guided, residual, top, left)


class _OrderedRenderer(NetworkRenderer):
    """Renderer for one image and one thread, which keeps parts of tiles for later windows.

    While the device works on a tile, the planes of the next one are made.
    """

    halo = NetworkRenderer.halo_in_order

    def __init__(self, network: Network, tile: int) -> None:
        super().__init__(network, tile)
        self._strips: dict[tuple[int, int], list[_Patch]] = {}
        self._pending: dict[tuple[int, int], _PendingPatch] = {}

    def _patch(self, tiles: _TileSource, down: Piece, across: Piece) -> _Patch:
        here = (down.tile, across.tile)
        for strip in self._strips.get(here, ()):
            if strip.holds(down, across):
                return strip
        cut = tiles.cut
        (top, bottom), (left, right) = cut.rows.support(here[0]), cut.columns.support(here[1])
        below, beside = cut.rows.core(here[0])[1], cut.columns.core(here[1])[1]
        if (down.start, down.stop, across.start, across.stop) != (top, below, left, beside):
            return super()._patch(tiles, down, across)
        # The window's own tile. Compute all of its support, which later windows show too.
        down = replace(down, stop=bottom)
        pending = self._pending.pop(here, None) or self._begin(
            tiles, down, replace(across, stop=right)
        )
        beyond = _right_neighbour(cut, across)
        if beyond is not None and tiles.holds(down, beyond):
            self._pending = {(here[0], beyond.tile): self._begin(tiles, down, beyond)}
        whole = pending.patch()
        last = (here[0], here[1] - 1)
        self._strips = {
            key: strips if key == last else strips[:1]
            for key, strips in self._strips.items()
            if key[0] >= here[0] - 1
        }
        self._strips[here] = [whole.part(below, left), whole.part(top, beside)]
        return whole


def require_tile(tile: Any) -> int:
    """Check that a tile is a whole number, and return it as an int.

    Args:
        tile: side of a tile in pixels.

    Raises:
        InputError: says what was given and what is accepted.
    """
    side = whole_number(tile)
    if side is None:
        raise InputError(f"tile is {tile!r}; expected a whole number of pixels")
    return side


def _right_neighbour(cut: Tiling, across: Piece) -> Piece | None:
    """Return the whole support of the tile to the right; None at the end of a row."""
    tile = across.tile + 1
    if tile == cut.columns.count:
        return None
    return Piece(tile, *cut.columns.support(tile), across.shift)


def _padded_span(start: int, stop: int) -> tuple[int, int]:
    """Extend positions start..stop−1 to whole strides, and by the halo."""
    return start // DETAIL_STRIDE * DETAIL_STRIDE - HALO, -(
        -stop // DETAIL_STRIDE
    ) * DETAIL_STRIDE + HALO


def _transparent(
    block: npt.NDArray[Any],
    spec: ImageSpec,
    rows: npt.NDArray[np.int64],
    columns: npt.NDArray[np.int64],
) -> Mask:
    """Return the mask of a block's transparent pixels; an empty one if there are none."""
    if spec.alpha < 0:
        return NONE_HIDDEN
    mask: Mask = block[..., spec.alpha] == 0
    return mask[np.ix_(rows, columns)] if mask.any() else NONE_HIDDEN


def _gather(
    picture: FloatArray, rows: npt.NDArray[np.int64], columns: npt.NDArray[np.int64]
) -> FloatArray:
    """Return rows and columns of a picture, which may contain duplicates, in three colours."""
    from drht_plugin.bridge.detail_planes import gather_pixels

    if picture.shape == (len(rows), len(columns), 3):
        return np.ascontiguousarray(picture)
    taken = np.empty((len(rows), len(columns), 3), np.float32)
    gather_pixels(np.ascontiguousarray(picture), rows, columns, taken)
    return taken
