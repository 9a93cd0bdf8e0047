"""`correct` and `survey` for libvips images."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy.typing as npt
import pyvips

from drht_plugin.engine.correct import _corrector as shared_corrector
from drht_plugin.engine.correct import require_detail
from drht_plugin.engine.pixels import kind_of
from drht_plugin.engine.render import Strength, Window, render
from drht_plugin.engine.scene import Scene
from drht_plugin.engine.tiles import Region
from drht_plugin.errors import InputError
from drht_plugin.vips._coding import Coding, as_rgb, coding_of
from drht_plugin.vips._generate import DTYPES, Header, generate, set_result
from drht_plugin.vips._survey import Rows, is_sequential, reader, shared_survey

Pixels = npt.NDArray[Any]
Observer = Callable[[Region], None]

_TILE = 256
_STRIP_PIXELS = 1 << 20
_CACHE_BYTES = 1 << 28
"""Tiles that are kept: eight rows of them at 40000 RGB pixels of 8 bits, so that `resize(0.1)`,
whose tiles reach over 1280 rows, renders none twice."""


def correct(
    image: pyvips.Image,
    *,
    strength: float = 1.0,
    shadows: float = 1.0,
    highlights: float = 1.0,
    detail: str = "auto",
    transfer: str | None = None,
    wrap: bool = False,
    model: str | Path = "default",
    device: str = "auto",
    scene: Scene | None = None,
    observe: Observer | None = None,
) -> pyvips.Image:
    """A lazy image: `image`, corrected where and when its pixels are asked for.

    Nothing is computed here. With the first pixels the whole image is surveyed, once for all
    corrections of it; then each tile is rendered when it is asked for, on libvips' threads. The
    pixels are those that `drht_plugin.correct` makes of the same values, bit for bit.

    Args:
        image: gray or RGB, with or without alpha, of uchar, ushort, float or double. Integers and
            the values of a profile are taken as coded. White of floats is 1 in scRGB and
            multiband images, and as elsewhere in libvips 255 in sRGB, RGB and B_W ones, 65535 in
            RGB16 and GREY16. LAB, XYZ, HSV and their kin are corrected in scRGB and come back.
            A sequential image must be a file just opened, which is then read twice.
        strength, shadows, highlights, detail, model, device: see `drht_plugin.correct`.
        transfer: "srgb" or "linear"; None takes scRGB for linear and all else for display-encoded.
        wrap: a 360° panorama, whose left and right edges meet.
        scene: of this image, from `survey`; then transfer, wrap, model and device are its own.
        observe: called with each region as it is rendered, on the thread that rendered it.

    Returns:
        An image of the same size, bands, format, interpretation and metadata.

    Raises:
        InputError: an image or argument outside the above. What goes wrong later, such as NaN in
            the image, ends the sink with a `pyvips.Error` that says so; `run` raises the original.
    """
    applied = Strength(strength, shadows, highlights)
    require_detail(detail)
    rgb, back = as_rgb(_require_image(image))
    coding = coding_of(rgb, _transfer_of(scene, transfer))
    if scene is None:
        corrector = shared_corrector(model, device, None)
        make_scene = shared_survey(image, coding, wrap=wrap, corrector=corrector).scene
    else:
        _require_scene_of(rgb, coding, scene)

        def make_scene() -> Scene:
            return scene

    if applied.strength == 0:
        return image.copy()
    renderer = _Guided(make_scene, coding, applied, observe)
    corrected = generate(Header.of(rgb), renderer, source=rgb, halo=renderer.halo)
    result = back(_cached(corrected, renderer.tile))
    set_result(corrected, result)
    return result


def survey(
    image: pyvips.Image,
    *,
    transfer: str | None = None,
    wrap: bool = False,
    model: str | Path = "default",
    device: str = "auto",
) -> Scene:
    """Look at the whole image now; the scene serves `correct` for this image or a copy of it.

    Args and errors are those of `correct`. The pixels of a sequential image are used up.
    """
    rgb, _ = as_rgb(_require_image(image))
    coding = coding_of(rgb, transfer)
    # A panorama is read more than once.
    open_ = reader(image) if wrap else lambda: rgb
    corrector = shared_corrector(model, device, None)
    return corrector.survey(Rows(open_, coding), transfer=coding.transfer, wrap=wrap)


def require_settings(
    image: pyvips.Image,
    *,
    strength: float = 1.0,
    shadows: float = 1.0,
    highlights: float = 1.0,
    detail: str = "auto",
    transfer: str | None = None,
    **_others: Any,
) -> None:
    """Refuse what `correct` would refuse, without making anything.

    Raises:
        InputError: as `correct`.
    """
    Strength(strength, shadows, highlights)
    require_detail(detail)
    coding_of(as_rgb(image)[0], transfer)


@dataclass(frozen=True)
class _Guided:
    """Renders windows in guided detail.

    halo: pixels around a window that it needs. tile: the size of windows that suits it.
    """

    scene: Callable[[], Scene]
    coding: Coding
    strength: Strength
    observe: Observer | None
    halo: int = 0
    tile: int = _TILE

    def __call__(self, window: Region, around: Region, pixels: Pixels | None) -> Pixels:
        assert pixels is not None
        scene = self.scene()
        place = Window(window.top, window.left)
        with _one_thread():
            made = render(scene, self.coding.to_engine(pixels), place, self.strength)
        if self.observe is not None:
            self.observe(window)
        return self.coding.from_engine(made, pixels)


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


def _cached(image: pyvips.Image, tile: int) -> pyvips.Image:
    """Have each tile rendered once, however sinks and operations overlap what they ask for."""
    if is_sequential(image):
        rows = max(16, _STRIP_PIXELS // image.width // 16 * 16)
        return image.linecache(tile_height=min(rows, 512), access="sequential", threaded=True)
    columns = -(-image.width // tile)
    item = DTYPES[str(image.format)].itemsize
    rows = _CACHE_BYTES // (columns * tile**2 * image.bands * item)
    return image.tilecache(
        tile_width=tile, tile_height=tile, max_tiles=max(2, rows) * columns + 2, threaded=True
    )


def _require_image(image: Any) -> pyvips.Image:
    if not isinstance(image, pyvips.Image):
        raise InputError(f"the image is a {type(image).__name__}; expected a pyvips.Image")
    return image


def _transfer_of(scene: Scene | None, transfer: str | None) -> str | None:
    if scene is None:
        return transfer
    return "linear" if scene.kind.linear else "srgb"


def _require_scene_of(rgb: pyvips.Image, coding: Coding, scene: Scene) -> None:
    given = kind_of(Rows(lambda: rgb, coding), coding.transfer)
    if given != scene.kind:
        raise InputError(f"the image is {given}; the scene is that of {scene.kind}")
