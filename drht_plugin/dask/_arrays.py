"""Checks of dask arrays, and their chunks."""

from __future__ import annotations

import math
from typing import Any

from drht_plugin.engine.pixels import ImageSpec, spec_of
from drht_plugin.errors import InputError
from drht_plugin.extras import import_extra


def import_dask() -> Any:
    """Return the package `dask`, with its modules that are used here loaded."""
    for module in ("dask.array.overlap", "dask.graph_manipulation"):
        import_extra(module, "dask", "dask arrays")
    return import_extra("dask", "dask", "dask arrays")


def checked(image: Any, transfer: str = "srgb") -> tuple[Any, ImageSpec]:
    """Return the array whole in channels, and its spec; refuse what is no dask array of pixels."""
    dask = import_dask()
    if not isinstance(image, dask.array.Array):
        raise InputError(f"the image is {type(image).__name__}; expected a dask array")
    if any(math.isnan(side) for side in image.shape):
        raise InputError(
            "the image's size is not known; expected known chunks (`compute_chunk_sizes`)"
        )
    spec = spec_of(image, transfer)
    return (image.rechunk({2: -1}) if image.ndim == 3 else image), spec


def with_channels(array: Any) -> Any:
    return array if array.ndim == 3 else array[..., None]


def at_least(array: Any, least: int) -> Any:
    """Merge chunks that are narrower than `least` pixels with their neighbours."""
    chunks = [list(each) for each in array.chunks]
    for axis in (0, 1):
        merged: list[int] = []
        for size in chunks[axis]:
            if merged and merged[-1] < least:
                merged[-1] += size
            else:
                merged.append(size)
        if len(merged) > 1 and merged[-1] < least:
            merged[-2:] = [merged[-2] + merged[-1]]
        chunks[axis] = merged
    return array.rechunk(tuple(map(tuple, chunks)))
