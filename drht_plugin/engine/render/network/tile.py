"""Run the detail network on one tile, in as many parts as the device's memory requires."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from drht_plugin.bridge.sizes import CELL, DETAIL_STRIDE, HALO, PLANES
from drht_plugin.engine.scene import Scene
from drht_plugin.errors import DrhtWarning

FloatArray = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
Residual = Callable[[], FloatArray]
"""Function that waits for the network and returns its residual: T − guided T, (R/2)×(C/2)×12
float32."""

NONE_HIDDEN: Mask = np.zeros((0, 0), np.bool_)
"""Mask of a tile without transparent pixels."""


class Tile(NamedTuple):
    """Pixels that the network sees at once.

    Attributes:
        scene: scene of an image that is stored upright.
        display: R×C×3 float32 in 0..1, x.
        guided: R×C×3 float32 in 0..1, guided T.
        rows: R row coordinates in the image.
        columns: C column coordinates, counted from the scene's origin.
        hidden: R×C mask of the transparent pixels, whose colours are ignored; empty if there are
            none.
        denoise: factor of the noise that the network is told.
    """

    scene: Scene
    display: FloatArray
    guided: FloatArray
    rows: Indices
    columns: Indices
    hidden: Mask = NONE_HIDDEN
    denoise: float = 1.0

    def part(self, axis: int, span: slice) -> Tile:
        """Return a copy of some rows or columns.

        Args:
            axis: 0 for rows, 1 for columns.
            span: which of them.
        """
        down, across = (span, slice(None)) if axis == 0 else (slice(None), span)
        display, guided = (np.ascontiguousarray(p[down, across]) for p in self[1:3])
        hidden = np.ascontiguousarray(self.hidden[down, across])
        return self._replace(
            display=display,
            guided=guided,
            rows=self.rows[down],
            columns=self.columns[across],
            hidden=hidden,
        )


class Network(Protocol):
    """Detail network on some device; see `model.detail_network.DetailRunner`."""

    def room(self, shape: tuple[int, ...]) -> FloatArray:
        """Return an array for planes, in memory that the device reads fast.

        Args:
            shape: shape of the planes.
        """
        ...

    def begin(self, planes: FloatArray) -> Residual:
        """Start the network on the planes of a tile.

        Args:
            planes: h×w×96 float32, see `bridge.detail_planes.detail_planes`.

        Returns:
            A function that waits for the residual, h×w×12 float32.

        Raises:
            MemoryError, torch.OutOfMemoryError: the tile is too large for the device.
        """
        ...


class TileLimit:
    """Side of the largest tile that a device has memory for; safe to use from several threads.

    Args:
        most: side of the largest square of pixels to begin with.
    """

    def __init__(self, most: int) -> None:
        self._most, self._lock = most, threading.Lock()

    def allows(self, height: int, width: int) -> bool:
        """Return whether a tile of this height and width, in pixels, is small enough."""
        return max(height, width) <= self._most

    def halve(self, side: int, error: Exception) -> None:
        """Allow half of a side from now on, with a `DrhtWarning`.

        Args:
            side: longer side of a tile that there was no memory for, in pixels.
            error: what said so; raised where the side cannot be halved.
        """
        smaller = side // 2 // DETAIL_STRIDE * DETAIL_STRIDE
        if smaller < 2 * (2 * HALO + DETAIL_STRIDE):
            raise error
        with self._lock:
            if smaller < self._most:
                self._most = smaller
                warnings.warn(
                    f"no memory for tiles of {side} pixels ({error}); continuing with tiles of "
                    f"{smaller}",
                    DrhtWarning,
                    stacklevel=2,
                )


def split_tile(height: int, width: int) -> tuple[int, int, slice, slice]:
    """Split a tile across its longer side into two that overlap by the halo.

    Args:
        height: height of the tile in pixels.
        width: width of the tile in pixels.

    Returns:
        The axis that is split; the pixels that the first part alone gives; where both parts lie.
        The second gives what is behind its first `HALO` pixels.
    """
    axis, side = (0, height) if height >= width else (1, width)
    middle = -(-(side // 2) // DETAIL_STRIDE) * DETAIL_STRIDE
    return axis, middle, slice(0, min(side, middle + HALO)), slice(middle - HALO, side)


class TileNetwork:
    """Detail network for tiles of any size; safe to call from several threads.

    When the device has no memory for a tile, a `DrhtWarning` is issued and smaller tiles are used
    from then on. The result stays the same.

    Args:
        network: the detail network.
        most: side of the largest square of pixels that the network is given.
    """

    def __init__(self, network: Network, most: int) -> None:
        self._network, self._limit = network, TileLimit(most)

    def begin(self, tile: Tile) -> Residual:
        """Start the network on a tile, whose sides are multiples of `DETAIL_STRIDE`.

        Args:
            tile: its pixels.

        Returns:
            A function that waits for the residual. Results within `HALO` of the border are invalid.

        Raises:
            MemoryError, torch.OutOfMemoryError: even the smallest tile is too large for the device.
        """
        height, width = tile.display.shape[:2]
        if self._limit.allows(height, width):
            try:
                room = self._network.room(planes_shape(height, width))
                return self._network.begin(network_planes(tile, room))
            except _out_of_memory() as error:
                self._limit.halve(max(height, width), error)
        axis, middle, above, below = split_tile(height, width)
        first, second = self.begin(tile.part(axis, above)), self.begin(tile.part(axis, below))

        def joined() -> FloatArray:
            upper = np.split(first(), [middle // CELL], axis)[0]
            lower = np.split(second(), [HALO // CELL], axis)[1]
            return np.concatenate([upper, lower], axis)

        return joined


def planes_shape(height: int, width: int) -> tuple[int, int, int]:
    """Return the shape of the planes of a tile.

    Args:
        height: height of the tile in pixels.
        width: width of the tile in pixels.
    """
    return height // CELL, width // CELL, PLANES * CELL * CELL


def network_planes(tile: Tile, planes: FloatArray) -> FloatArray:
    """Fill the planes that the network sees of a tile.

    Args:
        tile: its pixels.
        planes: (R/2)×(C/2)×96 float32, written to; see `bridge.detail_planes.detail_planes`.

    Returns:
        The given planes.
    """
    from drht_plugin.bridge.detail_planes import detail_planes, fill_hidden

    scene, display, guided = tile.scene, tile.display, tile.guided
    spec, conditions = scene.spec, scene.conditions_at(tile.denoise)
    place = tile.rows, tile.columns, conditions, spec.height, spec.width, scene.wrap
    if tile.hidden.size:
        display, guided = display.copy(), guided.copy()
        fill_hidden(tile.hidden, *place, display, guided)
    detail_planes(display, guided, *place, planes)
    return planes


def _out_of_memory() -> tuple[type[Exception], ...]:
    """Return the exceptions that mean that the device has no memory left."""
    import torch

    return MemoryError, torch.OutOfMemoryError
