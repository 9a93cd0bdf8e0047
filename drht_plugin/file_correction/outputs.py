"""Where the rows of a file's correction go."""

from __future__ import annotations

import math
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from drht_plugin._version import __version__
from drht_plugin.engine.corrector import Corrector
from drht_plugin.engine.source import Sink
from drht_plugin.file_correction.plan import FilePlan
from drht_plugin.file_correction.settings import FileSettings
from drht_plugin.io import PictureFile, PictureSink, create_hdr, create_picture, create_together
from drht_plugin.resume import ResumableRows, open_resumable, source_identity

_COPY_BYTES = 8 << 20
"""Size of the bands in which stored rows are copied to the target."""


@dataclass(frozen=True)
class Outputs:
    """Sinks of a correction, which appear together or not at all.

    Attributes:
        target: of the corrected picture.
        stored: rows that outlive a killed run, and go to the target at the end; None unless
            `resume` is asked for.
        estimates: of the HDR estimate: a file, the gain map's maker, both, or none.
    """

    target: PictureSink
    stored: ResumableRows | None
    estimates: tuple[Sink, ...]

    @property
    def rows(self) -> Sink:
        """Where rendered rows go."""
        return self.target if self.stored is None else self.stored

    @property
    def done(self) -> int:
        """Rows that an earlier run has rendered."""
        return 0 if self.stored is None else self.stored.done

    def copy_stored(self) -> None:
        """Copy rows that were stored to the target."""
        stored = self.stored
        if stored is None:
            return
        row_bytes = math.prod(stored.shape[1:]) * stored.dtype.itemsize
        height, rows = stored.shape[0], max(1, _COPY_BYTES // row_bytes)
        for top in range(0, height, rows):
            bottom = min(top + rows, height)
            self.target[top:bottom] = stored[top:bottom]


def open_outputs(
    stack: ExitStack,
    settings: FileSettings,
    plan: FilePlan,
    picture: PictureFile,
    corrector: Corrector,
    tile: int | None,
) -> Outputs:
    """Open what is written; all of it appears when the stack is closed without an exception.

    Args:
        stack: closes the outputs.
        settings: what the caller asks for.
        plan: of the picture.
        picture: the source.
        corrector: renders the rows.
        tile: side of the tiles that it renders; None for none.

    Raises:
        InputError: a format cannot hold the picture.
        WriteError: a file cannot be written, or holds rows of another job.
    """
    stored = None
    if settings.resume:
        job = _job(settings, plan, picture, corrector, tile)
        given = plan.conversion.given
        stored = stack.enter_context(open_resumable(settings.target, job, picture.shape, given))
    group = stack.enter_context(create_together())
    estimates: list[Sink] = []
    if settings.hdr is not None:
        height, width = plan.spec.height, plan.spec.width
        turn = plan.orientation
        estimates.append(
            stack.enter_context(
                create_hdr(settings.hdr, height, width, orientation=turn, group=group)
            )
        )
    target = stack.enter_context(
        create_picture(
            settings.target,
            picture,
            conversion=plan.conversion,
            quality=settings.quality,
            folder=stored.folder if stored else None,
            group=group,
            gain_map=plan.maker,
        )
    )
    if plan.maker:
        estimates.append(plan.maker.radiance)
    return Outputs(target, stored, tuple(estimates))


def _job(
    settings: FileSettings,
    plan: FilePlan,
    picture: PictureFile,
    corrector: Corrector,
    tile: int | None,
) -> dict[str, Any]:
    """Return what decides the rows of a result."""
    return {
        "version": __version__,
        "source": source_identity(picture.path),
        "model": corrector.model_digest(),
        **settings.identity(plan.transfer),
        "chooses network detail": settings.detail == "auto" and corrector.on_accelerator,
        "tile": tile,
        "rows": [plan.conversion.given.name, *picture.shape],
    }
