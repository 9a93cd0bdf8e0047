"""Windows of the corrected image, rendered on a device from the stored pixels there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from drht_plugin.bridge.transfer import Y_MAX
from drht_plugin.engine.render.network.windows import NetworkRenderer, tile_pixels
from drht_plugin.engine.render.tensors import pixelwise
from drht_plugin.engine.render.tensors.device import DeviceScene, to_stored, to_upright
from drht_plugin.engine.render.tensors.network import Residual, TensorNetwork, TensorTile
from drht_plugin.engine.strength import FULL, Strength
from drht_plugin.engine.tiles import Piece, Tiling
from drht_plugin.geometry import Region


def guided_window(
    tables: DeviceScene, stored: Tensor, given: Region, window: Region, strength: Strength
) -> Tensor:
    """Render a window in guided detail.

    Args:
        tables: The scene on the pixels' device.
        stored: R×C×K stored pixels of `given`.
        given: Region of the stored image that holds the window.
        window: What is asked for, in the stored image.
        strength: How much of the correction is applied.

    Returns:
        The window's pixels as the image is stored, height×width×K.
    """
    own = _part(stored, given, window)
    if strength.strength == 0:
        return _not_corrected(tables, own, strength)
    upright = to_upright(own, tables.orientation)
    spec = tables.scene.spec
    display = pixelwise.to_display(upright, spec)
    tone = _tone(tables, display, tables.upright(window))
    mixed = pixelwise.mix(display, tone, strength)
    made = pixelwise.from_display(mixed, upright, spec, tables.touch(strength))
    return to_stored(made, tables.orientation)


def _not_corrected(tables: DeviceScene, own: Tensor, strength: Strength) -> Tensor:
    """Return what becomes of stored pixels at strength 0."""
    touch = tables.touch(strength)
    return own if touch is None else pixelwise.touch_alone(own, tables.scene.spec, touch)


def radiance_window(tables: DeviceScene, stored: Tensor, window: Region) -> Tensor:
    """Estimate the HDR of a window: height×width×n float32, 1.0 is the input's clip point.

    Args:
        tables: The scene on the pixels' device, with the grid of y.
        stored: R×C×K stored pixels of the window.
        window: Where they lie in the stored image.
    """
    upright = to_upright(stored, tables.orientation)
    display = pixelwise.to_display(upright, tables.scene.spec).clamp(0, 1)
    tone = _tone(tables, display, tables.upright(window))
    y = pixelwise.mix(display, tone, FULL, ceiling=Y_MAX)
    return to_stored(pixelwise.to_radiance(y), tables.orientation)


def _tone(tables: DeviceScene, display: Tensor, window: Region) -> Tensor:
    rows = np.arange(window.top, window.bottom)
    columns = tables.columns(window.left, window.width)
    return pixelwise.guided_tone(tables.tables, display, rows, columns, tables.size, tables.steps)


def _part(stored: Tensor, given: Region, window: Region) -> Tensor:
    top, left = window.top - given.top, window.left - given.left
    return stored[top : top + window.height, left : left + window.width]


class Strips:
    """What tiles show below the rows that have been rendered, for the windows that follow.

    In a pass from top to bottom each tile so is computed once. Several devices may share strips.

    Args:
        devices: How many devices take part in the pass.
    """

    def __init__(self, devices: int = 1) -> None:
        self.devices = devices
        self._kept: dict[tuple[int, ...], tuple[int, Tensor]] = {}

    def find(self, down: Piece, across: Piece) -> Tensor | None:
        """Return T of a tile's piece, rows×columns×3, if it was kept."""
        first, strip = self._kept.get(_name(down, across), (down.stop, None))
        if strip is None or down.start < first or down.stop > first + len(strip):
            return None
        return strip[down.start - first : down.stop - first]

    def keep(self, down: Piece, across: Piece, below: Tensor) -> None:
        """Keep what a tile shows below a piece; what lies above its row of tiles goes."""
        kept = {key: strip for key, strip in self._kept.items() if key[0] >= down.tile - 1}
        self._kept = {**kept, _name(down, across): (down.stop, below.clone())}

    @contextmanager
    def all_or_none(self) -> Iterator[None]:
        """Keep nothing of a window that could not be rendered."""
        before = self._kept
        try:
            yield
        except BaseException:
            self._kept = before
            raise


def _name(down: Piece, across: Piece) -> tuple[int, ...]:
    return down.tile, across.tile, across.start, across.stop, across.shift


class _TileSource(NamedTuple):
    """Stored pixels, turned upright, that tiles are made from.

    Attributes:
        tables: The scene on the device.
        source: R×C×K stored pixels of `given`.
        given: Where they lie in the upright image.
        cut: How the image is cut into tiles.
        denoise: See `Strength`.
    """

    tables: DeviceScene
    source: Tensor
    given: Region
    cut: Tiling
    denoise: float


class NetworkWindows:
    """Renders windows in network detail on a device.

    Args:
        residual: The detail network.
        tile: Side of the largest square of pixels that the network is given.
        strips: Of a pass over whole rows from top to bottom, in which each tile is computed once.
            None for windows in any order.
    """

    def __init__(self, residual: Residual, tile: int, strips: Strips | None = None) -> None:
        self.tile, self._strips = tile, strips
        self._network = TensorNetwork(residual, tile)

    def __call__(
        self,
        tables: DeviceScene,
        stored: Tensor,
        given: Region,
        window: Region,
        strength: Strength,
    ) -> Tensor:
        """Render a window; arguments as of `guided_window`.

        `given` holds the window and `NetworkRenderer.halo_in_order` pixels around it, as far as the
        image goes; of a panorama whole rows.
        """
        own = _part(stored, given, window)
        if strength.strength == 0:
            return _not_corrected(tables, own, strength)
        if self._strips is None:
            return self._render(tables, stored, given, window, strength)
        with self._strips.all_or_none():
            return self._render(tables, stored, given, window, strength)

    def _render(
        self,
        tables: DeviceScene,
        stored: Tensor,
        given: Region,
        window: Region,
        strength: Strength,
    ) -> Tensor:
        own = _part(stored, given, window)
        source = to_upright(stored, tables.orientation)
        scene = tables.scene
        cut = NetworkRenderer.tiling_of(scene.spec, self.tile, wrap=scene.wrap)
        tiles = _TileSource(tables, source, tables.upright(given), cut, strength.denoise)
        tone = self._tone(tiles, tables.upright(window))
        spec, upright = tables.scene.spec, to_upright(own, tables.orientation)
        display = pixelwise.to_display(upright, spec)
        if spec.colours == 1:
            tone = pixelwise.weighted_luma(tone)[..., None]
        mixed = pixelwise.mix(display, tone, strength)
        made = pixelwise.from_display(mixed, upright, spec, tables.touch(strength))
        return to_stored(made, tables.orientation)

    def _tone(self, tiles: _TileSource, window: Region) -> Tensor:
        """Blend the tiles that show in an upright window: T, height×width×3."""
        scene, device, cut = tiles.tables.scene, tiles.tables.device, tiles.cut
        left = window.left - scene.origin
        total = torch.zeros((window.height, window.width, 3), device=device)
        pieces = [
            (down, across)
            for down in cut.rows.pieces(window.top, window.bottom)
            for across in cut.columns.pieces(left, left + window.width)
        ]
        made: dict[tuple[Piece, Piece], Tensor] = {}
        if self._strips is not None and self._strips.devices > 1:
            # What another device still works on is waited for after all that is to do here.
            for piece in pieces:
                if self._strips.find(*piece) is None:
                    made[piece] = self._shown(tiles, *piece)
        for down, across in pieces:
            tile = made.pop((down, across), None)
            if tile is None:
                tile = self._shown(tiles, down, across)
            weights = _weights(cut, down, across, device)
            first, begin = down.start + down.shift - window.top, across.start + across.shift - left
            place = total[first : first + len(tile), begin : begin + tile.shape[1]]
            place += weights * tile
        return total

    def _shown(self, tiles: _TileSource, down: Piece, across: Piece) -> Tensor:
        """Return T of a tile's piece; what the tile shows below the piece is kept."""
        strips, tables, given, cut = self._strips, tiles.tables, tiles.given, tiles.cut
        if strips is None:
            return self._tile(tiles, (down.start, down.stop), across)
        kept = strips.find(down, across)
        if kept is not None:
            return kept.to(tables.device, non_blocking=True)
        bottom = cut.rows.support(down.tile)[1]
        there = bottom + NetworkRenderer.halo <= given.bottom or given.bottom == tables.size[0]
        stop = bottom if there and tables.orientation == 1 else down.stop
        tile = self._tile(tiles, (down.start, stop), across)
        if stop > down.stop:
            strips.keep(down, across, tile[down.stop - down.start :])
        return tile[: down.stop - down.start]

    def _tile(self, tiles: _TileSource, down: tuple[int, int], across: Piece) -> Tensor:
        """Compute T of rows `down` and columns of a piece: rows×columns×3 float32."""
        tables, source, given, cut, denoise = tiles
        scene, spec = tables.scene, tables.scene.spec
        sight = tile_pixels(cut, down, (across.start, across.stop))
        rows, columns = sight.rows, sight.columns
        place = columns
        if scene.wrap:
            # Columns go on around the panorama; whole rows are read from their other end.
            place = sight.left + across.shift + scene.origin + np.arange(len(columns))
            if given.width == tables.size[1]:
                place = place % tables.size[1]
        place = place - given.left
        device = tables.device
        block = source.index_select(0, torch.from_numpy(rows - given.top).to(device))
        block = block.index_select(1, torch.from_numpy(place).to(device))
        display = pixelwise.to_display(block, spec).clamp(0, 1)
        guided = pixelwise.guided_tone(
            tables.tables, display, rows, columns, tables.size, tables.steps
        )
        guided = pixelwise.mix(display, guided, FULL)
        hidden = block[..., spec.alpha] == 0 if spec.alpha >= 0 else None
        if spec.colours == 1:
            display, guided = (each.expand(-1, -1, 3) for each in (display, guided))
        tile = TensorTile(
            display,
            guided,
            tables.conditions(denoise),
            rows,
            columns,
            tables.size,
            scene.wrap,
            hidden,
        )
        tone = guided + self._network(tile)
        top, left = down[0] - sight.top, across.start - sight.left
        return tone[top : top + down[1] - down[0], left : left + across.stop - across.start]


def _weights(cut: Tiling, down: Piece, across: Piece, device: torch.device) -> Tensor:
    rows = torch.from_numpy(cut.rows.weights(down)).to(device)
    columns = torch.from_numpy(cut.columns.weights(across)).to(device)
    return rows[:, None, None] * columns[None, :, None]
