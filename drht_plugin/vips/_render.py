"""Renderers of windows, and the lazy images that they make."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy.typing as npt
import pyvips

from drht_plugin.engine.corrector import Corrector
from drht_plugin.engine.render.guided import render
from drht_plugin.engine.render.network.bands import tile_step
from drht_plugin.engine.render.network.windows import TILE, NetworkRenderer
from drht_plugin.engine.scene import Scene
from drht_plugin.engine.strength import Strength
from drht_plugin.geometry import Region, Window
from drht_plugin.libvips.lazy import DTYPES, Header, generate, set_result
from drht_plugin.vips._coding import ValueCoding
from drht_plugin.vips._survey import is_sequential

Pixels = npt.NDArray[Any]
Observer = Callable[[Region], None]

_STRIP_PIXELS = 1 << 21


class Renderer(Protocol):
    """Makes windows of the corrected image.

    halo: pixels around a window that it needs. tile: the side of the windows that suit it. cache:
    bytes of them that are worth keeping. wrap: columns outside the image are given too, as those
    one turn further.
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
        """The window's pixels; `pixels` are those of `around`, the window with its halo."""
        ...


@dataclass(frozen=True)
class GuidedTiles:
    """Guided detail: each pixel by itself.

    alone: windows are asked for one after another, as those of a sequential image are, so that
    each is for all cores.
    The cache holds eight rows of tiles of an image of 40000 RGB pixels of 8 bits, so that
    `resize(0.1)`, whose tiles reach over 1280 rows, renders none twice.
    """

    scene: Callable[[], Scene]
    coding: ValueCoding
    strength: Strength
    observe: Observer | None
    alone: bool = False
    halo: int = 0
    tile: int = 256
    cache: int = 1 << 28
    wrap: bool = False

    def __call__(self, window: Region, around: Region, pixels: Pixels) -> Pixels:
        """The window's pixels; see `Renderer`."""
        scene = self.scene()
        place = Window(window.top, window.left)
        with nullcontext() if self.alone else _one_thread():
            made = render(scene, self.coding.to_engine(pixels), place, strength=self.strength)
        if self.observe is not None:
            self.observe(window)
        return self.coding.from_engine(made, pixels)


@dataclass(frozen=True)
class NetworkTiles:
    """Network detail, on overlapping tiles.

    side: of the tiles that the network sees.
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
        """From one of the network's tiles to the next: windows and tiles then coincide."""
        return tile_step(self.side)

    @cached_property
    def _network(self) -> NetworkRenderer:
        return self.corrector.network_renderer(self.side)

    def __call__(self, window: Region, around: Region, pixels: Pixels) -> Pixels:
        """The window's pixels; see `Renderer`."""
        scene = self.scene()
        given = self.coding.to_engine(pixels)
        top, left = window.top - around.top, window.left - around.left
        inside = slice(top, top + window.height), slice(left, left + window.width)
        with _one_thread():
            made = self._network.render(scene, given, window, given=around, strength=self.strength)
        if self.observe is not None:
            self.observe(window)
        return self.coding.from_engine(made, pixels[inside])


def rendered_by(renderer: Renderer, image: pyvips.Image) -> pyvips.Image:
    """A lazy image of what the renderer makes of `image`; each tile is rendered once."""
    header = Header.of(image)
    margin = renderer.halo if renderer.wrap else 0
    source = image
    if margin:
        source = image.embed(margin, 0, image.width + 2 * margin, image.height, extend="repeat")
        header = Header.of(source)

    def moved(window: Region, around: Region, pixels: Pixels | None) -> Pixels:
        assert pixels is not None
        return renderer(_to_left(window, margin), _to_left(around, margin), pixels)

    generated = generate(header, moved, source=source, halo=renderer.halo)
    turn = generated.crop(margin, 0, image.width, image.height) if margin else generated
    cached = _cached(turn, renderer)
    set_result(generated, cached)
    return cached


def _to_left(region: Region, by: int) -> Region:
    return Region(region.top, region.left - by, region.height, region.width)


def _cached(image: pyvips.Image, renderer: Renderer) -> pyvips.Image:
    """Have each tile rendered once, however sinks and operations overlap what they ask for."""
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


@contextmanager
def _one_thread() -> Iterator[None]:
    """Run kernels on this thread alone: libvips has as many of them as there are cores."""
    import numba

    before = numba.get_num_threads()
    numba.set_num_threads(1)
    try:
        yield
    finally:
        numba.set_num_threads(before)
