"""Picture files as lazy images that a browser can show: upright, in 8 bits, or in linear light."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyvips

from drht_plugin.colour.cicp import Cicp
from drht_plugin.colour.spaces import SRGB, ColourSpace, space_of
from drht_plugin.errors import InputError
from drht_plugin.geometry import Region
from drht_plugin.io import (
    Damaged,
    PictureFile,
    open_picture,
    orientation,
    stated_profile,
    with_profile,
)
from drht_plugin.libvips.lazy import Header, generate, run
from drht_plugin.orientation import upright_size

Pixels = npt.NDArray[Any]
Convert = Callable[[Pixels], Pixels]

_BAND_BYTES = 8 << 20
_MAX_HELD_BYTES = 256 << 20
"""Pictures up to this size are turned in memory, larger ones on the disk (bytes)."""

_P3 = Cicp(12, 13)
"""Display P3, in which pictures of another colour space than sRGB are shown."""

_LARGEST_HALF = 65504.0


@dataclass(frozen=True)
class Shown:
    """A picture as a page shows it.

    Attributes:
        image: upright and lazy, read once from top to bottom. Display codes in uchar: gray, gray +
            alpha, RGB or RGB + alpha; or linear light in float: RGB in linear sRGB, 1.0 is white.
        light: whether it is linear light.
        wide: whether its codes are in Display P3, whose profile it carries; otherwise in sRGB.
    """

    image: pyvips.Image
    light: bool
    wide: bool


@dataclass(frozen=True)
class Stored:
    """How a file holds a picture.

    Attributes:
        height: in pixels, as stored.
        width: likewise.
        turn: the orientation that it states, 1 to 8.
    """

    height: int
    width: int
    turn: int

    @property
    def size(self) -> tuple[int, int]:
        """Height and width upright."""
        return upright_size(self.height, self.width, self.turn)


def stored(path: Path, *, damaged: Damaged) -> Stored:
    """Read the size and the orientation of a picture file.

    Raises:
        ReadError: see `open_picture`.
    """
    with open_picture(path, damaged=damaged) as picture:
        height, width, _ = picture.shape
        return Stored(height, width, orientation(picture.carrier.metadata))


@contextmanager
def shown(path: Path, room: Path, *, damaged: Damaged, turn: int) -> Iterator[Shown]:
    """Open a picture file to show it.

    A profile that cannot be used is taken for sRGB, as a correction does.

    Args:
        path: of the file.
        room: name of a new file, for a large picture that has to be turned.
        damaged: see `open_picture`.
        turn: orientation of the stored pixels, 1 to 8.

    Yields:
        The picture, which can be read until the file is closed.

    Raises:
        ReadError: see `open_picture`; or, from the sink that reads the image, pixels are damaged.
    """
    with open_picture(path, damaged=damaged) as picture:
        made = _light(picture) if picture.transfer == "linear" else _codes(picture)
        turned = _upright(made.image, turn, room)
        yield Shown(turned, made.light, made.wide)


def _space_of(picture: PictureFile, colours: int) -> ColourSpace:
    try:
        profile = stated_profile(picture.carrier.metadata, colours=colours)
        return space_of(profile, colours=colours, linear=picture.transfer == "linear")
    except InputError:
        return SRGB


def _light(picture: PictureFile) -> Shown:
    """Convert to linear sRGB; transparent pixels are seen on black."""
    height, width, channels = picture.shape
    colours = 1 if channels < 3 else 3
    space = _space_of(picture, colours)

    def convert(rows: Pixels) -> Pixels:
        values = rows[..., :colours].astype(np.float32)
        if channels in (2, 4):
            values = values * rows[..., -1:].astype(np.float32)
        values = np.nan_to_num(values, nan=0.0, posinf=_LARGEST_HALF, neginf=0.0)
        # Values of linear files are the space's own light.
        return np.clip(space.to_srgb(values), 0, _LARGEST_HALF).astype(np.float32)

    return Shown(_rows(picture, Header(width, height, 3, "float", "scrgb"), convert), True, False)


def _codes(picture: PictureFile) -> Shown:
    """Convert to 8-bit codes of sRGB or Display P3."""
    height, width, channels = picture.shape
    colours = 1 if channels < 3 else 3
    space = _space_of(picture, colours)
    plain = "b-w" if colours == 1 else "srgb"
    if space is SRGB:
        header = Header(width, height, channels, "uchar", plain)
        return Shown(_rows(picture, header, to_bytes), False, False)
    if picture.dtype.kind == "f":
        header = Header(width, height, 3 + channels - colours, "uchar", "srgb")
        image = _rows(picture, header, lambda rows: _to_p3(rows, space, colours)).copy()
        image.set_type(pyvips.GValue.blob_type, "icc-profile-data", _P3.profile())
        return Shown(image, False, True)
    deep = picture.dtype == np.uint16
    space_name = ("grey16" if colours == 1 else "rgb16") if deep else plain
    header = Header(width, height, channels, "ushort" if deep else "uchar", space_name)
    image = _rows(picture, header, lambda rows: rows).copy()
    icc = with_profile(picture.carrier.metadata, colours=colours, keeps_points=False).icc
    image.set_type(pyvips.GValue.blob_type, "icc-profile-data", icc)
    return Shown(image.icc_transform("p3", embedded=True, depth=8, intent="relative"), False, True)


def to_bytes(codes: Pixels) -> Pixels:
    """Round display codes of any type to uint8, clipped to 0..1."""
    if codes.dtype == np.uint8:
        return codes
    if codes.dtype == np.uint16:
        return ((codes.astype(np.uint32) * 255 + 32767) // 65535).astype(np.uint8)
    values = np.nan_to_num(codes.astype(np.float32), nan=0.0)
    return np.rint(np.clip(values, 0, 1) * 255).astype(np.uint8)


def _to_p3(rows: Pixels, space: ColourSpace, colours: int) -> Pixels:
    values = np.nan_to_num(rows.astype(np.float32), nan=0.0)
    linear = space.to_srgb(space.decode(values[..., :colours]))
    wide = space_of(_P3, colours=3)
    codes = wide.encode(wide.from_srgb(linear, linear))
    return to_bytes(np.concatenate([codes, values[..., colours:]], -1))


def _rows(picture: PictureFile, header: Header, convert: Convert) -> pyvips.Image:
    """Return a lazy image of a file's rows, which are read in order."""
    lock = threading.Lock()  # a file has one reader

    def render(window: Region, _around: Region, _source: Pixels | None) -> Pixels:
        with lock:
            rows = picture[window.top : window.top + window.height]
        return convert(rows)[:, window.left : window.left + window.width]

    widest = max(math.prod(picture.shape[1:]) * 8, 1)
    band = min(max(_BAND_BYTES // widest, 1), 64)
    return generate(header, render).sequential(tile_height=band)


def _upright(image: pyvips.Image, turn: int, room: Path) -> pyvips.Image:
    if turn == 1:
        return image
    # Rows come from top to bottom only, and turning needs them in another order.
    if image.width * image.height * image.bands <= _MAX_HELD_BYTES:
        held = run(image, image.copy_memory)
    else:
        run(image, lambda: image.vipssave(str(room)))
        held = pyvips.Image.vipsload(str(room))
    turned = held.copy()
    turned.set_type(pyvips.GValue.gint_type, "orientation", turn)
    return turned.autorot()
