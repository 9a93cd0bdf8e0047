"""Correct one picture file into another, keeping profile, metadata, bit depth and alpha."""

from __future__ import annotations

import math
import os
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import astuple, dataclass, field, replace
from pathlib import Path
from typing import Any, Unpack

from numpy.typing import NDArray

from drht_plugin._version import __version__
from drht_plugin.colour.spaces import Profile, space_of
from drht_plugin.engine.corrector import Corrector
from drht_plugin.engine.known_light import KnownLightSink
from drht_plugin.engine.memory import format_bytes, parse_memory
from drht_plugin.engine.pixels import ImageSpec, spec_of
from drht_plugin.engine.progress import SURVEY_SHARE, ProgressCallback, split
from drht_plugin.engine.source import Sink, Source
from drht_plugin.engine.strength import Controls, Strength
from drht_plugin.errors import DrhtWarning, InputError, ReadError
from drht_plugin.gain_map import Tee, gets_map, maker_for, not_kept, source_light
from drht_plugin.io import (
    Bits,
    Conversion,
    Damaged,
    PictureFile,
    conversion_to,
    create_hdr,
    create_picture,
    create_together,
    open_picture,
    orientation,
    stated_profile,
)
from drht_plugin.orientation import require_orientation
from drht_plugin.resume import ResumableRows, open_resumable, remove_rows, source_identity

_MAX_LOADED_BYTES = 128 << 20
"""Pictures up to this size are loaded as a whole, unless `memory` is given (bytes of pixels)."""

_COPY_BYTES = 8 << 20
"""Size of the bands in which stored rows are copied to the target."""


_STAGES = {
    "load": "loading networks",
    "read": "reading",
    "survey": "surveying",
    "render": "rendering",
    "hdr": "estimating HDR",
    "write": "writing",
}

StageCallback = Callable[[str], object]
"""A function that is told what begins; what it raises stops the work."""


@dataclass(frozen=True)
class FileReport:
    """Result of `correct_file`.

    Attributes:
        source: the file read.
        target: the file written.
        hdr: the file of the HDR estimate; None if not requested.
        height: rows of the picture, as stored.
        width: columns of the picture, as stored.
        channels: 1 to 4.
        dtype: of the pixels.
        lifted_noise: standard deviation of the noise that guided detail leaves in lifted shadows,
            in codes of 255; see `Scene.lifted_noise`.
        detail: what was rendered: "guided" or "network".
        left_alone: whether nothing was wrong with the exposure, so that the picture is unchanged
            but for exposure, temperature and tint that are asked for.
        seconds: time of each step: load (networks), read (where the picture is loaded as a whole),
            survey, render (with reading and writing of rows), hdr, write (encoding what remains,
            and flushing to the disk).
        dropped: what the source has beside its pixels that the target has not, as it is damaged,
            or shows or claims the picture as it was: thumbnails, layers, gain maps; in plain words.
        headroom: stops above white that the target's gain map leads to; None for no gain map.
        damage: what is damaged in the source, in the decoder's words; None for nothing. Only with
            ``damaged="keep"``.
        converted: what the target's pixels are otherwise than the source's, as its format or the
            caller asks for it, in plain words: "16 bits to 8 bits, dithered".
    """

    source: str
    target: str
    hdr: str | None
    height: int
    width: int
    channels: int
    dtype: str
    lifted_noise: float
    detail: str
    left_alone: bool
    seconds: dict[str, float] = field(default_factory=dict)
    dropped: tuple[str, ...] = ()
    headroom: float | None = None
    damage: str | None = None
    converted: tuple[str, ...] = ()


def correct_file(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    *,
    corrector: Corrector | None = None,
    hdr: str | os.PathLike[str] | None = None,
    ultra_hdr: bool | None = None,
    detail: str = "auto",
    transfer: str | None = None,
    wrap: bool = False,
    bits: Bits | None = None,
    background: str | None = None,
    quality: int | None = None,
    memory: int | str | None = None,
    resume: bool = False,
    damaged: Damaged = "refuse",
    layer: str | None = None,
    progress: ProgressCallback | None = None,
    stage: StageCallback | None = None,
    **controls: Unpack[Controls],
) -> FileReport:
    """Correct one picture file into another, keeping its metadata.

    The networks see the picture upright and in sRGB, according to the file's orientation tag and
    its ICC profile, nclx or cICP.

    Files of any size are read, corrected and written by rows, in bounded memory. There are two
    exceptions. The libraries for WebP, AVIF, HEIC, JPEG XL and JPEG 2000 need the whole picture at
    once, to read as to write. And if the source has an orientation tag and the target's format has
    none, the pixels are turned, which needs them all in memory.

    Args:
        source: file to read.
        target: file to write; its suffix names the format. It appears only when it is complete.
            Pixels that the format does not hold are converted, see `FileReport.converted`.
        corrector: loaded networks; None loads the default ones.
        detail: see `drht_plugin.correct`.
        transfer: "srgb" or "linear"; None goes by the format: OpenEXR, Radiance HDR and PFM are
            linear.
        wrap: see `drht_plugin.correct`.
        bits: depth of the target's pixels: 8, 16, "half" or "float"; None takes the source's, or
            the nearest to it that the target's format holds. What is lost is dithered.
        background: what transparent pixels are laid over where the target's format holds no alpha:
            "white" (the default), "black", "gray" or "#rrggbb" of sRGB.
        hdr: also write the HDR estimate to this file, as half-float OpenEXR, linear, 1.0 at the
            clip point. Both files appear together or not at all.
        ultra_hdr: write an Ultra HDR picture: a JPEG, with a gain map that leads to the HDR
            estimate on screens that can show it. None does so for JPEG targets of sources that have
            a gain map.
        quality: of lossy formats, 1..100; None keeps a JPEG's, and about the size of other lossy
            sources.
        memory: for pixels in flight, see `Corrector.stream`.
        resume: store finished rows in a folder `.TARGET.drht-resume` beside the target until it is
            complete. After a killed run, the same call continues from there, with the same
            result. This needs disk space for the picture's pixels, and time to write them twice.
        damaged: "refuse" raises an error for a source with damaged pixels; "keep" corrects what the
            decoder makes of them, and says so in the report and in a warning.
        layer: name of the layer of an OpenEXR file to correct; None for the picture itself, or the
            only layer.
        progress: see `drht_plugin.correct`.
        stage: is told what begins: "loading networks", "reading", "surveying" (or that kernels are
            compiled with it, on the first run only), "rendering", "estimating HDR", "writing".
        controls: strength, shadows, highlights, exposure, temperature, tint, denoise and preset, as
            in `drht_plugin.correct`.

    Returns:
        What was done, and how long each step took.

    Raises:
        ReadError: the source is missing, damaged or not supported, or was changed while it was
            read.
        WriteError: the target cannot be written; no unfinished file is left. With `resume`,
            finished rows are left, and a note on any exception says so. Rows of another job are
            refused.
        InputError: an argument is out of range, the picture is too large for the
            target's format, or `wrap` is set for a picture that is stored on its side.

    Warns:
        DrhtWarning: the file's profile cannot be used, so sRGB is assumed; or pixels are damaged,
            and kept.
    """
    applied = Strength.of(**controls)
    if hdr is not None:
        _require_hdr_name(Path(hdr), {"source": Path(source), "target": Path(target)})
    corrector = corrector or Corrector()
    seconds: dict[str, float] = {}

    def step(part: str) -> AbstractContextManager[None]:
        if stage is not None:
            compiles = part == "survey" and corrector.compiles_kernels
            stage("compiling kernels, on the first run only," if compiles else _STAGES[part])
        return _timed(seconds, part)

    first, second = split(progress, SURVEY_SHARE)
    with open_picture(source, damaged=damaged, layer=layer) as picture:
        transfer = transfer or picture.transfer
        spec = spec_of(picture, transfer)
        turn = require_orientation(orientation(picture.carrier.metadata), wrap=wrap)
        profile = _profile(picture, spec)
        space = space_of(profile, colours=spec.colours, linear=spec.linear)
        told = source_light(picture.gain_map, spec, space, turn)
        shines = gets_map(picture, Path(target), ultra_hdr)
        conversion = conversion_to(
            Path(target),
            picture,
            transfer=transfer,
            bits=bits,
            background=background,
            to_rgb=shines,
        )
        maker = None
        if shines:
            limit = told.headroom if told else None
            maker = maker_for(spec, conversion.form, wrap=wrap, known=limit)
        finer = spec.widened(conversion.given)
        plan = corrector.plan(finer, detail=detail, orientation=turn, memory=memory)
        with ExitStack() as targets:
            finished = None
            if resume:
                job = {
                    "version": __version__,
                    "source": source_identity(picture.path),
                    "model": corrector.model_digest(),
                    "settings": [*astuple(applied), detail, transfer, wrap],
                    "damaged": damaged,
                    "layer": layer,
                    "chooses network detail": detail == "auto" and corrector.on_accelerator,
                    "tile": plan.tile,
                    "memory": memory,  # decides the tile size of network detail
                    "rows": [conversion.given.name, *picture.shape],
                }
                finished = targets.enter_context(
                    open_resumable(Path(target), job, picture.shape, conversion.given)
                )
            group = targets.enter_context(create_together())
            if hdr is not None:
                hdr_sink = targets.enter_context(
                    create_hdr(hdr, spec.height, spec.width, orientation=turn, group=group)
                )
            sink = targets.enter_context(
                create_picture(
                    target,
                    picture,
                    conversion=conversion,
                    quality=quality,
                    folder=finished.folder if finished else None,
                    group=group,
                    gain_map=maker,
                )
            )
            estimates: list[Sink] = [] if hdr is None else [hdr_sink]
            if maker:
                estimates.append(maker.radiance)
            with step("load"):
                _ = corrector.runner
            with step("read"):
                pixels = _load_if_small(picture, memory)
                if pixels is not picture:
                    picture.require_unchanged()
            with step("survey"):
                scene = finished.scene if finished else None
                if scene is None:
                    scene = corrector.survey(
                        pixels,
                        transfer=transfer,
                        orientation=turn,
                        profile=profile,
                        wrap=wrap,
                        headroom=picture.carrier.headroom,
                        known=told.of_overview if told and not wrap else None,
                        progress=first,
                    )
                    if finished:
                        finished.store_scene(scene)
            if maker:
                maker.well_exposed = scene.left_alone
            settled = corrector.choose_detail(detail, scene, applied)
            if settled != plan.detail:
                plan = corrector.plan(finer, detail=settled, orientation=turn, memory=memory)
            with step("render"):
                corrector.render_planned(
                    replace(scene, spec=scene.spec.widened(conversion.given)),
                    pixels if conversion.given == picture.dtype else _Widened(pixels, conversion),
                    finished or sink,
                    plan.from_row(finished.done if finished else 0),
                    strength=applied,
                    progress=second,
                )
            if estimates:
                with step("hdr"):
                    if maker and spec.alpha >= 0:
                        maker.take_opacity(pixels)
                    estimate: Sink = Tee(spec, *estimates)
                    if told:
                        told.stream(pixels, estimate)
                    else:
                        if picture.carrier.headroom > 1:
                            estimate = KnownLightSink(estimate, pixels, picture.carrier.headroom)
                        corrector.render_hdr_into(scene, pixels, estimate, memory=memory)
            with step("write"):
                if finished:
                    _copy_rows(finished, sink)
                if pixels is picture:
                    picture.require_unchanged()
                picture.close()
                targets.close()
                if not resume:
                    remove_rows(Path(target))
    if picture.damage is not None:
        kept = f"{source}: is damaged ({picture.damage}); what could be read of it was taken"
        warnings.warn(kept, DrhtWarning, stacklevel=2)
    labels = (*picture.carrier.metadata.dropped, *sink.dropped)
    return FileReport(
        source=str(source),
        target=str(target),
        hdr=None if hdr is None else str(hdr),
        height=picture.shape[0],
        width=picture.shape[1],
        channels=picture.shape[2],
        dtype=picture.dtype.name,
        lifted_noise=round(255 * scene.lifted_noise, 2),
        detail=plan.detail,
        left_alone=scene.left_alone,
        seconds=seconds,
        dropped=not_kept(picture, labels, remade=maker is not None),
        headroom=None if maker is None else round(maker.stops, 2),
        damage=picture.damage,
        converted=sink.converted,
    )


class _Widened:
    """A source whose rows have the dtype that a conversion takes; see `engine.source.Source`."""

    def __init__(self, source: Source, conversion: Conversion) -> None:
        self._source, self._conversion = source, conversion
        self.shape, self.dtype = source.shape, conversion.given

    def __getitem__(self, rows: slice) -> NDArray[Any]:
        return self._conversion.widen(self._source[rows])


def _require_hdr_name(hdr: Path, others: dict[str, Path]) -> None:
    """Refuse a name for the HDR estimate that is no .exr, or another file of the call."""
    if hdr.suffix.lower() != ".exr":
        raise InputError(f"the HDR estimate's file is {hdr}; expected a name ending in .exr")
    for name, path in others.items():
        same = os.path.realpath(hdr) == os.path.realpath(path)
        if same or (hdr.exists() and path.exists() and hdr.samefile(path)):
            raise InputError(f"the HDR estimate's file is {hdr}, which is the {name}")


def _profile(picture: PictureFile, spec: ImageSpec) -> Profile | None:
    """Return the file's profile or code points; warn and return None if they cannot be used."""
    metadata = picture.carrier.metadata
    try:
        profile = stated_profile(metadata, colours=spec.colours)
        space_of(profile, colours=spec.colours, linear=spec.linear)
    except InputError as error:
        warnings.warn(f"{picture.path}: sRGB is assumed: {error}", DrhtWarning, stacklevel=2)
        return None
    return profile


def _load_if_small(picture: PictureFile, memory: int | str | None) -> Source:
    """Load the pixels if they are few or decoded as a whole anyway; else return the open file.

    Loaded pixels need not be decoded a second time after the survey.

    Raises:
        ReadError: the file is damaged, or is decoded as a whole and too large for the memory.
    """
    size = math.prod(picture.shape) * picture.dtype.itemsize
    limit = _MAX_LOADED_BYTES if memory is None else parse_memory(memory) // 2
    if not picture.whole and size > limit:
        return picture
    try:
        pixels = picture[:]
    except MemoryError as error:
        raise ReadError(
            f"{picture.path.name}: has {format_bytes(size)} of pixels, too many for the memory; "
            "its format must be decoded as a whole"
        ) from error
    picture.close()
    return pixels


def _copy_rows(finished: ResumableRows, sink: Sink) -> None:
    height = finished.shape[0]
    rows = max(1, _COPY_BYTES // (math.prod(finished.shape[1:]) * finished.dtype.itemsize))
    for top in range(0, height, rows):
        bottom = min(top + rows, height)
        sink[top:bottom] = finished[top:bottom]


@contextmanager
def _timed(seconds: dict[str, float], part: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    seconds[part] = round(time.perf_counter() - start, 4)
