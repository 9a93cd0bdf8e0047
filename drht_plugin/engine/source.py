"""Where pixels come from and go to: anything that can be sliced by rows."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from drht_plugin.errors import InputError


@runtime_checkable
class Source(Protocol):
    """An image that is read by rows: numpy, memmap, zarr and h5py arrays, open picture files.

    It is read each time from top to bottom and by one thread at a time: every step-th row for the
    survey, twice where the image wraps, and all rows for the result.
    """

    @property
    def shape(self) -> tuple[int, ...]:
        """H×W or H×W×C."""
        ...

    @property
    def dtype(self) -> np.dtype[Any]:
        """One of the contract's dtypes."""
        ...

    def __getitem__(self, rows: slice, /) -> npt.NDArray[Any]:
        """Rows `top:bottom:step` of the image, step ≥ 1: an array that nobody else changes."""
        ...


@runtime_checkable
class Reducible(Source, Protocol):
    """A source that has smaller copies of itself which cost less to read than it does.

    JPEG decoders shrink on load by leaving transforms out, and pyramids hold them.
    """

    def reduced(self, most: int, /) -> Source | None:
        """The smallest copy at most `most` times smaller each way; None where there is none."""
        ...


@runtime_checkable
class Sink(Protocol):
    """What takes an image by rows: numpy, memmap and zarr arrays, picture files to be written."""

    def __setitem__(self, rows: slice, pixels: npt.NDArray[Any], /) -> None:
        """Store rows `top:bottom`, given in order from row 0 on.

        `pixels` are valid until this returns; their memory is used again.
        """
        ...


def odd_step(most: int) -> int:
    """The largest odd step up to `most`, at least 1.

    Even steps would meet one phase only of what repeats every 2, 4, 8 or 16 pixels: colour filters,
    blocks of a JPEG, enlargements.
    """
    step = max(1, most)
    return step - 1 + step % 2


def require_sink(source: Source, sink: Any) -> None:
    """Refuse what cannot take the corrected rows of `source`.

    Raises:
        InputError: says what was given and what is accepted.
    """
    if not hasattr(sink, "__setitem__"):
        raise InputError(f"the sink is a {type(sink).__name__}; expected sink[top:bottom] = rows")
    shape, dtype = getattr(sink, "shape", None), getattr(sink, "dtype", None)
    given, wanted = (shape, dtype), (tuple(source.shape), np.dtype(source.dtype))
    if (shape is not None and tuple(shape) != wanted[0]) or (
        dtype is not None and np.dtype(dtype) != wanted[1]
    ):
        raise InputError(
            f"the sink holds {given[1]} {given[0]}; the source {wanted[1]} {wanted[0]}"
        )
    if isinstance(sink, np.ndarray):
        if not sink.flags.writeable:
            raise InputError("the sink is read-only; expected an array that can be written")
        if isinstance(source, np.ndarray) and np.shares_memory(source, sink):
            raise InputError("the sink shares memory with the source; expected one of its own")
