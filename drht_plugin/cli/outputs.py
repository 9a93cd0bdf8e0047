"""What `drht correct` writes for each picture, and what it must not replace."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from drht_plugin.cli.inputs import Input
from drht_plugin.errors import FileError, InputError

Identity = tuple[int, int]


@dataclass(frozen=True)
class Job:
    """One picture of a batch.

    Attributes:
        source: the picture's name, as given.
        path: of the picture.
        target: path of the result.
        hdr: path of the HDR estimate; None if not requested.
    """

    source: str
    path: str
    target: Path
    hdr: Path | None

    @property
    def outputs(self) -> list[Path]:
        """The paths that are written."""
        return [self.target] if self.hdr is None else [self.target, self.hdr]


def plan_jobs(
    sources: Sequence[Input],
    output: Path | None,
    *,
    hdr: bool,
    overwrite: bool,
    ultra_hdr: bool = False,
) -> list[Job]:
    """Decide what is written for each picture.

    Args:
        sources: the pictures.
        output: file or folder of the results; None puts each beside its picture.
        hdr: whether HDR estimates are written, too.
        overwrite: whether existing files are replaced.
        ultra_hdr: whether results that no file is named for are JPEG files.

    Returns:
        A job for each source.

    Raises:
        InputError: two outputs are one file, or an output is another picture of the batch.
    """
    jobs = []
    alone = len(sources) == 1 and sources[0].named
    taken = Counter(_plain_target(source, output, ultra_hdr, alone=alone) for source in sources)
    for source in sources:
        target = _plain_target(source, output, ultra_hdr, alone=alone)
        if taken[target] > 1 and target.suffix != source.place.suffix:
            target = target.with_name(f"{source.place.stem}{source.place.suffix}{target.suffix}")
        estimate = target.with_name(f"{source.place.stem}-hdr.exr") if hdr else None
        jobs.append(Job(source.source, source.path, target, estimate))
    counts = Counter(os.path.realpath(path) for job in jobs for path in job.outputs)
    doubles = sorted(path for path, count in counts.items() if count > 1)
    if doubles:
        raise InputError(f"several pictures would be written to {', '.join(doubles)}")
    if overwrite:  # otherwise existing files stay anyway
        _require_no_inputs(jobs)
    return jobs


def _plain_target(source: Input, output: Path | None, jpeg: bool, *, alone: bool) -> Path:
    """Return where a result goes if no other has the same name."""
    from drht_plugin.io import is_jpeg_name, result_suffix

    if output is not None and alone and output.suffix and not os.path.isdir(output):
        return output
    place = source.place.with_suffix(result_suffix(source.path))
    if jpeg and not is_jpeg_name(place):
        place = place.with_suffix(".jpg")
    if output is None:
        return Path(source.path).parent / f"{place.stem}-corrected{place.suffix}"
    return output / place


def _require_no_inputs(jobs: Sequence[Job]) -> None:
    inputs = {_identity(Path(job.path)): job.source for job in jobs}
    for job in jobs:
        for path in job.outputs:
            read = _identity(path)
            if read is None or read not in inputs:
                continue
            if path != job.target or read != _identity(Path(job.path)):
                raise InputError(f"{path} would be replaced, but it is {inputs[read]}, an input")


def _identity(path: Path) -> Identity | None:
    """Return what a file has in common under all its names, links and spellings of the case."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return None
    return status.st_dev, status.st_ino


class Results:
    """Results of a batch so far, which no later picture may replace.

    Args:
        overwrite: whether files from before the batch may be replaced.
    """

    def __init__(self, *, overwrite: bool) -> None:
        self._overwrite = overwrite
        self._written: dict[Identity, str] = {}

    def require_free(self, job: Job) -> None:
        """Check that a job may write its outputs.

        Raises:
            FileError: one of them exists, and is not to be replaced.
        """
        for path in job.outputs:
            found = _identity(path)
            if found is None:
                continue
            if found in self._written:
                raise FileError(f"{path}: is the result of {self._written[found]}")
            if not self._overwrite:
                same = found == _identity(Path(job.path))
                why = "is the picture itself" if same else "already exists"
                raise FileError(f"{path}: {why}; --overwrite replaces it")

    def add(self, job: Job) -> None:
        """Remember a job's outputs, which have been written."""
        for path in job.outputs:
            found = _identity(path)
            if found is not None:
                self._written[found] = job.source
