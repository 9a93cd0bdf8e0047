"""Network detail on a device: what `bridge.detail_planes` lays out, and tiles of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from drht_plugin.bridge.sizes import (
    CELL,
    CLIP_FROM,
    CONTRAST_DEVIATIONS,
    CONTRAST_LEAST,
    FINE_SCALE,
    HALO,
    MEAN_RADIUS,
    NOISE_SCALE,
    PLANES,
    Y_MOST,
)
from drht_plugin.engine.render.network.tile import TileLimit, split_tile
from drht_plugin.engine.render.tensors.pixelwise import Coordinates, interpolate, taps

Residual = Callable[[Tensor], Tensor]
"""The detail network: planes 1×96×h×w float32 to what guided T lacks, 1×12×h×w float32."""


@dataclass(frozen=True)
class TensorTile:
    """Pixels that the network sees at once.

    Attributes:
        display: R×C×3 float32, x in 0..1.
        guided: R×C×3 float32, guided T.
        conditions: h×w×11 float32, see `Scene.conditions`.
        rows, columns: Coordinates of the R rows and C columns in the scene.
        size: Height and width of the image.
        wrap: Columns are periodic.
        hidden: R×C, pixels whose colours do not count; None where there are none.
    """

    display: Tensor
    guided: Tensor
    conditions: Tensor
    rows: Coordinates
    columns: Coordinates
    size: tuple[int, int]
    wrap: bool
    hidden: Tensor | None = None

    def part(self, axis: int, span: slice) -> TensorTile:
        """Return the rows (axis 0) or columns (axis 1) of a span."""
        down, across = (span, slice(None)) if axis == 0 else (slice(None), span)
        return TensorTile(
            self.display[down, across],
            self.guided[down, across],
            self.conditions,
            self.rows[down],
            self.columns[across],
            self.size,
            self.wrap,
            None if self.hidden is None else self.hidden[down, across],
        )


def detail_planes(tile: TensorTile) -> Tensor:
    """Lay a tile out for the detail network; see `bridge.detail_planes.detail_planes`.

    Returns:
        1×96×(R/2)×(C/2) float32.
    """
    device = tile.display.device
    (height, width), over = tile.size, tile.conditions.shape
    there = interpolate(
        tile.conditions,
        taps(tile.rows, height, over[0], device),
        taps(tile.columns, width, over[1], device, wrap=tile.wrap),
    )
    x, t, y, noise = there[..., :3], there[..., 3:6], there[..., 6:9], there[..., 9:]
    display, guided = tile.display, tile.guided
    if tile.hidden is not None:
        display = torch.where(tile.hidden[..., None], x, display)
        guided = torch.where(tile.hidden[..., None], t, guided)
    noise = (NOISE_SCALE * noise).clamp(max=1)
    usual = CONTRAST_DEVIATIONS * noise[..., :1] + CONTRAST_LEAST
    fine = _against_neighbours(display)
    most = display.amax(-1, keepdim=True)
    features = torch.cat(
        [
            display,
            display - x,
            t,
            y.clamp(0, Y_MOST),
            guided,
            ((most - CLIP_FROM) * (1 / (1 - CLIP_FROM))).clamp_min(0),
            noise,
            fine / (fine.abs() + usual),
            FINE_SCALE * _against_neighbours(guided),
        ],
        -1,
    )
    rows, columns = len(tile.rows) // CELL, len(tile.columns) // CELL
    places = features.view(rows, CELL, columns, CELL, PLANES).permute(1, 3, 4, 0, 2)
    return places.reshape(1, CELL * CELL * PLANES, rows, columns)


def to_pixels(places: Tensor) -> Tensor:
    """Convert the network's output 1×12×(R/2)×(C/2) to pixels R×C×3."""
    _, _, rows, columns = places.shape
    split = places.view(CELL, CELL, 3, rows, columns).permute(3, 0, 4, 1, 2)
    return split.reshape(CELL * rows, CELL * columns, 3)


def _against_neighbours(picture: Tensor) -> Tensor:
    """Subtract the mean of the 5×5 pixels around from each pixel, R×C×3; edges are repeated."""
    planes = picture.permute(2, 0, 1)[None]
    padded = F.pad(planes, (MEAN_RADIUS,) * 4, mode="replicate")
    return (planes - F.avg_pool2d(padded, 2 * MEAN_RADIUS + 1, 1))[0].permute(1, 2, 0)


class TensorNetwork:
    """The detail network on tiles of any size; safe to call from several threads.

    Where the device has no memory for a tile, smaller ones are used from then on, and a
    `DrhtWarning` says so; the result stays the same.

    Args:
        residual: The network.
        most: Side of the largest square of pixels that the network is given.
    """

    def __init__(self, residual: Residual, most: int) -> None:
        self._residual, self._limit = residual, TileLimit(most)

    def __call__(self, tile: TensorTile) -> Tensor:
        """Return what guided T of a tile lacks, R×C×3 float32.

        The sides are multiples of `DETAIL_STRIDE`. Results within `HALO` of the border are invalid.
        """
        height, width = len(tile.rows), len(tile.columns)
        if self._limit.allows(height, width):
            try:
                return to_pixels(self._residual(detail_planes(tile)))
            except (MemoryError, torch.OutOfMemoryError) as error:
                self._limit.halve(max(height, width), error)
        axis, middle, above, below = split_tile(height, width)
        first, second = self(tile.part(axis, above)), self(tile.part(axis, below))
        rest = second.shape[axis] - HALO
        return torch.cat([first.narrow(axis, 0, middle), second.narrow(axis, HALO, rest)], axis)
