"""What `drht correct` writes for each picture, and what it must not replace."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from drht_plugin.cli.inputs import Input
from drht_plugin.cli.targets import Naming
from drht_plugin.errors import FileError, InputError

Identity = tuple[int, int]
ESTIMATE = "-hdr.exr"
"""What the name of an HDR estimate's file ends in."""


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


def plan_jobs(sources: Sequence[Input], naming: Naming, *, hdr: bool, overwrite: bool) -> list[Job]:
    """Decide what is written for each picture.

    Args:
        sources: the pictures.
        naming: how results are named.
        hdr: whether HDR estimates are written, too.
        overwrite: whether existing files are replaced.

    Returns:
        A job for each source. Names that several pictures would have get the picture's suffix, too.

    Raises:
        InputError: two outputs are one file, or an output is another picture of the batch.
    """
    jobs = []
    alone = naming.is_file(sources)
    taken = Counter(naming.target(source, alone=alone) for source in sources)
    for source in sources:
        target = naming.target(source, alone=alone)
        if taken[target] > 1 and target.suffix != source.place.suffix:
            target = target.with_name(f"{source.place.stem}{source.place.suffix}{target.suffix}")
        stem = target.stem if alone else source.place.stem
        estimate = target.with_name(f"{stem}{ESTIMATE}") if hdr else None
        jobs.append(Job(source.source, source.path, target, estimate))
    shared = Counter(job.hdr for job in jobs)
    for index, (source, job) in enumerate(zip(sources, jobs, strict=True)):
        if job.hdr is not None and shared[job.hdr] > 1:
            jobs[index] = replace(job, hdr=job.hdr.with_name(f"{source.place.name}{ESTIMATE}"))
    counts = Counter(os.path.realpath(path) for job in jobs for path in job.outputs)
    doubles = sorted(path for path, count in counts.items() if count > 1)
    if doubles:
        raise InputError(f"several pictures would be written to {', '.join(doubles)}")
    if overwrite:  # otherwise existing files stay anyway
        _require_no_inputs(jobs)
    return jobs


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

    def exist(self, job: Job) -> bool:
        """Return whether a job's outputs are all there from before the batch."""
        found = [_identity(path) for path in job.outputs]
        own = _identity(Path(job.path))
        return all(each not in (None, own) and each not in self._written for each in found)

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
