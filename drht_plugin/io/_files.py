"""Reading and writing picture files: what is accepted, what is refused, and by which words."""

import mmap
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from drht_plugin.errors import InputError, ReadError, WriteError
from drht_plugin.io import _ifd
from drht_plugin.io._atomic import replacing
from drht_plugin.io._codec import CodecError, UnsupportedError
from drht_plugin.io._formats import (
    FORMATS,
    HEADER_BYTES,
    Format,
    by_suffix,
    holders,
    holds,
    readable_suffixes,
    sniff,
    writable_suffixes,
)
from drht_plugin.io._metadata import Carrier, orientation, sound
from drht_plugin.io._pixels import Pixels, turned

_HALF_MAX = float(np.finfo(np.float16).max)
_HDR_NOTE = "Scene-linear radiance; 1.0 is the clip point of the input picture."
_HEIF = ("avif", "heic")


@dataclass(frozen=True)
class Picture:
    """One picture file's pixels, and all that must survive beside them.

    Attributes:
        pixels: H×W×C, C-contiguous; uint8, uint16, float16 or float32; 1 channel is gray, 2 gray
            and alpha, 3 RGB, 4 RGB and alpha. Alpha is straight. As coded in the file: not turned
            by the orientation tag, not converted by the profile.
        transfer: "srgb" for display-encoded values, "linear" for scene-linear ones (OpenEXR,
            Radiance HDR, PFM).
        carrier: What `write_picture` needs to give back metadata and manner of storing.
    """

    pixels: NDArray[Any]
    transfer: str
    carrier: Carrier


class _Backend(Protocol):
    def read(self, path: Path, name: str, buffer: _ifd.Buffer) -> tuple[Pixels, Carrier]: ...

    def write(
        self, path: Path, name: str, pixels: Pixels, carrier: Carrier, quality: int | None
    ) -> None: ...


def _backend(row: Format) -> _Backend:
    if row.backend == "vips":
        from drht_plugin.io import _vips

        return _vips
    from drht_plugin.io import _oiio

    return _oiio


def _called(path: Path) -> str:
    return path.name or str(path)


def read_picture(path: str | PathLike[str]) -> Picture:
    """Read one picture file.

    Args:
        path: A file whose suffix is among `readable_suffixes` and says what it really is.

    Returns:
        The pixels as coded in the file, and what must survive beside them. Palettes and 1, 2 and
        4 bits come as uint8; 10, 12 and 14 bits as uint16 over its whole range; half-float
        OpenEXR with alpha as float32, so that its alpha can be undone exactly.

    Raises:
        ReadError: The file is missing, empty, damaged, cut short, of another format than its name
            says, or of a kind that is not read: CMYK, Lab, camera raw, 32-bit integers, more than
            4 channels, several pages. The message starts with the file's name.
    """
    path = Path(path)
    try:
        with open(path, "rb") as file:
            row = _recognised(path, file.read(HEADER_BYTES))
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as buffer:
                pixels, carrier = _backend(row).read(path, row.name, buffer)
    except UnsupportedError as error:
        raise ReadError(f"{_called(path)}: {error}") from error
    except (CodecError, ValueError, IndexError, struct.error) as error:
        raise ReadError(f"{_called(path)}: is damaged or ends early ({error})") from error
    except OSError as error:
        raise ReadError(f"{_called(path)}: cannot be read: {error.strerror or error}") from error
    carrier = replace(carrier, metadata=sound(carrier.metadata))
    return Picture(np.ascontiguousarray(pixels), row.transfer, carrier)


def _recognised(path: Path, header: bytes) -> Format:
    """Return the format of a file; refuse one whose name or content is not understood."""
    if not header:
        raise ReadError(f"{_called(path)}: is empty (0 bytes)")
    named, found = by_suffix(path.suffix), sniff(header)
    label = FORMATS[found].label if found in FORMATS else found
    if named is None:
        known = ", ".join(sorted(readable_suffixes()))
        raise ReadError(f"{_called(path)}: suffix '{path.suffix}' is not read; these are: {known}")
    if found is None:
        raise ReadError(f"{_called(path)}: is not a {named.label} picture")
    if found != named.name:
        raise ReadError(
            f"{_called(path)}: is a {label} picture, not {named.label} as its name says"
        )
    return named


def upright(picture: Picture) -> NDArray[Any]:
    """Return the pixels as a viewer shows them: turned by the orientation tag, H×W×C."""
    return turned(picture.pixels, orientation(picture.carrier.metadata))


def write_picture(
    path: str | PathLike[str],
    pixels: NDArray[Any],
    picture: Picture,
    *,
    quality: int | None = None,
) -> None:
    """Write pixels with the metadata of the picture that they were made from.

    The file appears under its name when it is whole; a failure leaves nothing behind, and a file
    that was there untouched.

    Args:
        path: Target; its suffix, among `writable_suffixes`, names the format.
        pixels: Same shape and dtype as ``picture.pixels``.
        picture: The source, as `read_picture` gave it.
        quality: 1 to 100, for JPEG, WebP and AVIF; others are stored exactly and ignore it. By
            default a JPEG source's own quality, 95 for other lossy sources, and exact
            storage of exact sources where the format can.

    Raises:
        InputError: Shape or dtype differ from the picture's, or the format cannot hold them.
        WriteError: The file cannot be written. The message starts with the target's name.
    """
    path = Path(path)
    row = _target(path, pixels, picture)
    if quality is not None and not 1 <= quality <= 100:
        raise InputError(f"quality is {quality}; it goes from 1 to 100")
    carrier = picture.carrier
    turn = orientation(carrier.metadata)
    if carrier.metadata.exif and turn != 1 and not row.orients:
        pixels = turned(pixels, turn)
        upright = _ifd.upright(carrier.metadata.exif)
        carrier = replace(carrier, metadata=replace(carrier.metadata, exif=upright))
    with _stored(path) as temporary:
        _backend(row).write(temporary, row.name, np.ascontiguousarray(pixels), carrier, quality)


def _target(path: Path, pixels: NDArray[Any], picture: Picture) -> Format:
    """Return the format to write; refuse what it cannot hold."""
    name, given = _called(path), picture.pixels
    if pixels.shape != given.shape or pixels.dtype != given.dtype:
        raise InputError(
            f"{name}: pixels are {pixels.dtype} {pixels.shape}; "
            f"the picture's are {given.dtype} {given.shape}"
        )
    row = by_suffix(path.suffix)
    if row is None or path.suffix.lower() not in writable_suffixes():
        known = ", ".join(sorted(writable_suffixes()))
        raise InputError(f"{name}: suffix '{path.suffix}' is not written; these are: {known}")
    dtype, channels = pixels.dtype.name, pixels.shape[2]
    # AVIF holds 10 and 12 bits, not the 16 of other uint16 pictures.
    too_deep = row.name == "avif" and dtype == "uint16" and picture.carrier.format not in _HEIF
    if too_deep or not holds(row, dtype, channels, picture.transfer):
        fitting = (s for s in holders(dtype, channels, picture.transfer) if s not in row.suffixes)
        kind = {1: "gray", 2: "gray with alpha", 3: "RGB", 4: "RGB with alpha"}[channels]
        raise InputError(
            f"{name}: {row.label} cannot hold {_encoding(picture.transfer)} {dtype} {kind} "
            f"pixels; {', '.join(fitting)} can"
        )
    return row


def _encoding(transfer: str) -> str:
    return "scene-linear" if transfer == "linear" else "display-encoded"


def write_hdr(path: str | PathLike[str], hdr: NDArray[np.float32]) -> None:
    """Write scene-linear radiance as half-float OpenEXR, all or nothing.

    Args:
        path: Target; its suffix must be ``.exr``.
        hdr: float32 H×W×3; 1.0 is the input's clip point, which a comment in the file says. Values
            beyond the half-float range, infinity included, become its ends (±65504).

    Raises:
        InputError: Another suffix, shape or dtype, or a NaN.
        WriteError: The file cannot be written. The message starts with the target's name.
    """
    path = Path(path)
    if path.suffix.lower() != ".exr":
        raise InputError(f"{_called(path)}: radiance is written as .exr, not '{path.suffix}'")
    if hdr.dtype != np.float32 or hdr.ndim != 3 or hdr.shape[2] != 3 or not hdr.size:
        raise InputError(f"radiance is {hdr.dtype} {hdr.shape}; float32 H×W×3 is accepted")
    if np.isnan(hdr).any():
        raise InputError("radiance has NaN; only numbers are accepted")
    half = np.clip(hdr, -_HALF_MAX, _HALF_MAX).astype(np.float16)
    with _stored(path) as temporary:
        from drht_plugin.io import _oiio

        _oiio.write_hdr(temporary, half, _HDR_NOTE)


@contextmanager
def _stored(path: Path) -> Iterator[Path]:
    """Give a temporary name for `path`, and failures the project's words."""
    try:
        if path.is_dir():
            raise IsADirectoryError("is a folder")
        if not path.parent.is_dir():
            raise NotADirectoryError(f"'{path.parent}' is not a folder")
        with replacing(path) as temporary:
            yield temporary
    except OSError as error:
        raise WriteError(
            f"{_called(path)}: cannot be written: {error.strerror or error}"
        ) from error
    except (CodecError, ValueError) as error:
        raise WriteError(f"{_called(path)}: cannot be written: {error}") from error
