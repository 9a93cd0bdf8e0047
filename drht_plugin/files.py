"""One picture file to another, with profile, metadata, bit depth and alpha kept."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from drht_plugin.engine.correct import (
    SURVEY_SHARE,
    Corrector,
    ProgressCallback,
    require_detail,
    split,
)
from drht_plugin.engine.render import Strength
from drht_plugin.errors import InputError
from drht_plugin.io import read_picture, write_hdr, write_picture


@dataclass(frozen=True)
class FileReport:
    """What was done to one file.

    target, hdr: the files written, hdr None where none was asked for; height, width, channels,
    dtype: of the picture; seconds: time of each part: read, load (networks), survey, render, hdr,
    write.
    """

    source: str
    target: str
    hdr: str | None
    height: int
    width: int
    channels: int
    dtype: str
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
    progress: ProgressCallback | None = None,
) -> FileReport:
    """Correct one picture file; what the source holds beside its pixels goes with them.

    Args:
        source, target: the target's suffix names its format; it appears only when it is whole.
        corrector: loaded networks to use; one with defaults if absent.
        hdr: also write the HDR estimate, as half-float OpenEXR; linear, 1.0 = the clip point.
        transfer: "srgb" or "linear"; None goes by the format: OpenEXR and Radiance are linear.
        quality: of lossy formats, 1..100; None keeps the source's where it is known.
        strength, shadows, highlights, detail, wrap, progress: see `drht_plugin.correct`.

    Raises:
        ReadError, WriteError: names the file and what is wrong; nothing is left half-written.
        InputError: an argument out of range, a target format that cannot hold the picture.
    """
    applied = Strength(strength, shadows, highlights)
    require_detail(detail)
    if hdr is not None and Path(hdr).suffix.lower() != ".exr":
        raise InputError(f"the HDR estimate is to go to {hdr}; expected a name ending in .exr")
    corrector = corrector or Corrector()
    seconds: dict[str, float] = {}
    with _timed(seconds, "read"):
        picture = read_picture(source)
    with _timed(seconds, "load"):
        _ = corrector.runner
    pixels = picture.pixels
    first, second = split(progress, SURVEY_SHARE)
    with _timed(seconds, "survey"):
        scene = corrector.survey(
            pixels, transfer=transfer or picture.transfer, wrap=wrap, progress=first
        )
    with _timed(seconds, "render"):
        corrected = corrector.render(scene, pixels, applied, progress=second)
    with _timed(seconds, "write"):
        write_picture(target, corrected, picture, quality=quality)
    if hdr is not None:
        with _timed(seconds, "hdr"):
            radiance = corrector.render_hdr(scene, pixels)
            write_hdr(hdr, np.ascontiguousarray(np.broadcast_to(radiance, (*pixels.shape[:2], 3))))
    return FileReport(
        source=str(source),
        target=str(target),
        hdr=None if hdr is None else str(hdr),
        height=pixels.shape[0],
        width=pixels.shape[1],
        channels=pixels.shape[2],
        dtype=pixels.dtype.name,
        seconds=seconds,
    )


@contextmanager
def _timed(seconds: dict[str, float], part: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    seconds[part] = round(time.perf_counter() - start, 4)
