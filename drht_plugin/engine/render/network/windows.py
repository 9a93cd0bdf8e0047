"""Network detail: the detail network on overlapping tiles, each conditioned on the scene."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from drht_plugin.bridge.sizes import CELL, DETAIL_STRIDE, HALO
from drht_plugin.engine.pixels import ImageSpec, as_channels, require_finite
from drht_plugin.engine.render.guided import finish, to_display, tone
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
"""Side of the tiles that the network sees, halo included, unless told otherwise."""

RAMP = 16
"""Pixels over which neighbouring tiles fade into one another."""


class _Patch(NamedTuple):
    """T of a part of a tile: guided T, what it lacks (2×2 pixels a place), and where it begins.

    Of whole tiles, what is nearer to the border than the halo is of no use.
    """

    guided: FloatArray
    residual: FloatArray
    top: int
    left: int

    def holds(self, down: Piece, across: Piece) -> bool:
        """Whether the pieces lie inside, of a part of a tile."""
        rows, columns = self.guided.shape[:2]
        return (
            self.top <= down.start
            and down.stop <= self.top + rows
            and self.left <= across.start
            and across.stop <= self.left + columns
        )

    def part(self, top: int, left: int) -> _Patch:
        """A copy of what lies below `top` and right of `left`, of a whole tile; both even."""
        down, across = top - self.top, left - self.left
        places = slice(down // CELL, -HALO // CELL), slice(across // CELL, -HALO // CELL)
        guided = self.guided[down:-HALO, across:-HALO]
        return _Patch(guided.copy(), self.residual[places].copy(), top, left)


class _Begun(NamedTuple):
    """A patch that the network is at work on."""

    guided: FloatArray
    residual: Residual
    top: int
    left: int

    def patch(self) -> _Patch:
        """The patch, once the network is done."""
        return _Patch(self.guided, self.residual(), self.top, self.left)


class _Sight(NamedTuple):
    """Pixels to make tiles from: `source` holds those of the scene's image where `given` says."""

    scene: Scene
    source: npt.NDArray[Any]
    given: Region
    cut: Tiling

    def holds(self, down: Piece, across: Piece) -> bool:
        """Whether all that the network needs of a tile is there."""
        scene, spec = self.scene, self.scene.spec
        first = across.start + across.shift + scene.origin
        tile = Region(down.start, first, down.stop - down.start, across.stop - across.start)
        needed = tile.dilated(NetworkRenderer.halo, spec.height, spec.width, wrap=scene.wrap)
        return self.given.holds(needed)


class NetworkRenderer:
    """Renders windows in network detail; safe to call from several threads.

    tile: side of the largest square of pixels that the network is given; see `TileNetwork`.

    Attributes:
        halo: pixels around a window that `render` needs; `halo_in_order` those of `in_order`.
        tile: as given.
    """

    halo = HALO + DETAIL_STRIDE
    halo_in_order = halo + RAMP

    def __init__(self, network: Network, tile: int | None = None) -> None:
        self.tile = TILE if tile is None else tile
        self._network = network
        self._on_tile = TileNetwork(network, self.tile)
        tiling(1, 1, self.tile, halo=HALO, ramp=RAMP, stride=DETAIL_STRIDE, wrap=False)

    @staticmethod
    def tiling_of(spec: ImageSpec, tile: int, *, wrap: bool) -> Tiling:
        """How an image is cut into tiles of this side.

        Raises:
            InputError: an impossible tile.
        """
        require_tile(tile)
        return tiling(
            spec.height, spec.width, tile, halo=HALO, ramp=RAMP, stride=DETAIL_STRIDE, wrap=wrap
        )

    def tiling(self, spec: ImageSpec, *, wrap: bool) -> Tiling:
        """How an image is cut into the tiles that this renderer takes."""
        return self.tiling_of(spec, self.tile, wrap=wrap)

    def in_order(self) -> NetworkRenderer:
        """A renderer for the windows of a tiling in their order, which computes each tile once."""
        return _InOrder(self._network, self.tile)

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
        """The corrected pixels of one window.

        Args:
            scene: the survey of the whole image.
            pixels: the input where `given` says; of a panorama, columns outside the image are
                those one turn further.
            window: what is asked for.
            given: holds the window and `halo` pixels around it, as far as the image goes.
            strength: how much of the correction is applied.
            out: where the result goes; a new array if absent.

        Raises:
            InputError: `given` does not hold what is needed; NaN or infinity in the pixels.
        """
        needed = window.dilated(self.halo, scene.spec.height, scene.spec.width, wrap=scene.wrap)
        if not given.holds(needed):
            raise InputError(f"{window} needs the pixels of {needed}; given are those of {given}")
        source = as_channels(pixels)
        down, left = needed.top - given.top, needed.left - given.left
        seen = source[down : down + needed.height, left : left + needed.width]
        require_finite(seen, needed.top, left=needed.left)
        down, left = window.top - given.top, window.left - given.left
        own = source[down : down + window.height, left : left + window.width]
        if out is None:
            shape = (window.height, window.width, *pixels.shape[2:])
            out = np.empty(shape, pixels.dtype)
        if strength.strength == 0:
            as_channels(out)[...] = own
            return out
        if scene.orientation == 1:
            corrected = self._corrected(scene, source, given, window)
        else:
            corrected = self._turned(scene, source, given, window)
        finish(scene.spec, own, corrected, strength, as_channels(out))
        return out

    def _turned(
        self, scene: Scene, source: npt.NDArray[Any], given: Region, window: Region
    ) -> FloatArray:
        """As `_corrected`, of an image that is not stored upright: the network sees it so."""

        def upright(region: Region) -> Region:
            corner, size = (region.top, region.left), (region.height, region.width)
            whole = scene.spec.height, scene.spec.width
            top, left = upright_corner(corner, size, whole, scene.orientation)
            return Region(top, left, *upright_size(*size, scene.orientation))

        pixels = to_upright(source, scene.orientation)
        made = self._corrected(scene.upright, pixels, upright(given), upright(window))
        return np.ascontiguousarray(to_stored(made, scene.orientation))

    def _corrected(
        self, scene: Scene, source: npt.NDArray[Any], given: Region, window: Region
    ) -> FloatArray:
        """T of a window: the tiles that show in it, weighted."""
        from drht_plugin.bridge.detail_planes import add_tile

        cut = self.tiling(scene.spec, wrap=scene.wrap)
        sight = _Sight(scene, source, given, cut)
        left = window.left - scene.origin
        total = np.zeros((window.height, window.width, 3), np.float32)
        for down in cut.rows.pieces(window.top, window.bottom):
            for across in cut.columns.pieces(left, left + window.width):
                patch = self._patch(sight, down, across)
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

    def _patch(self, sight: _Sight, down: Piece, across: Piece) -> _Patch:
        """The pieces of a tile, from the pixels that the network needs around them."""
        return self._begin(sight, down, across).patch()

    def _begin(self, sight: _Sight, down: Piece, across: Piece) -> _Begun:
        scene, source, given, cut = sight
        top, bottom = _aligned(down.start, down.stop)
        left, right = _aligned(across.start, across.stop)
        rows = cut.rows.inside(np.arange(top, bottom))
        first_row = rows.min()
        block_rows = slice(first_row - given.top, rows.max() + 1 - given.top)
        columns = cut.columns.inside(np.arange(left, right))
        if scene.wrap:
            # Columns go on round the panorama, in the image's own count.
            first_column = left + across.shift + scene.origin
            across_block = np.arange(right - left)
        else:
            first_column = columns.min()
            across_block = columns - first_column
        last_column = first_column + across_block.max()
        block = source[block_rows, first_column - given.left : last_column + 1 - given.left]
        display = to_display(block, scene.spec)[..., : scene.spec.colours].clip(0, 1)
        guided = tone(scene, display, Window(int(first_row), int(first_column)))
        down_block = rows - first_row
        seen, corrected = (_taken(p, down_block, across_block) for p in (display, guided))
        hidden = _hidden(block, scene.spec, down_block, across_block)
        residual = self._on_tile.begin(Tile(scene, seen, corrected, rows, columns, hidden))
        return _Begun(corrected, residual, top, left)


class _InOrder(NetworkRenderer):
    """Remembers of each tile what shows in later windows; for one image and one thread.

    While the device is at work on a tile, the next one's planes are made.
    """

    halo = NetworkRenderer.halo_in_order

    def __init__(self, network: Network, tile: int) -> None:
        super().__init__(network, tile)
        self._strips: dict[tuple[int, int], list[_Patch]] = {}
        self._begun: dict[tuple[int, int], _Begun] = {}

    def _patch(self, sight: _Sight, down: Piece, across: Piece) -> _Patch:
        here = (down.tile, across.tile)
        for strip in self._strips.get(here, ()):
            if strip.holds(down, across):
                return strip
        cut = sight.cut
        (top, bottom), (left, right) = cut.rows.support(here[0]), cut.columns.support(here[1])
        below, beside = cut.rows.shown_first(here[0])[1], cut.columns.shown_first(here[1])[1]
        if (down.start, down.stop, across.start, across.stop) != (top, below, left, beside):
            return super()._patch(sight, down, across)
        # The window's own tile: all that shows of it, for the windows to come.
        down = replace(down, stop=bottom)
        begun = self._begun.pop(here, None) or self._begin(sight, down, replace(across, stop=right))
        beyond = _next(cut, across)
        if beyond is not None and sight.holds(down, beyond):
            self._begun = {(here[0], beyond.tile): self._begin(sight, down, beyond)}
        whole = begun.patch()
        last = (here[0], here[1] - 1)
        self._strips = {
            key: strips if key == last else strips[:1]
            for key, strips in self._strips.items()
            if key[0] >= here[0] - 1
        }
        self._strips[here] = [whole.part(below, left), whole.part(top, beside)]
        return whole


def require_tile(tile: Any) -> None:
    """Refuse a tile that is no whole number.

    Raises:
        InputError: says what was given and what is accepted.
    """
    if not isinstance(tile, int) or isinstance(tile, bool):
        raise InputError(f"tile is {tile!r}; expected a whole number of pixels")


def _next(cut: Tiling, across: Piece) -> Piece | None:
    """All that shows of the tile to the right; none at the end of a row."""
    tile = across.tile + 1
    if tile == cut.columns.count:
        return None
    return Piece(tile, *cut.columns.support(tile), across.shift)


def _aligned(start: int, stop: int) -> tuple[int, int]:
    """What the network sees for positions start..stop−1: whole strides, and the halo."""
    return start // DETAIL_STRIDE * DETAIL_STRIDE - HALO, -(
        -stop // DETAIL_STRIDE
    ) * DETAIL_STRIDE + HALO


def _hidden(
    block: npt.NDArray[Any],
    spec: ImageSpec,
    rows: npt.NDArray[np.int64],
    columns: npt.NDArray[np.int64],
) -> Mask:
    """Where a block's pixels are transparent; empty where none is."""
    if spec.alpha < 0:
        return NONE_HIDDEN
    mask: Mask = block[..., spec.alpha] == 0
    return mask[np.ix_(rows, columns)] if mask.any() else NONE_HIDDEN


def _taken(
    picture: FloatArray, rows: npt.NDArray[np.int64], columns: npt.NDArray[np.int64]
) -> FloatArray:
    """Rows and columns of a picture, which some may be of twice; in three colours."""
    from drht_plugin.bridge.detail_planes import take_places

    if picture.shape == (len(rows), len(columns), 3):
        return np.ascontiguousarray(picture)
    taken = np.empty((len(rows), len(columns), 3), np.float32)
    take_places(np.ascontiguousarray(picture), rows, columns, taken)
    return taken
