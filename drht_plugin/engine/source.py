"""Sources and sinks of pixels: anything that is read or written in slices of rows."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from drht_plugin.engine.pixels import overlaps_itself, plain_array
from drht_plugin.errors import InputError


@runtime_checkable
class Source(Protocol):
    """Image that is read in slices of rows: numpy, memmap, zarr and h5py arrays, picture files.

    One thread at a time reads it from top to bottom: every k-th row for the survey (twice if the
    image is a panorama), and then all rows for the result.
    """

    @property
    def shape(self) -> tuple[int, ...]:
        """H×W or H×W×C."""
        ...

    @property
    def dtype(self) -> np.dtype[Any]:
        """One of uint8, uint16, float16 and float32."""
        ...

    def __getitem__(self, rows: slice, /) -> npt.NDArray[Any]:
        """Return rows `top:bottom:step`, step ≥ 1, as an array that nobody else changes."""
        ...


@runtime_checkable
class Reducible(Source, Protocol):
    """Source that has smaller copies which are cheaper to read.

    A JPEG decoder shrinks on load by leaving out transforms, and a pyramid contains its levels.
    """

    def reduced(self, most: int, /) -> Source | None:
        """Return the smallest copy that is at most `most` times smaller each way.

        Args:
            most: largest factor, from 1.

        Returns:
            The copy; None if there is none.
        """
        ...


@runtime_checkable
class Sink(Protocol):
    """Image that is written in slices of rows: numpy, memmap and zarr arrays, picture files."""

    def __setitem__(self, rows: slice, pixels: npt.NDArray[Any], /) -> None:
        """Store rows `top:bottom`, which arrive in order from row 0.

        `pixels` are valid only until this returns; their memory is reused.
        """
        ...


def read_rows(source: Any, top: int, bottom: int, step: int | None = None) -> npt.NDArray[Any]:
    """Read rows of a source, and check that they match its shape and dtype.

    Args:
        source: see `Source`.
        top: first row.
        bottom: row after the last.
        step: distance of the rows; None is 1.

    Raises:
        InputError: other rows come, or fewer, or some are masked.
    """
    count = len(range(top, bottom, step or 1))
    if not count:
        return np.empty((0, *source.shape[1:]), source.dtype)
    rows = plain_array(source[top:bottom:step])
    if rows.shape[1:] != tuple(source.shape[1:]) or rows.dtype != np.dtype(source.dtype):
        raise InputError(
            f"the source gave {rows.dtype} {rows.shape[1:]} at row {top}; "
            f"expected {source.dtype} {tuple(source.shape[1:])}"
        )
    if len(rows) != count:
        raise InputError(
            f"the source ends early: {len(rows)} of {count} rows from row {top} on, "
            f"of {source.shape[0]}"
        )
    return rows


def odd_step(most: int) -> int:
    """Return the largest odd step up to `most`, at least 1.

    An even step would always meet the same phase of what repeats every 2, 4, 8 or 16 pixels: colour
    filters, JPEG blocks, enlarged pixels.

    Args:
        most: upper limit of the step.
    """
    step = max(1, most)
    return step - 1 + step % 2


def require_sink(source: Source, sink: Any) -> None:
    """Refuse a sink that cannot take the corrected rows of a source.

    Args:
        source: the image that is corrected.
        sink: any object.

    Raises:
        InputError: says what was given and what is accepted.
    """
    _require_settable(sink)
    shape, dtype = getattr(sink, "shape", None), getattr(sink, "dtype", None)
    given, wanted = (shape, dtype), (tuple(source.shape), np.dtype(source.dtype))
    if (shape is not None and tuple(shape) != wanted[0]) or (
        dtype is not None and np.dtype(dtype) != wanted[1]
    ):
        raise InputError(
            f"the sink holds {given[1]} {given[0]}; expected the source's {wanted[1]} {wanted[0]}"
        )
    both_arrays = isinstance(sink, np.ndarray) and isinstance(source, np.ndarray)
    if both_arrays and np.shares_memory(source, sink):
        raise InputError("the sink shares memory with the source; expected separate memory")


def require_radiance_sink(source: Source, sink: Any) -> None:
    """Refuse a sink that cannot take the HDR estimate of a source.

    Args:
        source: the image whose radiance is estimated.
        sink: any object; its rows are W×3 of floats, where it says what it holds.

    Raises:
        InputError: says what was given and what is accepted.
    """
    _require_settable(sink)
    shape, dtype = getattr(sink, "shape", None), getattr(sink, "dtype", None)
    wanted = (*source.shape[:2], 3)
    if (shape is not None and tuple(shape) != wanted) or (
        dtype is not None and np.dtype(dtype).kind != "f"
    ):
        raise InputError(f"the sink holds {dtype} {shape}; expected floats {wanted}")


def _require_settable(sink: Any) -> None:
    """Refuse what takes no rows, and arrays that cannot keep them."""
    if not hasattr(sink, "__setitem__"):
        raise InputError(f"the sink is a {type(sink).__name__}; expected sink[top:bottom] = rows")
    if not isinstance(sink, np.ndarray):
        return
    if not sink.flags.writeable:
        raise InputError("the sink is read-only; expected an array that can be written")
    if overlaps_itself(sink):
        raise InputError("the sink has pixels that share memory; expected memory for each")
