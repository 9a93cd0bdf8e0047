"""Render windows of a corrected image lazily."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy.typing as npt
import pyvips

from drht_plugin.bridge.sharing import limit_threads
from drht_plugin.engine.bands import WindowRenderer
from drht_plugin.engine.corrector import Corrector
from drht_plugin.engine.render.network.network_bands import tile_step
from drht_plugin.engine.render.network.windows import TILE, NetworkRenderer
from drht_plugin.engine.scene import Scene
from drht_plugin.engine.strength import Strength
from drht_plugin.geometry import Region
from drht_plugin.libvips.lazy import DTYPES, Header, generate, link_kill_flag
from drht_plugin.vips._coding import ValueCoding
from drht_plugin.vips._survey import is_sequential

Pixels = npt.NDArray[Any]
Observer = Callable[[Region], None]

_STRIP_PIXELS = 1 << 21
"""Size of the strips in which a sequential image is rendered."""


class Renderer(Protocol):
    """Renderer of windows of the corrected image.

    Attributes:
        halo: pixels around a window that it needs.
        tile: preferred side of a window, in pixels.
        cache: size of the cache of rendered tiles, in bytes.
        wrap: whether its input includes columns beyond the left and right edges of a panorama.
    """

    @property
    def halo(self) -> int: ...
    @property
    def tile(self) -> int: ...
    @property
    def cache(self) -> int: ...
    @property
    def wrap(self) -> bool: ...

    def __call__(self, window: Region, around: Region, pixels: Pixels) -> Pixels:
        """Render a window.

        Args:
            window: region to render.
            around: the window and its halo.
            pixels: of `around`, R×C×bands, in the image's encoding.

        Returns:
            The window's pixels, height×width×bands, in the image's encoding.
        """
        ...


@dataclass(frozen=True)
class GuidedTiles:
    """Renderer of guided detail, which needs no halo.

    The cache holds eight rows of tiles of an 8-bit RGB image 40000 pixels wide. So `resize(0.1)`,
    whose tiles span 1280 rows, renders no tile twice.

    Attributes:
        scene: returns the image's scene.
        coding: of the image's values.
        strength: of the correction.
        observe: called with each rendered window; or None.
        renderer: renders the windows.
        all_cores: whether a window is rendered on all cores. That suits sequential images, whose
            windows are asked for one after another.
        halo: see `Renderer`.
        tile: see `Renderer`.
        cache: see `Renderer`.
        wrap: see `Renderer`.
    """

    scene: Callable[[], Scene]
    coding: ValueCoding
    strength: Strength
    observe: Observer | None
    renderer: WindowRenderer
    all_cores: bool = False
    halo: int = 0
    tile: int = 256
    cache: int = 1 << 28
    wrap: bool = False

    def __call__(self, window: Region, around: Region, pixels: Pixels) -> Pixels:
        """See `Renderer`."""
        scene, given = self.scene(), self.coding.to_engine(pixels)
        with nullcontext() if self.all_cores else limit_threads(1):
            made = self.renderer.render(scene, given, window, given=window, strength=self.strength)
        if self.observe is not None:
            self.observe(window)
        return self.coding.from_engine(made, pixels)


@dataclass(frozen=True)
class NetworkTiles:
    """Renderer of network detail, on overlapping tiles.

    Attributes:
        scene: returns the image's scene.
        coding: of the image's values.
        strength: of the correction.
        observe: called with each rendered window; or None.
        corrector: loads the network.
        wrap: see `Renderer`.
        side: of the network's tiles, in pixels.
        halo: see `Renderer`.
        cache: see `Renderer`.
    """

    scene: Callable[[], Scene]
    coding: ValueCoding
    strength: Strength
    observe: Observer | None
    corrector: Corrector
    wrap: bool
    side: int = TILE
    halo: int = NetworkRenderer.halo
    cache: int = 1 << 29

    @property
    def tile(self) -> int:
        """Stride of the network's tiles, so that windows coincide with tiles."""
        return tile_step(self.side)

    @cached_property
    def _network(self) -> WindowRenderer:
        return self.corrector.window_renderer("network", self.side)

    def __call__(self, window: Region, around: Region, pixels: Pixels) -> Pixels:
        """See `Renderer`."""
        scene = self.scene()
        given = self.coding.to_engine(pixels)
        top, left = window.top - around.top, window.left - around.left
        inside = slice(top, top + window.height), slice(left, left + window.width)
        with limit_threads(1):
            made = self._network.render(scene, given, window, given=around, strength=self.strength)
        if self.observe is not None:
            self.observe(window)
        return self.coding.from_engine(made, pixels[inside])


def render_lazily(renderer: Renderer, image: pyvips.Image) -> pyvips.Image:
    """Return a lazy image of the renderer's output, with a cache of rendered tiles.

    Args:
        renderer: makes windows.
        image: converted by `as_rgb`; its pixels are the renderer's input.
    """
    header = Header.of(image)
    margin = renderer.halo if renderer.wrap else 0
    source = image
    if margin:
        source = image.embed(margin, 0, image.width + 2 * margin, image.height, extend="repeat")
        header = Header.of(source)

    def render_shifted(window: Region, around: Region, pixels: Pixels | None) -> Pixels:
        assert pixels is not None
        return renderer(_shift_left(window, margin), _shift_left(around, margin), pixels)

    generated = generate(header, render_shifted, source=source, halo=renderer.halo)
    cropped = generated.crop(margin, 0, image.width, image.height) if margin else generated
    cached = _cache_tiles(cropped, renderer)
    link_kill_flag(generated, cached)
    return cached


def _shift_left(region: Region, by: int) -> Region:
    return Region(region.top, region.left - by, region.height, region.width)


def _cache_tiles(image: pyvips.Image, renderer: Renderer) -> pyvips.Image:
    """Cache rendered tiles, as sinks and operations ask for overlapping windows."""
    if is_sequential(image):
        rows = renderer.tile
        if not renderer.halo:
            rows = min(512, max(16, _STRIP_PIXELS // image.width // 16 * 16))
        return image.linecache(tile_height=rows, access="sequential", threaded=True)
    side = renderer.tile
    columns = -(-image.width // side)
    item = DTYPES[str(image.format)].itemsize
    rows = renderer.cache // (columns * side**2 * image.bands * item)
    return image.tilecache(
        tile_width=side, tile_height=side, max_tiles=max(2, rows) * columns + 2, threaded=True
    )
