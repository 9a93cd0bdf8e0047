"""TIFF and BigTIFF files, read by rows in each process."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from drht_plugin.colour.spaces import Profile, space_of
from drht_plugin.dask.giants.source import Stated
from drht_plugin.errors import DrhtWarning, InputError, ReadError
from drht_plugin.geometry import Region
from drht_plugin.io import PictureFile, open_picture, orientation, stated_profile
from drht_plugin.resume import source_identity

Image = npt.NDArray[Any]

_ROWS = 128
"""Rows that count as a chunk; tiles have as many, or a power of two of them."""

_lock = threading.Lock()
_idle: list[tuple[TiffSource, PictureFile]] = []
"""Files that are open and not in use, all of one source."""


@dataclass(frozen=True)
class TiffSource:
    """A TIFF file; see `source.GiantSource`. What is decoded are whole rows of its tiles.

    Attributes:
        path: of the file.
        shape: H×W×C.
        dtype: of the pixels.
        transfer: "srgb" or "linear".
        stated: what is stored beside the pixels.
        state: what identifies the file's state.
        dropped: see `file_correction.FileReport`.
    """

    path: Path
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    transfer: str
    stated: Stated
    state: tuple[tuple[str, Any], ...]
    dropped: tuple[str, ...]

    @property
    def name(self) -> str:
        """See `source.GiantSource`."""
        return str(self.path)

    @property
    def chunks(self) -> tuple[int, int]:
        """See `source.GiantSource`."""
        return (_ROWS, self.shape[1])

    def __getitem__(self, rows: slice) -> Image:
        with self.file() as file:
            return file[rows]

    def read(self, region: Region) -> Image:
        """See `source.GiantSource`."""
        return self[region.top : region.bottom][:, region.left : region.right]

    def identity(self) -> Mapping[str, Any]:
        """See `source.GiantSource`."""
        try:
            return source_identity(self.path)
        except OSError as error:
            raise ReadError(f"{self.path}: cannot be read: {error.strerror or error}") from error

    @contextmanager
    def file(self) -> Iterator[PictureFile]:
        """Yield the file, for the caller alone; it stays open for the next one."""
        with _lock:
            own = [each for each in _idle if each[0] == self]
            kept = own.pop()[1] if own else None
            others = [file for source, file in _idle if source != self]
            _idle[:] = own
        for each in others:
            each.close()
        file = self._open() if kept is None else kept
        try:
            yield file
        finally:
            with _lock:
                _idle.append((self, file))

    def _open(self) -> PictureFile:
        if tuple(self.identity().items()) != self.state:
            raise ReadError(f"{self.path}: was changed while it was read")
        return open_picture(self.path)


def close_idle() -> None:
    """Close the files of this process that are open and not in use."""
    with _lock:
        idle, _idle[:] = list(_idle), []
    for _, file in idle:
        file.close()


def open_tiff(path: Path) -> TiffSource:
    """Open a TIFF file.

    Raises:
        ReadError: it is missing, damaged, or another kind of file, which cannot be read from
            anywhere.
    """
    with open_picture(path) as picture:
        carrier = picture.carrier
        if carrier.format != "tiff":
            raise ReadError(
                f"{path}: is a {carrier.format} file, which is read from its top only; expected a "
                "TIFF file or a Zarr picture"
            )
        metadata = carrier.metadata
        profile = _profile(picture)
        icc, points = (profile, None) if isinstance(profile, bytes) else (None, profile)
        cicp = None if points is None else (points.primaries, points.transfer)
        stated = Stated(icc, cicp, metadata.exif, metadata.xmp, orientation(metadata))
        dropped = [*metadata.dropped, *(["IPTC"] if metadata.photoshop else [])]
        shape, dtype, transfer = picture.shape, picture.dtype, picture.transfer
    state = tuple(source_identity(path).items())
    return TiffSource(path, shape, dtype, transfer, stated, state, tuple(dropped))


def _profile(picture: PictureFile) -> Profile | None:
    """Return the file's profile or code points; warn and return None if they cannot be used."""
    colours = 3 if picture.shape[2] >= 3 else 1
    try:
        profile = stated_profile(picture.carrier.metadata, colours=colours)
        space_of(profile, colours=colours, linear=picture.transfer == "linear")
    except InputError as error:
        warnings.warn(f"{picture.path}: sRGB is assumed: {error}", DrhtWarning, stacklevel=2)
        return None
    return profile
