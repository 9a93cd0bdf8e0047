"""What workers do for a giant picture. Pixels go from storage to storage, none to other tasks."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache, wraps
from pathlib import Path
from typing import Any, Concatenate, NamedTuple, ParamSpec, TypeVar

import numpy as np
import numpy.typing as npt

from drht_plugin.bridge.halving import halve
from drht_plugin.bridge.sharing import limit_threads
from drht_plugin.dask._settings import Settings, shared_renderer
from drht_plugin.dask._survey import meters
from drht_plugin.dask.at_work import at_work
from drht_plugin.dask.giants.layout import Layout
from drht_plugin.dask.giants.place import Place, shared_scene
from drht_plugin.dask.giants.source import GiantSource, ReadOnce, read_around
from drht_plugin.dask.giants.tiff_source import TiffSource
from drht_plugin.dask.giants.zarr_source import hold_codecs, open_array
from drht_plugin.engine.pixels import ImageSpec, as_channels
from drht_plugin.engine.render.network.windows import NetworkRenderer
from drht_plugin.engine.scene import Scene
from drht_plugin.engine.strength import Strength
from drht_plugin.engine.survey.make import column_sums, finish_survey, origin_rows
from drht_plugin.engine.survey.overview import measure
from drht_plugin.engine.survey.sampling import stored_rows
from drht_plugin.errors import DrhtError, WriteError, first_line
from drht_plugin.geometry import Region
from drht_plugin.orientation import transposes

Image = npt.NDArray[Any]
Rest = ParamSpec("Rest")
Result = TypeVar("Result")

_HELD_BYTES = 256 << 20
"""Size of the survey's rows of a strip that are read at once; more are read by parts (bytes)."""


@dataclass(frozen=True)
class Job:
    """What all tasks of a picture share; small, as it is sent with them.

    Attributes:
        source: the picture.
        place: where the result is made.
        spec: the picture's.
        how: of the survey, and the models.
        strength: how much of the correction is applied.
        detail: "guided" or "network".
        tile: side of the tiles that the network sees, in pixels.
        layout: how the picture is cut.
        durable: whether finished parts are on the disk before they are noted.
        token: tells the job from others.
    """

    source: GiantSource
    place: Place
    spec: ImageSpec
    how: Settings
    strength: Strength
    detail: str
    tile: int
    layout: Layout
    durable: bool
    token: str


class Sums(NamedTuple):
    """What a strip adds to a survey.

    Attributes:
        top, left: place of `light` in the overview.
        light: the part of `LightMeter.sums` that is not 0.
        noise: `NoiseMeter.counts`.
    """

    top: int
    left: int
    light: Image
    noise: Image


class Found(NamedTuple):
    """What a report says of a survey; see `file_correction.FileReport`."""

    lifted_noise: float
    left_alone: bool


class Part(NamedTuple):
    """A part of a level of the result.

    Attributes:
        level: 0 is the whole picture, with the levels that are made with it.
        region: of that level.
    """

    level: int
    region: Region

    @property
    def name(self) -> str:
        """What its note is called."""
        return f"{self.level}-{self.region.top}-{self.region.left}"


@lru_cache(maxsize=1)
def _hold_threads() -> None:
    """In a worker's process, hold the threads of zarr's codecs to those of the worker.

    Blosc has none of its own there: it starts them in a process's main thread only.
    """
    try:
        from distributed import get_worker

        worker = get_worker()
    except (ImportError, ValueError):
        return
    if not worker.address.startswith("inproc://"):  # whose process is the user's own
        hold_codecs(worker.state.nthreads)


def _task(
    work: Callable[Concatenate[Job, Rest], Result],
) -> Callable[Concatenate[Job, Rest], Result]:
    """Count a function as work on its job, and see that the job goes on; use as a decorator."""

    @wraps(work)
    def call(job: Job, /, *others: Rest.args, **named: Rest.kwargs) -> Result:
        _hold_threads()
        with at_work(job.token):
            _require_open(job)
            return work(job, *others, **named)

    return call


def strips(job: Job, rows: range) -> list[range]:
    """Return the spans of stored rows of a survey's tasks: those that hold some of its rows.

    Args:
        job: the job.
        rows: rows of the upright picture that the survey needs.
    """
    height, (chunk, _) = job.spec.height, job.source.chunks
    step = height if chunk >= height else max(job.layout.region[0], chunk)
    spans = [range(top, min(top + step, height)) for top in range(0, height, step)]
    aside = transposes(job.how.orientation)
    return [span for span in spans if aside or stored_rows(rows, height, job.how.orientation, span)]


@_task
def survey_strip(job: Job, origin: int, span: range) -> Sums:
    """Add up the light and count the noise of a strip."""
    light, meter = meters(job.spec, job.how)
    with limit_threads(1):
        rows = _strip(job, light.rows, span)
        measure(rows, light, meter, origin=origin, span=span)
    used = (light.sums != 0).any(axis=2)
    down, across = np.flatnonzero(used.any(axis=1)), np.flatnonzero(used.any(axis=0))
    if not down.size:
        return Sums(0, 0, light.sums[:0, :0], meter.counts)
    top, left = int(down[0]), int(across[0])
    part = light.sums[top : down[-1] + 1, left : across[-1] + 1]
    return Sums(top, left, part.copy(), meter.counts)


@_task
def origin_strip(job: Job, span: range) -> Image:
    """Return the sums of a panorama's columns in a strip."""
    rows = _strip(job, origin_rows(job.spec.height), span)
    kernels = job.how.corrector(0).backend.kernels
    with limit_threads(1):
        return column_sums(rows, job.how.orientation, kernels, span)


def _strip(job: Job, rows: range, span: range) -> Any:
    """Return something whose rows are sliced: those that are needed, read once, if they fit."""
    source, spec = job.source, job.spec
    if transposes(job.how.orientation):
        return source
    wanted = stored_rows(rows, spec.height, job.how.orientation, span)
    size = len(wanted) * spec.width * int(np.prod(source.shape[2:])) * source.dtype.itemsize
    return ReadOnce(source, wanted) if size <= _HELD_BYTES else source


@_task
def finish(job: Job, light: Image, noise: Image, origin: int) -> Found:
    """Make the scene of the sums of all strips, and note it; here the survey's networks run."""
    lights, meter = meters(job.spec, job.how)
    lights.sums += light
    meter.counts += noise
    corrector = job.how.corrector(job.spec.height * job.spec.width)
    with limit_threads(1):
        scene = finish_survey(
            lights,
            meter,
            corrector.runner,
            job.spec,
            profile=job.how.profile,
            wrap=job.how.wrap,
            origin=origin,
        )
    return _noted(job, scene)


@_task
def survey_file(job: Job) -> Found:
    """Survey a file that has smaller copies of itself; see `survey.overview.survey_copy`."""
    how, source = job.how, job.source
    assert isinstance(source, TiffSource)
    corrector = how.corrector(job.spec.height * job.spec.width)
    with limit_threads(1), source.file() as file:
        scene = corrector.survey(
            file,
            transfer=how.transfer,
            orientation=how.orientation,
            profile=how.profile,
            wrap=how.wrap,
        )
    return _noted(job, scene)


def _noted(job: Job, scene: Scene) -> Found:
    with _write_errors(job):
        job.place.store_scene(scene)
    return found(scene)


def found(scene: Scene) -> Found:
    """Return what a report says of a survey."""
    return Found(round(255 * scene.lifted_noise, 2), scene.left_alone)


@_task
def make(job: Job, part: Part) -> str:
    """Make a part of the result, note it, and return its name."""
    if part.level:
        _shrink(job, part)
    else:
        _correct(job, part.region)
    with _write_errors(job):
        job.place.mark(part.name)
    return part.name


def _correct(job: Job, region: Region) -> None:
    """Correct a region, with the levels that are made from its pixels."""
    scene = shared_scene(job.place, job.token)
    spec = job.spec
    halo = NetworkRenderer.halo if job.detail == "network" else 0
    given = region.dilated(halo, spec.height, spec.width, wrap=scene.wrap)
    pixels = read_around(job.source, given)
    corrector = job.how.corrector(region.height * region.width, job.detail)
    renderer = shared_renderer(corrector, job.detail, job.tile)
    colours = spec.colours
    for window in job.layout.windows(region):
        with limit_threads(1):
            made = renderer.render(scene, pixels, window, given=given, strength=job.strength)
        planes = _planes(as_channels(made))
        _write(job, 0, window, planes)
        for level in range(1, job.layout.nested + 1):
            planes = halve(planes, linear=spec.linear, coded=colours)
            smaller = Region(window.top >> level, window.left >> level, *planes.shape[1:])
            _write(job, level, smaller, planes)


def _shrink(job: Job, part: Part) -> None:
    """Make a shard of a level from the level before it."""
    level, region = part
    before = job.layout.levels[level - 1]
    bottom, right = min(2 * region.bottom, before.height), min(2 * region.right, before.width)
    rows, columns = slice(2 * region.top, bottom), slice(2 * region.left, right)
    with _write_errors(job):
        larger = np.asarray(_level(job, level - 1)[..., rows, columns])
    planes = larger if larger.ndim == 3 else larger[None]
    _write(job, level, region, halve(planes, linear=job.spec.linear, coded=job.spec.colours))


def _write(job: Job, level: int, region: Region, planes: Image) -> None:
    """Write a shard of a level; nothing but 0 is what a missing one stands for."""
    if not planes.any():
        return
    _require_open(job)
    with _write_errors(job):
        array = _level(job, level)
        rows, columns = slice(region.top, region.bottom), slice(region.left, region.right)
        array[..., rows, columns] = planes if array.ndim == 3 else planes[0]
        if job.durable and job.place.image.path is not None:
            shard = job.layout.levels[level].shard
            place = (region.top // shard[0], region.left // shard[1])
            key = array.metadata.encode_chunk_key((0,) * (array.ndim - 2) + place)
            _flush(job.place.image.path / str(level) / key)


def _level(job: Job, level: int) -> Any:
    return open_array(job.place.image.child(str(level)), job.token, writable=True)


def _flush(path: Path) -> None:
    """Wait until a file is on the disk."""
    with open(path, "rb") as file:
        os.fsync(file.fileno())


def _planes(pixels: Image) -> Image:
    """Return R×C×K as K×R×C, contiguous."""
    planes = np.empty((pixels.shape[2], *pixels.shape[:2]), pixels.dtype)
    for channel, plane in enumerate(planes):  # faster than one copy
        plane[...] = pixels[..., channel]
    return planes


def _require_open(job: Job) -> None:
    with _write_errors(job):
        job.place.require_open(job.token)


@contextmanager
def _write_errors(job: Job) -> Iterator[None]:
    """Turn what zarr and file systems raise into `WriteError`."""
    try:
        yield
    except DrhtError:
        raise
    except Exception as error:
        reason = getattr(error, "strerror", None) or first_line(str(error))
        raise WriteError(f"{job.place.target.text}: cannot be written: {reason}") from error
