"""One picture file to another: open, plan, survey, render, estimate, write."""

from __future__ import annotations

import math
import os
import warnings
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, Unpack

from numpy.typing import NDArray

from drht_plugin.engine.corrector import Corrector
from drht_plugin.engine.known_light import KnownLightSink
from drht_plugin.engine.memory import format_bytes, parse_memory
from drht_plugin.engine.progress import SURVEY_SHARE, ProgressCallback, split
from drht_plugin.engine.scene import Scene
from drht_plugin.engine.source import Sink, Source
from drht_plugin.engine.strength import Controls, Strength
from drht_plugin.errors import DrhtWarning, ReadError
from drht_plugin.file_correction.outputs import open_outputs
from drht_plugin.file_correction.plan import FilePlan, plan_file
from drht_plugin.file_correction.report import FileReport
from drht_plugin.file_correction.settings import FileSettings
from drht_plugin.file_correction.steps import StageCallback, Steps
from drht_plugin.gain_map import Tee, not_kept
from drht_plugin.io import Bits, Conversion, Damaged, PictureFile, open_picture
from drht_plugin.resume import ResumableRows, remove_rows

_MAX_LOADED_BYTES = 128 << 20
"""Pictures up to this size are loaded as a whole, unless `memory` is given (bytes of pixels)."""


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
    settings = FileSettings(
        source=Path(source),
        target=Path(target),
        hdr=None if hdr is None else Path(hdr),
        ultra_hdr=ultra_hdr,
        detail=detail,
        transfer=transfer,
        wrap=wrap,
        bits=bits,
        background=background,
        quality=quality,
        memory=memory,
        resume=resume,
        damaged=damaged,
        layer=layer,
        strength=Strength.of(**controls),
    )
    corrector = corrector or Corrector()
    steps = Steps(stage)
    first, second = split(progress, SURVEY_SHARE)
    with open_picture(source, damaged=damaged, layer=layer) as picture:
        plan = plan_file(settings, picture)
        render = plan.rendering(corrector, detail, memory)
        with ExitStack() as targets:
            outputs = open_outputs(targets, settings, plan, picture, corrector, render.tile)
            with steps.step("load"):
                _ = corrector.runner
            with steps.step("read"):
                pixels = _load_if_small(picture, memory)
            with steps.step("survey", compiles=stage is not None and corrector.compiles_kernels):
                scene = _survey(corrector, plan, picture, pixels, outputs.stored, first)
            settled = corrector.choose_detail(detail, scene, settings.strength)
            if settled != render.detail:
                render = plan.rendering(corrector, settled, memory)
            with steps.step("render"):
                corrector.render_planned(
                    replace(scene, spec=scene.spec.widened(plan.conversion.given)),
                    _widened(pixels, plan.conversion),
                    outputs.rows,
                    render.from_row(outputs.done),
                    strength=settings.strength,
                    progress=second,
                )
            if outputs.estimates:
                with steps.step("hdr"):
                    estimate = Tee(plan.spec, *outputs.estimates)
                    _estimate(corrector, scene, plan, picture, pixels, estimate, memory)
            with steps.step("write"):
                outputs.copy_stored()
                if pixels is picture:
                    picture.require_unchanged()
                picture.close()
                targets.close()
                if not resume:
                    remove_rows(settings.target)
    if picture.damage is not None:
        kept = f"{source}: is damaged ({picture.damage}); what could be read of it was taken"
        warnings.warn(kept, DrhtWarning, stacklevel=2)
    labels = (*picture.carrier.metadata.dropped, *outputs.target.dropped)
    return FileReport(
        source=str(source),
        target=str(target),
        hdr=None if hdr is None else str(hdr),
        height=picture.shape[0],
        width=picture.shape[1],
        channels=picture.shape[2],
        dtype=picture.dtype.name,
        lifted_noise=round(255 * scene.lifted_noise, 2),
        detail=render.detail,
        left_alone=scene.left_alone,
        seconds=steps.seconds,
        dropped=not_kept(picture, labels, remade=plan.maker is not None),
        headroom=None if plan.maker is None else round(plan.maker.stops, 2),
        damage=picture.damage,
        converted=outputs.target.converted,
    )


def _load_if_small(picture: PictureFile, memory: int | str | None) -> Source:
    """Load the pixels if they are few or decoded as a whole anyway; else return the open file.

    Loaded pixels need not be decoded a second time after the survey.

    Raises:
        ReadError: the file is damaged, was changed, or is decoded as a whole and too large for the
            memory.
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
    picture.require_unchanged()
    return pixels


def _survey(
    corrector: Corrector,
    plan: FilePlan,
    picture: PictureFile,
    pixels: Source,
    stored: ResumableRows | None,
    progress: ProgressCallback | None,
) -> Scene:
    """Survey a picture, unless an earlier run has done so."""
    scene = stored.scene if stored else None
    if scene is None:
        known, wrap = plan.known, plan.wrap
        scene = corrector.survey(
            pixels,
            transfer=plan.transfer,
            orientation=plan.orientation,
            profile=plan.profile,
            wrap=wrap,
            headroom=picture.carrier.headroom,
            known=known.of_overview if known and not wrap else None,
            progress=progress,
        )
        if stored:
            stored.store_scene(scene)
    if plan.maker:
        plan.maker.well_exposed = scene.left_alone
    return scene


def _estimate(
    corrector: Corrector,
    scene: Scene,
    plan: FilePlan,
    picture: PictureFile,
    pixels: Source,
    sink: Sink,
    memory: int | str | None,
) -> None:
    """Write the HDR estimate: what the picture's own gain map tells, or else the networks'."""
    if plan.maker and plan.spec.alpha >= 0:
        plan.maker.take_opacity(pixels)
    if plan.known:
        plan.known.stream(pixels, sink)
        return
    if picture.carrier.headroom > 1:
        sink = KnownLightSink(sink, pixels, picture.carrier.headroom)
    corrector.render_hdr_into(scene, pixels, sink, memory=memory)


def _widened(pixels: Source, conversion: Conversion) -> Source:
    """Return a source whose rows have the dtype that a conversion takes."""
    return pixels if conversion.given == pixels.dtype else _Widened(pixels, conversion)


class _Widened:
    """A source whose rows have the dtype that a conversion takes; see `engine.source.Source`."""

    def __init__(self, source: Source, conversion: Conversion) -> None:
        self._source, self._conversion = source, conversion
        self.shape, self.dtype = source.shape, conversion.given

    def __getitem__(self, rows: slice) -> NDArray[Any]:
        return self._conversion.widen(self._source[rows])
