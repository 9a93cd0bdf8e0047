"""Correct a giant picture from storage to storage, block by block."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import astuple, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np

from drht_plugin._version import __version__
from drht_plugin.arguments import require_flag
from drht_plugin.colour.cicp import Cicp
from drht_plugin.colour.spaces import Profile, space_of
from drht_plugin.dask._settings import Settings
from drht_plugin.dask._survey import meters
from drht_plugin.dask.at_work import new_job
from drht_plugin.dask.giants import ome, tasks
from drht_plugin.dask.giants.address import EXTRA, USER, Address
from drht_plugin.dask.giants.layout import SIDE, Layout, plan_layout
from drht_plugin.dask.giants.place import NOTES, Place, open_place, put
from drht_plugin.dask.giants.source import GiantSource
from drht_plugin.dask.giants.tasks import Found, Job, Part
from drht_plugin.dask.giants.tiff_source import TiffSource, close_idle, open_tiff
from drht_plugin.dask.giants.workforce import Workforce, open_workforce
from drht_plugin.dask.giants.zarr_source import open_zarr, stated_attributes
from drht_plugin.engine.corrector import Corrector
from drht_plugin.engine.pixels import ImageSpec, spec_of
from drht_plugin.engine.plan import resolve_detail
from drht_plugin.engine.progress import SURVEY_SHARE, ProgressCallback, split
from drht_plugin.engine.render.network.windows import TILE, require_tile
from drht_plugin.engine.strength import Controls, Strength
from drht_plugin.engine.survey.make import origin_of, origin_rows
from drht_plugin.engine.survey.overview import survey_copy
from drht_plugin.errors import ReadError, WriteError
from drht_plugin.extras import import_extra

if TYPE_CHECKING:
    from distributed import Client

_ZARR_FILES = ("zarr.json", ".zgroup", ".zarray")


@dataclass(frozen=True)
class StoreReport:
    """Result of `correct_store`.

    Attributes:
        source: address of the picture.
        target: address of the result.
        height: rows of the picture, as stored.
        width: columns of the picture, as stored.
        channels: 1 to 4.
        dtype: of the pixels.
        lifted_noise: see `file_correction.FileReport`.
        detail: what was rendered: "guided" or "network".
        left_alone: whether nothing was wrong with the exposure, see `file_correction.FileReport`.
        levels: of the result's pyramid.
        blocks: blocks of the picture.
        kept: blocks that an earlier run had finished.
        seconds: time of each step: survey, render (with what is made of the blocks' own pixels),
            pyramid (the smaller levels).
        dropped: what the source has beside its pixels that the target has not, in plain words.
    """

    source: str
    target: str
    height: int
    width: int
    channels: int
    dtype: str
    lifted_noise: float
    detail: str
    left_alone: bool
    levels: int
    blocks: int
    kept: int
    seconds: dict[str, float] = field(default_factory=dict)
    dropped: tuple[str, ...] = ()


def correct_store(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    *,
    client: Client | None = None,
    detail: str = "auto",
    transfer: str | None = None,
    orientation: int | None = None,
    profile: Profile | None = None,
    wrap: bool = False,
    tile: int | None = None,
    block: int = SIDE,
    pyramid: bool = True,
    resume: bool = False,
    overwrite: bool = False,
    model: str | Path = "default",
    device: str = "auto",
    backend: str = "auto",
    progress: ProgressCallback | None = None,
    **controls: Unpack[Controls],
) -> StoreReport:
    """Correct a giant picture from storage to storage, by threads or a cluster.

    Each task reads a region and its halo from the source, corrects it and writes it. No pixels go
    over the network but to and from storage, and none are kept.

    Args:
        source: a local path, or an address that fsspec opens, of a Zarr array or an OME-Zarr group
            (its first level); or the local path of a TIFF file. Zarr 2 and 3 are read. Arrays are
            H×W or H×W×C, or C×H×W where their axes are named so.
        target: path or address of the result: an OME-Zarr 0.5 group in Zarr 3, sharded, with a
            pyramid of means in linear light, and axes (c, y, x), or (y, x) where the source has no
            channel axis. A local one appears when it is complete; elsewhere its arrays appear
            before, but the group's metadata last. Every worker must reach both.
        client: of a cluster of distributed; None takes threads of this process, one for each core.
        detail: see `drht_plugin.correct`; "auto" is guided.
        transfer: "srgb" or "linear"; None goes by the file, and is "srgb" for Zarr.
        orientation: how the picture is stored, 1 to 8 as in EXIF; None goes by the file.
        profile: colour space of the values; None goes by the file.
        wrap: see `drht_plugin.correct`.
        tile: in network detail, side in pixels of the tiles that the network sees.
        block: greatest side of a block in pixels, a power of two from 128. Blocks are whole chunks
            of the source where these are smaller, and are the result's shards.
        pyramid: whether the result has smaller levels, which viewers need.
        resume: note finished blocks, and go on with those that an earlier run has noted.
        overwrite: replace a target that exists; local ones only.
        model: see `drht_plugin.correct`; a file must be there for every worker.
        device: see `drht_plugin.correct`; of each worker.
        backend: see `drht_plugin.correct`.
        progress: see `drht_plugin.correct`.
        controls: strength, shadows, highlights, exposure, temperature, tint, denoise and preset, as
            in `drht_plugin.correct`.

    Returns:
        What was done, and how long each step took.

    Raises:
        ReadError: the source is missing, damaged or not supported, or was changed meanwhile.
        WriteError: the target exists, or cannot be written; nothing is left under its name. With
            `resume`, finished blocks are left, and a note on any exception says so.
        InputError: an argument is out of range; NaN or infinity in the picture.
        ClusterError: the scheduler was lost, or the workers of a task died, each time that it was
            tried.
        DependencyError: zarr is missing.
    """
    applied = Strength.of(**controls)
    detail = resolve_detail(detail)
    tile = None if tile is None else require_tile(tile)
    flags = {"pyramid": pyramid, "resume": resume, "overwrite": overwrite}
    for name, value in flags.items():
        require_flag(name, value)
    opened, goal = open_source(source), Address.of(target)
    spec = spec_of(opened, transfer or opened.transfer)
    how = _settings(
        opened,
        spec,
        Settings(
            model,
            device,
            backend,
            "linear" if spec.linear else "srgb",
            opened.stated.orientation if orientation is None else orientation,
            profile,
            wrap,
        ),
    )
    if detail == "network":  # a wrong model or tile fails before any work
        how.corrector(0, detail).window_renderer(detail, tile)
    pixel = math.prod(opened.shape[2:]) * opened.dtype.itemsize
    layout = plan_layout(spec.height, spec.width, opened.chunks, pixel, block)
    if not pyramid:
        layout = layout.without_pyramid()
    require_free(goal, opened, overwrite=overwrite)
    if goal.path is not None and not goal.path.parent.is_dir():
        raise WriteError(f"{goal.text}: cannot be written: there is no folder for it")
    state = opened.identity()
    settings = {
        "version": __version__,
        "source": state,
        "model": Corrector(model=model, device="cpu").model_digest(),
        "settings": [
            *astuple(applied),
            detail,
            how.transfer,
            how.orientation,
            how.wrap,
            tile,
            backend,
        ],
        "profile": repr(how.profile),
        "blocks": [*layout.region, *(level.shard for level in layout.levels)],
    }
    token = new_job()
    with (
        _closing_files(),
        open_place(goal, settings, token, resume=resume) as place,
        open_workforce(client, token, _local(opened, place)) as workforce,
    ):
        job = Job(
            source=opened,
            place=place,
            spec=spec,
            how=how,
            strength=applied,
            detail=detail,
            tile=TILE if tile is None else tile,
            layout=layout,
            durable=resume,
            token=token,
        )
        report = _run(job, workforce, progress)
        if opened.identity() != state:
            raise ReadError(f"{opened.name}: was changed while it was read")
        _complete(job)
        put(place)
    return report


def _local(source: GiantSource, place: Place) -> dict[str, Path]:
    """Return what all workers must see, by the names of what it shows."""
    paths = {source.name: Address.of(source.name).path, place.target.text: place.noted}
    return {name: path for name, path in paths.items() if path is not None}


def open_source(source: str | os.PathLike[str]) -> GiantSource:
    """Open a picture in Zarr, or in a local TIFF file; see `correct_store`."""
    address = Address.of(source)
    if address.path is not None and address.path.is_file():
        return open_tiff(address.path)
    if address.path is not None and not address.path.exists():
        raise ReadError(f"{address.text}: does not exist")
    return open_zarr(address)


def _settings(source: GiantSource, spec: ImageSpec, given: Settings) -> Settings:
    """Return the settings with the source's profile, and check them."""
    profile = given.profile
    if profile is None:
        stated = source.stated
        profile = stated.icc if stated.cicp is None else Cicp(*stated.cicp)
    space_of(profile, colours=spec.colours, linear=spec.linear)
    return replace(given, profile=profile)


def is_made(target: Address) -> bool:
    """Return whether a result is there: a local one by its name, others by the group's metadata."""
    if target.path is not None:
        return os.path.lexists(target.path)
    return any(target.child(name).exists() for name in _ZARR_FILES)


def require_free(target: Address, source: GiantSource, *, overwrite: bool) -> None:
    """Refuse a target that is the source, or that is there and not to be replaced.

    Raises:
        WriteError: it is.
    """
    own, given = (f"{_real(address)}/" for address in (target, Address.of(source.name)))
    if own.startswith(given) or given.startswith(own):
        raise WriteError(f"{target.text}: is the picture itself, holds it, or is within it")
    if target.path is None:
        # Only what an earlier run has left there is ours to remove.
        others = {name for name in target.names() if not name.isdecimal()} - {NOTES}
        if others or (target.names() and NOTES not in target.names()):
            raise WriteError(f"{target.text}: already exists; remove it first")
        return
    if os.path.lexists(target.path):
        if not overwrite:
            raise WriteError(f"{target.text}: already exists")
        if not any((target.path / name).is_file() for name in _ZARR_FILES):
            raise WriteError(f"{target.text}: is not in Zarr, and so is not replaced")


def _real(address: Address) -> str:
    return address.text if address.path is None else os.path.realpath(address.path)


def _run(job: Job, workforce: Workforce, progress: ProgressCallback | None) -> StoreReport:
    """Survey and make all levels."""
    first, second = split(progress, SURVEY_SHARE)
    seconds: dict[str, float] = {}
    scene = job.place.scene()
    with _timed(seconds, "survey"):
        if scene is None:
            found = _survey(job, workforce, first)
            _create_levels(job)
        else:
            found = tasks.found(scene)
    finished = job.place.finished()
    parts = _parts(job.layout)
    left = [part for part in parts if part.name not in finished]
    levels = [[p for p in left if p.level == n] for n in range(len(job.layout.levels))]
    done, kept = len(parts) - len(left), sum(p.level == 0 for p in parts) - len(levels[0])
    for level, those in enumerate(levels):
        with _timed(seconds, "pyramid" if level else "render"):
            for _ in workforce.do(partial(tasks.make, job), those):
                done += 1
                if second is not None:
                    second(done / len(parts))
    spec = job.spec
    return StoreReport(
        source=job.source.name,
        target=job.place.target.text,
        height=spec.height,
        width=spec.width,
        channels=spec.colours + (spec.alpha >= 0),
        dtype=spec.dtype.name,
        lifted_noise=found.lifted_noise,
        detail=job.detail,
        left_alone=found.left_alone,
        levels=len(job.layout.levels),
        blocks=sum(part.level == 0 for part in parts),
        kept=kept,
        seconds=seconds,
        dropped=job.source.dropped if isinstance(job.source, TiffSource) else (),
    )


def _parts(layout: Layout) -> list[Part]:
    """Return what is made, level by level; each needs those of the level before it."""
    parts = [Part(0, region) for region in layout.regions()]
    for level in range(layout.nested + 1, len(layout.levels)):
        parts += [Part(level, region) for region in layout.levels[level].shards()]
    return parts


def _survey(job: Job, workforce: Workforce, progress: ProgressCallback | None) -> Found:
    """Survey the picture by strips of its rows, each read once."""
    how = job.how
    if isinstance(job.source, TiffSource) and not how.wrap:
        with job.source.file() as file:
            smaller = survey_copy(file, job.spec, how.orientation)
            if smaller is not file:
                smaller.close()
        if smaller is not file:
            return next(workforce.do(tasks.survey_file, [job]))
    origin = 0
    if how.wrap:
        strips = tasks.strips(job, origin_rows(job.spec.height))
        sums = np.zeros(job.spec.width, np.uint64)
        for part in workforce.do(partial(tasks.origin_strip, job), strips):
            sums += part
        origin = origin_of(sums)
    light, meter = meters(job.spec, how)
    strips = tasks.strips(job, light.rows)
    made = workforce.do(partial(tasks.survey_strip, job, origin), strips)
    for done, found in enumerate(made, 1):
        rows, columns = found.light.shape[:2]
        light.sums[found.top : found.top + rows, found.left : found.left + columns] += found.light
        meter.counts += found.noise
        if progress is not None:
            progress(done / len(strips))
    last = partial(tasks.finish, job, light.sums, meter.counts)
    return next(workforce.do(last, [origin]))


def _create_levels(job: Job) -> None:
    """Create the arrays of the levels, without pixels."""
    zarr = import_extra("zarr", EXTRA, USER)
    dtype = job.spec.dtype
    channels = job.source.shape[2:]
    codec = zarr.codecs.BloscCodec(
        cname="zstd", clevel=1, shuffle="noshuffle" if dtype.itemsize == 1 else "shuffle"
    )
    try:
        for number, level in enumerate(job.layout.levels):
            zarr.create_array(
                job.place.image.child(str(number)).store(),
                shape=(*channels, level.height, level.width),
                dtype=dtype,
                chunks=(*(1 for _ in channels), *level.chunk),
                shards=(*channels, *level.shard),
                compressors=codec,
                dimension_names=("c", "y", "x")[1 - len(channels) :],
                fill_value=0,
                overwrite=True,
            )
    except OSError as error:
        raise WriteError(f"{job.place.target.text}: cannot be written: {error}") from error


def _complete(job: Job) -> None:
    """Write the group's metadata, by which the result is whole."""
    zarr, spec = import_extra("zarr", EXTRA, USER), job.spec
    channels = job.source.shape[2:]
    sizes = [(level.height, level.width) for level in job.layout.levels]
    name = job.place.target.name.removesuffix(".zarr").removesuffix(".ome")
    image: dict[str, Any] = {
        "version": ome.VERSION,
        "multiscales": ome.multiscales(name, sizes, channels[0] if channels else None),
    }
    if channels:
        image["omero"] = ome.omero(spec.colours, spec.alpha >= 0, spec.white)
    attributes = {"ome": image}
    kept = stated_attributes(job.source.stated)
    if kept:
        attributes[ome.ATTRIBUTE] = kept
    try:
        zarr.create_group(job.place.image.store(), attributes=attributes, overwrite=False)
    except Exception as error:
        raise WriteError(f"{job.place.target.text}: cannot be written: {error}") from error


@contextmanager
def _closing_files() -> Iterator[None]:
    try:
        yield
    finally:
        close_idle()


@contextmanager
def _timed(seconds: dict[str, float], part: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    seconds[part] = round(seconds.get(part, 0.0) + time.perf_counter() - start, 4)
