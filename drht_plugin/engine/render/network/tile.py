"""The detail network on one tile: its planes, and as many calls as the device's memory wants."""

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
"""Waits for what a network says guided T lacks, and gives it."""

NONE_HIDDEN: Mask = np.zeros((0, 0), np.bool_)


class Tile(NamedTuple):
    """Pixels that the network is to see at once.

    display, guided: R×C×3 float32, x and guided T. rows, columns: the R and C coordinates in the
    scene. hidden: R×C, pixels whose colours weigh in nowhere, or empty.
    """

    scene: Scene
    display: FloatArray
    guided: FloatArray
    rows: Indices
    columns: Indices
    hidden: Mask = NONE_HIDDEN

    def part(self, axis: int, span: slice) -> Tile:
        """Its rows (axis 0) or columns (axis 1) of a span, in memory of their own."""
        down, across = (span, slice(None)) if axis == 0 else (slice(None), span)
        display, guided = (np.ascontiguousarray(p[down, across]) for p in self[1:3])
        hidden = np.ascontiguousarray(self.hidden[down, across])
        return Tile(self.scene, display, guided, self.rows[down], self.columns[across], hidden)


class Network(Protocol):
    """The detail network on some device; see `model.detail.DetailRunner`."""

    def room(self, shape: tuple[int, ...]) -> FloatArray:
        """An array to be filled with planes, from where the device reads fast."""
        ...

    def begin(self, planes: FloatArray) -> Residual:
        """Start on a tile's planes, h×w×96; what it gives is h×w×12.

        Raises:
            MemoryError, torch.OutOfMemoryError: the tile is too large for the device.
        """
        ...


class TileNetwork:
    """The network on tiles of any size; safe to call from several threads.

    Where the device has no memory for a tile, smaller ones are given from then on, and a
    `DrhtWarning` says so: the result stays the same. most: side of the largest square of pixels
    that the network is given.
    """

    def __init__(self, network: Network, most: int) -> None:
        self._network, self._most = network, most
        self._lock = threading.Lock()

    def begin(self, tile: Tile) -> Residual:
        """What guided T of a tile lacks.

        The sides are multiples of DETAIL_STRIDE. Results within HALO of the border are invalid.
        """
        height, width = tile.display.shape[:2]
        if max(height, width) <= self._most:
            try:
                room = self._network.room(planes_shape(height, width))
                return self._network.begin(network_planes(tile, room))
            except _out_of_memory() as error:
                self._halve(max(height, width), error)
        axis, side = (0, height) if height >= width else (1, width)
        middle = (side // 2 + DETAIL_STRIDE - 1) // DETAIL_STRIDE * DETAIL_STRIDE
        first = self.begin(tile.part(axis, slice(0, min(side, middle + HALO))))
        second = self.begin(tile.part(axis, slice(middle - HALO, side)))

        def joined() -> FloatArray:
            upper = np.split(first(), [middle // CELL], axis)[0]
            lower = np.split(second(), [HALO // CELL], axis)[1]
            return np.concatenate([upper, lower], axis)

        return joined

    def _halve(self, side: int, error: Exception) -> None:
        smaller = side // 2 // DETAIL_STRIDE * DETAIL_STRIDE
        if smaller < 2 * (2 * HALO + DETAIL_STRIDE):
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


def planes_shape(height: int, width: int) -> tuple[int, int, int]:
    """The shape of the planes of so many pixels."""
    return height // CELL, width // CELL, PLANES * CELL * CELL


def network_planes(tile: Tile, planes: FloatArray) -> FloatArray:
    """What the network sees of a tile: `planes`, filled; see `bridge.detail.detail_planes`.

    planes: (R/2)×(C/2)×96 float32.
    """
    from drht_plugin.bridge.detail_planes import detail_planes, fill_hidden

    scene, display, guided = tile.scene, tile.display, tile.guided
    spec = scene.spec
    place = tile.rows, tile.columns, scene.conditions, spec.height, spec.width, scene.wrap
    if tile.hidden.size:
        display, guided = display.copy(), guided.copy()
        fill_hidden(tile.hidden, *place, display, guided)
    detail_planes(display, guided, *place, planes)
    return planes


def _out_of_memory() -> tuple[type[Exception], ...]:
    """What the network raises when its device has no memory left."""
    import torch

    return MemoryError, torch.OutOfMemoryError
