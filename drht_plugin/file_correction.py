"""One picture file to another, with profile, metadata, bit depth and alpha kept."""

from __future__ import annotations

import math
import os
import time
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import astuple, dataclass, field
from pathlib import Path

from drht_plugin._version import __version__
from drht_plugin.colour.cicp import Cicp
from drht_plugin.colour.spaces import Profile, space_of
from drht_plugin.engine.corrector import Corrector
from drht_plugin.engine.memory import format_bytes, parse_memory
from drht_plugin.engine.pixels import ImageSpec, spec_of
from drht_plugin.engine.plan import plan_stream
from drht_plugin.engine.progress import SURVEY_SHARE, ProgressCallback, split
from drht_plugin.engine.source import Sink, Source
from drht_plugin.engine.strength import Strength
from drht_plugin.errors import DrhtWarning, InputError, ReadError
from drht_plugin.io import PictureFile, create_hdr, create_picture, open_picture, orientation
from drht_plugin.orientation import require_orientation
from drht_plugin.resume import ResumableRows, open_resumable, source_identity

_HELD = 128 << 20
"""Pixels up to this size are decoded once and held, unless a memory is given."""

_COPIED = 8 << 20


@dataclass(frozen=True)
class FileReport:
    """What was done to one file.

    target, hdr: the files written, hdr None where none was asked for; height, width, channels,
    dtype: of the picture; lifted_noise: in codes of 255, how noisy guided detail makes it, see
    `Scene.lifted_noise`; left_alone: whether nothing was wrong with the exposure, so that the
    picture stays as it is; seconds: time of each part: load (networks), read (of pictures that are
    held), survey, render (reading and writing by rows included), hdr, write (what remains to be
    coded, and the file's way to the disk).
    """

    source: str
    target: str
    hdr: str | None
    height: int
    width: int
    channels: int
    dtype: str
    lifted_noise: float
    left_alone: bool
    seconds: dict[str, float] = field(default_factory=dict)


def correct_file(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    *,
    corrector: Corrector | None = None,
    hdr: str | os.PathLike[str] | None = None,
    strength: float = 1.0,
    shadows: float = 1.0,
    highlights: float = 1.0,
    detail: str = "auto",
    transfer: str | None = None,
    wrap: bool = False,
    quality: int | None = None,
    memory: int | str | None = None,
    resume: bool = False,
    progress: ProgressCallback | None = None,
) -> FileReport:
    """Correct one picture file; what the source holds beside its pixels goes with them.

    The picture is looked at upright and in sRGB, as the file's orientation tag and its ICC profile,
    nclx or cICP say.

    Files of any size are read, corrected and written by rows, in bounded memory. Some formats are
    coded as a whole by their libraries: WebP, AVIF, HEIC, JPEG XL and JPEG 2000, read or written;
    and the pixels of a picture that must be turned are held, because its source says by a tag how
    it is to be turned, and the target's format cannot.

    Args:
        source, target: the target's suffix names its format; it appears only when it is whole.
        corrector: loaded networks to use; one with defaults if absent.
        hdr: also write the HDR estimate, as half-float OpenEXR; linear, 1.0 = the clip point.
        transfer: "srgb" or "linear"; None goes by the format: OpenEXR and Radiance are linear.
        quality: of lossy formats, 1..100; None keeps the source's where it is known.
        memory: for the pixels on their way, see `Corrector.stream`.
        resume: keep finished rows in a folder `.TARGET.drht-resume` beside the target until that
            is whole; of a killed run, the same call goes on from there. The result is the same.
            It takes room on the disk for the picture's pixels, and time to write them twice.
        strength, shadows, highlights, detail, wrap, progress: see `drht_plugin.correct`.

    Raises:
        ReadError, WriteError: names the file and what is wrong; nothing is left half-written.
            With `resume`, finished rows are left, and a note on any exception says so; what holds
            the rows of another job is refused.
        InputError: an argument out of range, a target format that cannot hold the picture, `wrap`
            of a picture that lies on its side.

    Warns:
        DrhtWarning: the file's profile cannot be used, and it is taken for sRGB.
    """
    applied = Strength(strength, shadows, highlights)
    if hdr is not None and Path(hdr).suffix.lower() != ".exr":
        raise InputError(f"the HDR estimate is to go to {hdr}; expected a name ending in .exr")
    corrector = corrector or Corrector()
    seconds: dict[str, float] = {}
    first, second = split(progress, SURVEY_SHARE)
    with open_picture(source) as picture:
        transfer = transfer or picture.transfer
        spec = spec_of(picture, transfer)
        turn = require_orientation(orientation(picture.carrier.metadata), wrap=wrap)
        plan = plan_stream(spec, detail=detail, orientation=turn, memory=memory)
        with ExitStack() as targets:
            if hdr is not None:
                hdr_sink = targets.enter_context(create_hdr(hdr, spec.height, spec.width))
            kept = None
            if resume:
                job = {
                    "version": __version__,
                    "source": source_identity(picture.path),
                    "model": corrector.model_digest(),
                    "settings": [*astuple(applied), detail, transfer, wrap],
                    "memory": memory,  # it picks the tile of network detail
                    "rows": [picture.dtype.name, *picture.shape],
                }
                kept = targets.enter_context(
                    open_resumable(Path(target), job, picture.shape, picture.dtype)
                )
            sink = targets.enter_context(
                create_picture(
                    target, picture, quality=quality, folder=kept.folder if kept else None
                )
            )
            with _timed(seconds, "load"):
                _ = corrector.runner
            with _timed(seconds, "read"):
                pixels = _held(picture, memory)
            with _timed(seconds, "survey"):
                scene = kept.scene if kept else None
                if scene is None:
                    scene = corrector.survey(
                        pixels,
                        transfer=transfer,
                        orientation=turn,
                        profile=_profile(picture, spec),
                        wrap=wrap,
                        progress=first,
                    )
                    if kept:
                        kept.keep_scene(scene)
            with _timed(seconds, "render"):
                corrector.render_planned(
                    scene,
                    pixels,
                    kept or sink,
                    plan.from_row(kept.done if kept else 0),
                    strength=applied,
                    progress=second,
                )
            if hdr is not None:
                with _timed(seconds, "hdr"):
                    corrector.render_hdr_into(scene, pixels, hdr_sink, memory=memory)
            with _timed(seconds, "write"):
                if kept:
                    _copy_rows(kept, sink)
                picture.close()
                targets.close()
    return FileReport(
        source=str(source),
        target=str(target),
        hdr=None if hdr is None else str(hdr),
        height=picture.shape[0],
        width=picture.shape[1],
        channels=picture.shape[2],
        dtype=picture.dtype.name,
        lifted_noise=round(255 * scene.lifted_noise, 2),
        left_alone=scene.left_alone,
        seconds=seconds,
    )


def _profile(picture: PictureFile, spec: ImageSpec) -> Profile | None:
    """What the file says of its colours; nothing, with a warning, where that cannot be used."""
    metadata = picture.carrier.metadata
    try:
        profile = metadata.icc if metadata.cicp is None else Cicp(*metadata.cicp)
        space_of(profile, colours=spec.colours, linear=spec.linear)
    except InputError as error:
        warnings.warn(f"{picture.path}: is taken for sRGB: {error}", DrhtWarning, stacklevel=2)
        return None
    return profile


def _held(picture: PictureFile, memory: int | str | None) -> Source:
    """The picture's pixels, where they are better held than decoded twice; else the file itself.

    That is so where they are small, and where the format is decoded as a whole anyway.

    Raises:
        ReadError: a damaged file, or one of such a format that is too large for the memory.
    """
    size = math.prod(picture.shape) * picture.dtype.itemsize
    if not picture.whole and size > (_HELD if memory is None else parse_memory(memory) // 2):
        return picture
    try:
        pixels = picture[:]
    except MemoryError as error:
        raise ReadError(
            f"{picture.path.name}: is of a format that is decoded as a whole, and its pixels, "
            f"{format_bytes(size)}, are too large for the memory"
        ) from error
    picture.close()
    return pixels


def _copy_rows(kept: ResumableRows, sink: Sink) -> None:
    height = kept.shape[0]
    rows = max(1, _COPIED // (math.prod(kept.shape[1:]) * kept.dtype.itemsize))
    for top in range(0, height, rows):
        bottom = min(top + rows, height)
        sink[top:bottom] = kept[top:bottom]


@contextmanager
def _timed(seconds: dict[str, float], part: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    seconds[part] = round(time.perf_counter() - start, 4)
