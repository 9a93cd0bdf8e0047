"""How `drht correct` corrects each picture, on any thread, process or machine."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from drht_plugin.cli.controls import control_values
from drht_plugin.cli.outputs import Job
from drht_plugin.errors import DrhtError

if TYPE_CHECKING:
    from drht_plugin.engine.corrector import Corrector
    from drht_plugin.engine.progress import ProgressCallback
    from drht_plugin.file_correction import FileReport, StageCallback

_MOST_BY_ROWS = 256 << 20
"""Most that is held of a picture that goes by rows: itself or bands of it, and results (bytes)."""

_NAMES = (
    "ultra_hdr",
    "detail",
    "transfer",
    "wrap",
    "bits",
    "background",
    "quality",
    "memory",
    "resume",
    "damaged",
    "layer",
)
"""Options of `drht correct` that are arguments of `correct_file`."""


@dataclass(frozen=True)
class Work:
    """What is done with each picture of a batch; can be sent to other processes.

    Attributes:
        arguments: of `correct_file`, the same for all pictures.
        makes_folders: whether the folders of results are made.
    """

    arguments: Mapping[str, Any]
    makes_folders: bool

    @classmethod
    def of(cls, options: argparse.Namespace) -> Work:
        """Return what the parsed arguments ask for."""
        arguments = {name: getattr(options, name) for name in _NAMES}
        return cls({**arguments, **control_values(options)}, options.output is not None)

    def correct(
        self,
        job: Job,
        corrector: Corrector,
        *,
        progress: ProgressCallback | None = None,
        stage: StageCallback | None = None,
    ) -> FileReport:
        """Correct a picture; see `file_correction.correct_file`."""
        from drht_plugin.file_correction import correct_file

        if self.makes_folders and not job.target.parent.exists():
            job.target.parent.mkdir(parents=True, exist_ok=True)
        return correct_file(
            job.path,
            job.target,
            corrector=corrector,
            hdr=job.hdr,
            progress=progress,
            stage=stage,
            **self.arguments,
        )


def cost_of(job: Job) -> int:
    """Estimate the bytes of pixels that are held while a picture is worked on."""
    from drht_plugin.io import size_of

    with suppress(Exception):
        size = size_of(job.path)
        return size.decoding + 2 * size.bytes if size.whole else min(2 * size.bytes, _MOST_BY_ROWS)
    return 0


def count_pixels(jobs: Sequence[Job]) -> int:
    """Estimate the pixels of all pictures by the first one that can be opened."""
    from drht_plugin.io import size_of

    for job in jobs:
        with suppress(DrhtError, OSError):
            return len(jobs) * size_of(job.path).pixels
    return 0
