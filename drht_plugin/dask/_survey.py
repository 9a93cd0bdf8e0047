"""Survey an image in parts, each where its chunks are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from drht_plugin.bridge.sharing import limit_threads
from drht_plugin.colour.spaces import Profile, space_of
from drht_plugin.dask._arrays import checked, import_dask
from drht_plugin.dask._settings import Settings
from drht_plugin.engine.pixels import ImageSpec, as_channels, plain_array
from drht_plugin.engine.scene import Scene
from drht_plugin.engine.survey.make import column_sums, finish_survey, origin_of, origin_rows
from drht_plugin.engine.survey.noise import OVERLAP, NoiseMeter
from drht_plugin.engine.survey.overview import LightMeter, measure, survey_rows
from drht_plugin.engine.survey.sampling import stored_rows
from drht_plugin.orientation import transposes

if TYPE_CHECKING:
    from dask.array import Array
    from dask.delayed import Delayed

Image = npt.NDArray[Any]

_ADDED_AT_ONCE = 8
"""Parts of a survey that a task adds up."""


def survey(
    image: Array,
    *,
    transfer: str = "srgb",
    orientation: int = 1,
    profile: Profile | None = None,
    wrap: bool = False,
    model: str | Path = "default",
    device: str = "auto",
    backend: str = "auto",
) -> Delayed:
    """Survey a whole image lazily, in parts, each where its chunks are.

    Chunks without a row that the survey needs are not read, and others once; once more for a
    panorama's origin. Only those rows leave a chunk's worker, to be joined with their neighbours'.

    Args:
        image: see `correct`.
        transfer: see `correct`.
        orientation: see `correct`.
        profile: see `correct`.
        wrap: see `correct`.
        model: see `correct`.
        device: see `correct`.
        backend: see `correct`.

    Returns:
        A `Scene` to be computed: the same, bit for bit, that `drht_plugin.survey` makes.

    Raises:
        InputError: an array or argument that is not accepted.
        DependencyError: dask is not installed.
    """
    dask = import_dask()
    array, spec = checked(image, transfer)
    how = Settings(model, device, backend, transfer, orientation, profile, wrap)
    wrap, orientation = how.wrap, how.orientation
    space_of(profile, colours=spec.colours, linear=spec.linear)
    part, add, finish, origin_part, find_origin = (
        dask.delayed(each, pure=True)
        for each in (_survey_part, _add, _finish, _origin_part, _find_origin)
    )
    origin: Any = 0
    if wrap:
        sums = [
            origin_part(pixels, rows, spec, how)
            for pixels, rows in _strips(array, origin_rows(spec.height), orientation)
        ]
        origin = find_origin(_tree(sums, add))
    rows = survey_rows(spec, orientation)
    parts = [
        part(pixels, span, spec, how, origin) for pixels, span in _strips(array, rows, orientation)
    ]
    return finish(_tree(parts, add), spec, how, origin)


def _strips(array: Any, rows: range, orientation: int) -> list[tuple[Any, range]]:
    """Split what a survey reads by rows of chunks.

    Args:
        array: the stored image.
        rows: rows of the upright image that are read.
        orientation: how the image is stored.

    Returns:
        For each row of chunks that is read: rows of parts of the chunks, each a task, and the
        stored rows of the chunks.
    """
    blocks = array.to_delayed(optimize_graph=False).reshape(array.numblocks[:2])
    pick = import_dask().delayed(_pick, pure=True)
    tops = [0, *np.cumsum(array.chunks[0]).tolist()]
    lefts = [0, *np.cumsum(array.chunks[1]).tolist()]
    aside = transposes(orientation)
    strips = []
    for number, (top, bottom) in enumerate(pairwise(tops)):
        span = range(top, bottom)
        wanted = (
            range(max(top - OVERLAP, 0), bottom)
            if aside
            else stored_rows(rows, tops[-1], orientation, span)
        )
        if not wanted:
            continue
        columns = stored_rows(rows, lefts[-1], orientation) if aside else range(lefts[-1])
        first = int(np.searchsorted(tops, wanted.start, "right")) - 1
        parts = [
            [
                pick(blocks[i, j], _local(wanted, *tops[i : i + 2]), there)
                for j, edges in enumerate(pairwise(lefts))
                if (there := _local(columns, *edges)).start < there.stop
            ]
            for i in range(first, number + 1)
        ]
        strips.append((parts, span))
    return strips


def _local(wanted: range, start: int, stop: int) -> slice:
    """Return where evenly spaced places lie in a chunk start..stop−1."""
    before = max(0, -(-(start - wanted.start) // wanted.step))
    inside = range(wanted.start + before * wanted.step, min(wanted.stop, stop), wanted.step)
    return slice(inside.start - start, max(inside.stop - start, 0), inside.step)


def _pick(chunk: Image, rows: slice, columns: slice) -> Image:
    """Copy a part of a chunk, so that the chunk need not be kept."""
    return np.ascontiguousarray(plain_array(chunk[rows, columns]))


@dataclass(frozen=True)
class _Strip:
    """An image of which some rows are there: what `_strips` read of it; sliced by stored rows.

    Attributes:
        pixels: what was read.
        shape, dtype: of the whole image.
        rows: rows of the upright image that are read.
        span: the strip's stored rows.
        orientation: how the image is stored.
    """

    pixels: Image
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    rows: range
    span: range
    orientation: int

    def __getitem__(self, wanted: slice) -> Image:
        if not transposes(self.orientation):
            there = stored_rows(self.rows, self.shape[0], self.orientation, self.span)
            first = (wanted.start - there.start) // there.step
            count = len(range(*wanted.indices(self.shape[0])))
            return self.pixels[first : first + count]
        first = max(self.span.start - OVERLAP, 0)
        part = self.pixels[wanted.start - first : wanted.stop - first]
        columns = stored_rows(self.rows, self.shape[1], self.orientation)
        # The survey picks these columns; what lies between them is not looked at.
        whole = np.zeros((len(part), *self.shape[1:]), self.dtype)
        whole[:, columns.start : columns.stop : columns.step] = part
        return whole


def _tree(parts: Sequence[Any], add: Any) -> Any:
    """Add parts up, a few in each task."""
    while len(parts) > 1:
        parts = [
            add(list(parts[first : first + _ADDED_AT_ONCE]))
            for first in range(0, len(parts), _ADDED_AT_ONCE)
        ]
    return parts[0]


def _add(parts: list[tuple[Any, ...]]) -> tuple[Any, ...]:
    return tuple(sum(each[1:], each[0]) for each in zip(*parts, strict=True))


def meters(spec: ImageSpec, how: Settings) -> tuple[LightMeter, NoiseMeter]:
    kernels = how.corrector(0).backend.kernels
    space = space_of(how.profile, colours=spec.colours, linear=spec.linear)
    shape = (spec.height, spec.width)
    light = LightMeter(spec, shape, how.orientation, space, kernels)
    return light, NoiseMeter(spec.upright(how.orientation), kernels)


def _strip(
    parts: list[list[Image]], rows: range, span: range, spec: ImageSpec, orientation: int
) -> _Strip:
    """Join the parts of a strip."""
    pixels = np.concatenate([np.concatenate(row, 1) for row in parts])
    pixels = as_channels(pixels)
    shape = (spec.height, spec.width, pixels.shape[2])
    return _Strip(pixels, shape, pixels.dtype, rows, span, orientation)


def _survey_part(
    parts: list[list[Image]], span: range, spec: ImageSpec, how: Settings, origin: int
) -> tuple[Image, Image]:
    """Add up the light and count the noise of a strip."""
    light, meter = meters(spec, how)
    strip = _strip(parts, light.rows, span, spec, how.orientation)
    with limit_threads(1):
        measure(strip, light, meter, origin=origin, span=span)
    return light.sums, meter.counts


def _origin_part(
    parts: list[list[Image]], span: range, spec: ImageSpec, how: Settings
) -> tuple[Image]:
    strip = _strip(parts, origin_rows(spec.height), span, spec, how.orientation)
    with limit_threads(1):
        return (column_sums(strip, how.orientation, how.corrector(0).backend.kernels, span),)


def _find_origin(sums: tuple[Image]) -> int:
    return origin_of(sums[0])


def _finish(totals: tuple[Image, Image], spec: ImageSpec, how: Settings, origin: int) -> Scene:
    """Make the scene of the totals; here the survey's networks run."""
    light, meter = meters(spec, how)
    light.sums += totals[0]
    meter.counts += totals[1]
    with limit_threads(1):
        return finish_survey(
            light,
            meter,
            how.corrector(spec.height * spec.width).runner,
            spec,
            profile=how.profile,
            wrap=how.wrap,
            origin=origin,
        )
