"""Pictures in Zarr: an array, or the first level of an OME-Zarr group; Zarr 2 and 3."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from drht_plugin.dask.giants import ome
from drht_plugin.dask.giants.address import EXTRA, USER, Address
from drht_plugin.dask.giants.source import Stated
from drht_plugin.errors import DrhtError, ReadError, first_line
from drht_plugin.extras import import_extra
from drht_plugin.geometry import Region

Image = npt.NDArray[Any]

_METADATA = ("zarr.json", ".zarray")
_SAMPLES = 64
"""Chunks whose state is looked at to identify an array."""


@dataclass(frozen=True)
class ZarrSource:
    """A picture in a Zarr array; see `source.GiantSource`.

    Attributes:
        array: address of the array.
        axes: number of the array's axis of rows, of columns, and of channels; −1 for no channels.
        shape: H×W or H×W×C.
        dtype: of the pixels, native.
        chunks: rows and columns of a chunk.
        stated: what is stored beside the pixels.
        given: address of the picture, as it was given.
        token: what the array's metadata is told by from that of an earlier array at its address.
        transfer: see `source.GiantSource`.
    """

    array: Address
    axes: tuple[int, int, int]
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    chunks: tuple[int, int]
    stated: Stated
    given: Address
    token: str = ""
    transfer: str = "srgb"

    @property
    def name(self) -> str:
        """See `source.GiantSource`."""
        return self.given.text

    def __getitem__(self, rows: slice) -> Image:
        return self._read(rows, slice(0, self.shape[1]))

    def read(self, region: Region) -> Image:
        """See `source.GiantSource`."""
        return self._read(slice(region.top, region.bottom), slice(region.left, region.right))

    def _read(self, rows: slice, columns: slice) -> Image:
        with _named_errors(self.name):
            array = open_array(self.array, self.token)
            picked: list[Any] = [0] * array.ndim
            picked[self.axes[0]], picked[self.axes[1]] = rows, columns
            if self.axes[2] >= 0:
                picked[self.axes[2]] = slice(None)
            pixels = np.asarray(array[tuple(picked)])
        return _with_channels_last(pixels, self.axes).astype(self.dtype, copy=False)

    def identity(self) -> Mapping[str, Any]:
        """See `source.GiantSource`; of the chunks, some are looked at."""
        with _named_errors(self.name):
            array = open_array(self.array, self.token)
            seen = [_metadata_of(self.array)]
            sides = array.shards or array.chunks
            counts = [-(-n // side) for n, side in zip(array.shape, sides, strict=True)]
            whole = int(np.prod(counts, dtype=object))
            for index in range(0, whole, max(1, whole // _SAMPLES)):
                place: list[int] = []
                for count in reversed(counts):
                    index, at = divmod(index, count)
                    place.insert(0, at)
                key = array.metadata.encode_chunk_key(tuple(place))
                try:
                    facts = self.array.child(key).identity()
                except FileNotFoundError:
                    facts = {}
                seen.append(json.dumps([key, facts]).encode())
        return {"zarr": hashlib.sha256(b"\n".join(seen)).hexdigest()}


def open_zarr(address: Address) -> ZarrSource:
    """Open a picture: an array, or a group of OME-Zarr.

    An array of two axes is rows and columns. One of three is rows, columns and up to four channels;
    or channels, rows and columns, if its axes are named so, or there are too many columns for
    channels. Further axes must have length 1.

    Raises:
        ReadError: it is missing, damaged, or no picture.
        DependencyError: zarr is missing.
    """
    zarr = import_extra("zarr", EXTRA, USER)
    with _named_errors(address.text):
        try:
            opened = zarr.open(address.store(read_only=True), mode="r")
        except FileNotFoundError as error:
            raise ReadError(f"{address.text}: is no Zarr array or group, or is missing") from error
        attributes, names, at = dict(opened.attrs), None, address
        if isinstance(opened, zarr.Group):
            path, names = ome.first_level(attributes, address.text)
            at = address.child(path)
        token = hashlib.sha256(_metadata_of(at)).hexdigest()
        array = open_array(at, token)
    if names is None:
        names = _axes_of(array)
    if len(names) != array.ndim:
        raise ReadError(f"{address.text}: has {array.ndim} axes, but names {', '.join(names)}")
    for axis, length in zip(names, array.shape, strict=True):
        if axis not in "yxc" and length != 1:
            raise ReadError(f"{address.text}: has {length} of axis {axis}; expected 1")
    if not {"y", "x"} <= set(names):
        raise ReadError(f"{address.text}: has axes {', '.join(names)}; expected y and x")
    axes = (names.index("y"), names.index("x"), names.index("c") if "c" in names else -1)
    shape = tuple(array.shape[axis] for axis in axes if axis >= 0)
    chunks = (array.chunks[axes[0]], array.chunks[axes[1]])
    dtype = array.dtype.newbyteorder("=")
    return ZarrSource(at, axes, shape, dtype, chunks, _stated(attributes), address, token)


@lru_cache(maxsize=64)
def open_array(address: Address, token: str, *, writable: bool = False) -> Any:
    """Return a Zarr array, opened once in each process.

    Args:
        address: of the array.
        token: tells it from others that were or will be at its address.
        writable: whether it is written to.
    """
    zarr = import_extra("zarr", EXTRA, USER)
    store = address.store(read_only=not writable)
    if not writable:
        return zarr.open_array(store, mode="r")
    # Looking for chunks of nothing but 0 takes zarr as long as compressing them. It drops a
    # `config` that is given to it while it opens an array.
    return zarr.open_array(store, mode="r+").with_config({"write_empty_chunks": True})


def hold_codecs(threads: int) -> None:
    """Decode and encode chunks on so many threads, in the whole process and for good.

    Raises:
        DependencyError: zarr is missing.
    """
    zarr = import_extra("zarr", EXTRA, USER)
    zarr.config.set({"threading.max_workers": threads})


def _metadata_of(array: Address) -> bytes:
    """Return the bytes of an array's metadata."""
    for name in _METADATA:
        with suppress(FileNotFoundError):
            return array.child(name).read_bytes()
    raise FileNotFoundError(f"it has no {' or '.join(_METADATA)}")


def _axes_of(array: Any) -> tuple[str, ...]:
    named = tuple(str(n).lower() for n in getattr(array.metadata, "dimension_names", None) or ())
    if {"y", "x"} <= set(named):
        return named
    if array.ndim == 3 and array.shape[2] > 4 and array.shape[0] <= 4:
        return ("c", "y", "x")
    return ("y", "x", "c")[: array.ndim] if array.ndim < 4 else tuple("?" * array.ndim)


def _with_channels_last(pixels: Image, axes: tuple[int, int, int]) -> Image:
    """Return what was read of an array as rows, columns and channels, contiguous."""
    kept = sorted(axis for axis in axes if axis >= 0)
    order = [kept.index(axis) for axis in axes if axis >= 0]
    turned = pixels.transpose(order)
    if turned.flags.c_contiguous:
        return turned
    out = np.empty(turned.shape, turned.dtype)
    for channel in range(turned.shape[2]) if turned.ndim == 3 else [...]:  # faster than one copy
        out[..., channel] = turned[..., channel]
    return out


def _stated(attributes: Mapping[str, Any]) -> Stated:
    """Return what a result of this package keeps of the picture that it was made from."""
    found = attributes.get(ome.ATTRIBUTE)
    if not isinstance(found, Mapping):
        return Stated()
    try:
        parts = {
            key: base64.b64decode(found[key], validate=True)
            for key in ("icc", "exif", "xmp")
            if key in found
        }
        cicp = tuple(int(n) for n in found["cicp"]) if "cicp" in found else None
        turn = int(found.get("orientation", 1))
    except (ValueError, TypeError) as error:
        raise ReadError(f"the attribute {ome.ATTRIBUTE!r} is damaged ({error})") from error
    return Stated(**parts, cicp=cicp, orientation=turn)  # type: ignore[arg-type]


def stated_attributes(stated: Stated) -> dict[str, Any]:
    """Return what `open_zarr` reads from a group's attributes."""
    kept: dict[str, Any] = {
        key: base64.b64encode(value).decode()
        for key in ("icc", "exif", "xmp")
        if (value := getattr(stated, key)) is not None
    }
    if stated.cicp is not None:
        kept["cicp"] = list(stated.cicp)
    if stated.orientation != 1:
        kept["orientation"] = stated.orientation
    return kept


@contextmanager
def _named_errors(name: str) -> Iterator[None]:
    """Turn what zarr, codecs and file systems raise into `ReadError`."""
    try:
        yield
    except DrhtError:
        raise
    except Exception as error:
        raise ReadError(f"{name}: cannot be read: {first_line(str(error))}") from error
