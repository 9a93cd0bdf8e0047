"""Network detail: the detail network on overlapping tiles, each conditioned on the scene."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from drht_plugin.bridge.layout import CELL, HALO, PLANES, STRIDE
from drht_plugin.engine.bands import Demand, guided_demand, plan_bands
from drht_plugin.engine.pixels import Kind, as_channels, require_finite
from drht_plugin.engine.render import FULL, Strength, Window, finish, to_display, tone
from drht_plugin.engine.scene import Scene
from drht_plugin.engine.tiles import Piece, Region, Tiling, tiling
from drht_plugin.errors import DrhtWarning, InputError

FloatArray = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]
Pixel = TypeVar("Pixel", bound=np.generic)
Lacking = Callable[[], FloatArray]
"""Waits for what a network says guided T lacks, and gives it."""

TILE = 1024
"""Side of the tiles that the network sees, halo included, unless told otherwise."""

_TILES = (TILE, 768, 512, 384, 256)
_MEMORY = 768 << 20
"""Bytes of pixels that are on their way at once, unless told otherwise."""

NONE_HIDDEN: Mask = np.zeros((0, 0), np.bool_)

RAMP = 16
"""Pixels over which neighbouring tiles fade into one another."""


class Network(Protocol):
    """The detail network on some device; see `model.detail.DetailRunner`."""

    def room(self, shape: tuple[int, ...]) -> FloatArray:
        """An array to be filled with planes, from where the device reads fast."""
        ...

    def begin(self, planes: FloatArray) -> Lacking:
        """Start on a tile's planes, h×w×72; what it gives is h×w×12.

        Raises:
            MemoryError, torch.OutOfMemoryError: the tile is too large for the device.
        """
        ...


class _Patch(NamedTuple):
    """T of a part of a tile: guided T, what it lacks (2×2 pixels a place), and where it begins."""

    guided: FloatArray
    lacking: FloatArray
    top: int
    left: int

    def holds(self, down: Piece, across: Piece) -> bool:
        """Whether the pieces lie inside."""
        rows, columns = self.guided.shape[:2]
        return (
            self.top <= down.start
            and down.stop <= self.top + rows
            and self.left <= across.start
            and across.stop <= self.left + columns
        )

    def part(self, top: int, left: int) -> _Patch:
        """A copy of what lies below `top` and right of `left`; both even."""
        down, across = top - self.top, left - self.left
        places = (slice(down // CELL, None), slice(across // CELL, None))
        return _Patch(self.guided[down:, across:].copy(), self.lacking[places].copy(), top, left)


class _Begun(NamedTuple):
    """A patch that the network is at work on."""

    guided: FloatArray
    lacking: Lacking
    top: int
    left: int

    def patch(self) -> _Patch:
        """The patch, once the network is done."""
        return _Patch(self.guided, np.ascontiguousarray(self.lacking()), self.top, self.left)


class NetworkRenderer:
    """Renders windows in network detail; safe to call from several threads.

    tile: side of the largest square of pixels that the network is given. Where the device has no
    memory for one, smaller ones are given from then on, and a `DrhtWarning` says so: the result
    stays the same.

    Attributes:
        halo: pixels around a window that `render` needs.
        tile: as given.
    """

    halo = HALO + STRIDE

    def __init__(self, network: Network, tile: int | None = None) -> None:
        self.tile = TILE if tile is None else tile
        self._network = network
        self._most = self.tile
        self._lock = threading.Lock()
        tiling(1, 1, self.tile, halo=HALO, ramp=RAMP, stride=STRIDE, wrap=False)

    @staticmethod
    def tiling_of(kind: Kind, tile: int, *, wrap: bool) -> Tiling:
        """How an image is cut into tiles of this side.

        Raises:
            InputError: an impossible tile.
        """
        if not isinstance(tile, int) or isinstance(tile, bool):
            raise InputError(f"tile is {tile!r}; expected a whole number of pixels")
        return tiling(kind.height, kind.width, tile, halo=HALO, ramp=RAMP, stride=STRIDE, wrap=wrap)

    def tiling(self, kind: Kind, *, wrap: bool) -> Tiling:
        """How an image is cut into the tiles that this renderer takes."""
        return self.tiling_of(kind, self.tile, wrap=wrap)

    def in_order(self) -> NetworkRenderer:
        """A renderer for the windows of a tiling in their order, which computes each tile once."""
        return _InOrder(self._network, self.tile)

    def render(
        self,
        scene: Scene,
        pixels: npt.NDArray[Any],
        given: Region,
        window: Region,
        strength: Strength = FULL,
        out: npt.NDArray[Any] | None = None,
    ) -> npt.NDArray[Any]:
        """The corrected pixels of one window.

        Args:
            scene: the survey of the whole image.
            pixels: the input where `given` says; of a panorama, columns outside the image are
                those one turn further.
            given: holds the window and `halo` pixels around it, as far as the image goes.
            window: what is asked for.
            strength: how much of the correction is applied.
            out: where the result goes; a new array if absent.

        Raises:
            InputError: `given` does not hold what is needed; NaN or infinity in the pixels.
        """
        needed = window.grown(self.halo, scene.kind.height, scene.kind.width, wrap=scene.wrap)
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
        corrected = self._corrected(scene, source, given, window)
        finish(scene.kind, own, corrected, strength, as_channels(out))
        return out

    def _corrected(
        self, scene: Scene, source: npt.NDArray[Any], given: Region, window: Region
    ) -> FloatArray:
        """T of a window: the tiles that show in it, weighted."""
        from drht_plugin.bridge.detail import add_tile

        cut = self.tiling(scene.kind, wrap=scene.wrap)
        left = window.left - scene.origin
        total = np.zeros((window.height, window.width, 3), np.float32)
        for down in cut.rows.pieces(window.top, window.bottom):
            for across in cut.columns.pieces(left, left + window.width):
                patch = self._patch(scene, source, given, cut, down, across)
                first, begin = (
                    down.start + down.shift - window.top,
                    across.start + across.shift - left,
                )
                add_tile(
                    patch.guided,
                    patch.lacking,
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

    def _patch(
        self,
        scene: Scene,
        source: npt.NDArray[Any],
        given: Region,
        cut: Tiling,
        down: Piece,
        across: Piece,
    ) -> _Patch:
        """The pieces of a tile, from the pixels that the network needs around them."""
        return self._begin(scene, source, given, cut, down, across).patch()

    def _begin(
        self,
        scene: Scene,
        source: npt.NDArray[Any],
        given: Region,
        cut: Tiling,
        down: Piece,
        across: Piece,
    ) -> _Begun:
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
        display = to_display(block, scene.kind)[..., : scene.kind.colours].clip(0, 1)
        guided = tone(scene, display, Window(int(first_row), int(first_column)))
        down_block = rows - first_row
        seen, corrected = (
            _three(_mirrored(picture, down_block, across_block)) for picture in (display, guided)
        )
        hidden = _hidden(block, scene.kind, down_block, across_block)
        lacking = self._begin_network(scene, seen, corrected, hidden, rows, columns)
        inside, places = slice(HALO, -HALO), slice(HALO // CELL, -HALO // CELL)
        return _Begun(
            np.ascontiguousarray(corrected[inside, inside]),
            lambda: lacking()[places, places],
            top + HALO,
            left + HALO,
        )

    def _begin_network(
        self,
        scene: Scene,
        display: FloatArray,
        guided: FloatArray,
        hidden: Mask,
        rows: npt.NDArray[np.int64],
        columns: npt.NDArray[np.int64],
    ) -> Lacking:
        """What guided T lacks, by as many calls of the network as its memory wants."""
        height, width = display.shape[:2]
        if max(height, width) <= self._most:
            try:
                room = self._network.room(planes_shape(height, width))
                return self._network.begin(
                    network_planes(scene, display, guided, rows, columns, hidden, room)
                )
            except _out_of_memory() as error:
                self._halve(max(height, width), error)
        axis, side = (0, height) if height >= width else (1, width)
        middle = (side // 2 + STRIDE - 1) // STRIDE * STRIDE
        halves: list[tuple[Lacking, slice]] = []
        for first, last, keep in (
            (0, min(side, middle + HALO), slice(0, middle // CELL)),
            (middle - HALO, side, slice(HALO // CELL, None)),
        ):
            part = [slice(None), slice(None)]
            part[axis] = slice(first, last)
            place = tuple(part)
            half = self._begin_network(
                scene,
                np.ascontiguousarray(display[place]),
                np.ascontiguousarray(guided[place]),
                np.ascontiguousarray(hidden[place]) if hidden.size else hidden,
                rows[part[0]],
                columns[part[1]],
            )
            halves.append((half, keep))

        def joined() -> FloatArray:
            parts = [half()[keep] if axis == 0 else half()[:, keep] for half, keep in halves]
            return np.concatenate(parts, axis)

        return joined

    def _halve(self, side: int, error: Exception) -> None:
        smaller = side // 2 // STRIDE * STRIDE
        if smaller < 2 * (2 * HALO + STRIDE):
            raise error
        with self._lock:
            if smaller < self._most:
                self._most = smaller
                warnings.warn(
                    f"no memory for tiles of {side} pixels ({error}); going on with tiles of "
                    f"{smaller}",
                    DrhtWarning,
                    stacklevel=2,
                )


class _InOrder(NetworkRenderer):
    """Remembers of each tile what shows in later windows; for one image and one thread.

    While the device is at work on a tile, the next one's planes are made.
    """

    halo = HALO + STRIDE + RAMP

    def __init__(self, network: Network, tile: int) -> None:
        super().__init__(network, tile)
        self._strips: dict[tuple[int, int], list[_Patch]] = {}
        self._begun: dict[tuple[int, int], _Begun] = {}

    def _patch(
        self,
        scene: Scene,
        source: npt.NDArray[Any],
        given: Region,
        cut: Tiling,
        down: Piece,
        across: Piece,
    ) -> _Patch:
        here = (down.tile, across.tile)
        for strip in self._strips.get(here, ()):
            if strip.holds(down, across):
                return strip
        (top, bottom), (left, right) = cut.rows.support(here[0]), cut.columns.support(here[1])
        below, beside = cut.rows.shown_first(here[0])[1], cut.columns.shown_first(here[1])[1]
        if (down.start, down.stop, across.start, across.stop) != (top, below, left, beside):
            return super()._patch(scene, source, given, cut, down, across)
        # The window's own tile: all that shows of it, for the windows to come.
        down = replace(down, stop=bottom)
        begun = self._begun.pop(here, None) or self._begin(
            scene, source, given, cut, down, replace(across, stop=right)
        )
        beyond = _next(cut, across)
        if beyond is not None and self._given(scene, given, down, beyond):
            self._begun = {
                (here[0], beyond.tile): self._begin(scene, source, given, cut, down, beyond)
            }
        whole = begun.patch()
        last = (here[0], here[1] - 1)
        self._strips = {
            key: strips if key == last else strips[:1]
            for key, strips in self._strips.items()
            if key[0] >= here[0] - 1
        }
        self._strips[here] = [whole.part(below, left), whole.part(top, beside)]
        return whole

    def _given(self, scene: Scene, given: Region, down: Piece, across: Piece) -> bool:
        """Whether all that the network needs of a tile is there."""
        first = across.start + across.shift + scene.origin
        tile = Region(down.start, first, down.stop - down.start, across.stop - across.start)
        kind = scene.kind
        return given.holds(tile.grown(HALO + STRIDE, kind.height, kind.width, wrap=scene.wrap))


def _next(cut: Tiling, across: Piece) -> Piece | None:
    """All that shows of the tile to the right; none at the end of a row."""
    tile = across.tile + 1
    if tile == cut.columns.count:
        return None
    return Piece(tile, *cut.columns.support(tile), across.shift)


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
        self._renderer = renderer.in_order()
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


def _aligned(start: int, stop: int) -> tuple[int, int]:
    """What the network sees for positions start..stop−1: whole strides, and the halo."""
    return start // STRIDE * STRIDE - HALO, -(-stop // STRIDE) * STRIDE + HALO


def planes_shape(height: int, width: int) -> tuple[int, int, int]:
    """The shape of the planes of so many pixels."""
    return height // CELL, width // CELL, PLANES * CELL * CELL


def network_planes(
    scene: Scene,
    display: FloatArray,
    guided: FloatArray,
    rows: npt.NDArray[np.int64],
    columns: npt.NDArray[np.int64],
    hidden: Mask,
    planes: FloatArray,
) -> FloatArray:
    """What the network sees of R×C×3 pixels and their guided T: (R/2)×(C/2)×72 float32.

    rows, columns: the pixels' coordinates in the scene; hidden: R×C, pixels whose colours weigh in
    nowhere, or empty; planes: filled, and returned. See `bridge.detail.detail_planes`.
    """
    from drht_plugin.bridge.detail import detail_planes

    kind = scene.kind
    place = rows, columns, scene.conditions, kind.height, kind.width, scene.wrap
    detail_planes(display, guided, hidden, *place, planes)
    return planes


def _hidden(
    block: npt.NDArray[Any],
    kind: Kind,
    rows: npt.NDArray[np.int64],
    columns: npt.NDArray[np.int64],
) -> Mask:
    """Where a block's pixels are transparent; empty where none is."""
    if kind.alpha < 0:
        return NONE_HIDDEN
    mask: Mask = block[..., kind.alpha] == 0
    return np.ascontiguousarray(_mirrored(mask, rows, columns)) if mask.any() else NONE_HIDDEN


def _mirrored(
    picture: npt.NDArray[Pixel], rows: npt.NDArray[np.int64], columns: npt.NDArray[np.int64]
) -> npt.NDArray[Pixel]:
    """Rows and columns of a picture, which some may be of twice; without a copy where none are."""
    if len(rows) != picture.shape[0]:
        picture = picture[rows]
    return picture if len(columns) == picture.shape[1] else picture[:, columns]


def _three(picture: FloatArray) -> FloatArray:
    """Gray as three equal channels."""
    if picture.shape[2] == 3:
        return np.ascontiguousarray(picture)
    return np.repeat(picture, 3, axis=2)


def _out_of_memory() -> tuple[type[Exception], ...]:
    """What the network raises when its device has no memory left."""
    import torch

    return MemoryError, torch.OutOfMemoryError
