"""Correct the pictures of a batch on a cluster: a task a picture, some of them at a time."""

from __future__ import annotations

import argparse
import os
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from drht_plugin.cli import cluster_work
from drht_plugin.cli.batch import Outcome, outcome_at_once, spellings
from drht_plugin.cli.cluster_work import Done, Networks
from drht_plugin.cli.exits import printable
from drht_plugin.cli.faults import Fault
from drht_plugin.cli.outputs import Job
from drht_plugin.cli.progress import Progress
from drht_plugin.cli.signals import check_stopped
from drht_plugin.cli.work import Work, count_pixels
from drht_plugin.dask.at_work import new_job, stop
from drht_plugin.dask.workers import Cluster, absolute
from drht_plugin.errors import ClusterError
from drht_plugin.storage import make_locked_file, remove_leftovers

_AHEAD = 4
"""Pictures that a thread of a worker is given at once: one is computed, and its like is fetched."""

_MOST_UNTOLD = 4096
"""Outcomes that may wait for an earlier picture's, so that lines keep their order."""


@contextmanager
def open_cluster_batch(
    jobs: Sequence[Job],
    options: argparse.Namespace,
    admit: Callable[[Job], bool],
    progress: Progress,
) -> Iterator[tuple[ClusterBatch, bool]]:
    """Reach the cluster of --scheduler, and see that its workers can do the work.

    Args:
        jobs: the pictures.
        options: the parsed arguments of `drht correct`.
        admit: see `batch.Batch`.
        progress: is told what is waited for.

    Yields:
        The batch, and whether the model has a network for network detail.

    Raises:
        InputError: the scheduler cannot be reached; a worker has another version of this package,
            or does not reach the files; the model or device cannot be used there.
        ClusterError: the scheduler is lost, or there is no worker for long.
        DependencyError: distributed is not installed.
    """
    from drht_plugin.dask.cluster import open_client

    progress.say("reaching the cluster")
    with open_client(options.scheduler) as client:
        cluster = Cluster(client, options.scheduler)
        cluster.wait_for_worker(check_stopped)
        work = Work.of(options)
        _require_equal(cluster, jobs, work)
        networks = Networks(
            model=absolute(options.model)
            if options.model.endswith(".safetensors")
            else options.model,
            device=options.device,
            backend=options.backend,
            threads=1 if options.threads is None else options.threads,
            detail=options.detail,
            pixels=count_pixels(jobs) // max(1, len(cluster.threads())),
        )
        progress.say("loading networks")
        network = client.submit(cluster_work.has_detail, networks, pure=False).result()
        yield ClusterBatch(cluster, work, networks, admit, progress), network


@dataclass
class ClusterBatch:
    """Pictures that are corrected by a cluster's workers; see `batch.Batch`.

    A worker that dies takes with it all that it had been given, and the scheduler gives that to
    others, some times (distributed's setting `scheduler.allowed-failures`). Pictures that were
    there each time are tried once more, so many times again, each with nothing else on the cluster.
    Of those that fail then it is certain that the workers die of them.

    Attributes:
        cluster: that does the work.
        work: what is done with each picture.
        networks: by which.
        admit: see `batch.Batch`.
        progress: is told what is waited for.
    """

    cluster: Cluster
    work: Work
    networks: Networks
    admit: Callable[[Job], bool]
    progress: Progress
    _batch: str = field(default_factory=new_job)
    _untold: deque[_Place] = field(default_factory=deque)
    _names: set[str] = field(default_factory=set)
    _given: dict[Any, _Place] = field(default_factory=dict)
    _ended: SimpleQueue[Any] = field(default_factory=SimpleQueue)
    _suspects: deque[_Place] = field(default_factory=deque)
    _alone: bool = False

    def run(self, jobs: Sequence[Job]) -> Generator[Outcome, None, None]:
        """Yield the outcomes, in the order of the jobs.

        When the body of the loop ends early, or a signal comes, pictures that have not begun are
        given up, and those that have are stopped and waited for.

        Raises:
            ClusterError: the scheduler is lost, or there is no worker for long.
        """
        coming = iter(enumerate(jobs))
        held: tuple[int, Job] | None = None  # waits for one that may have the same name
        more = True
        try:
            while True:
                check_stopped()
                while more and self._has_room():
                    held = held or next(coming, None)
                    more = held is not None
                    names = spellings(held[1]) if held else set()
                    if held is None or not self._names.isdisjoint(names):
                        break
                    self._take(*held, names)
                    held = None
                if not self._given and self._suspects:
                    self._alone = True
                    self._give(self._suspects.popleft())
                while self._untold and (outcome := self._untold[0].outcome):
                    self._names -= self._untold.popleft().names
                    yield outcome
                if not more and not self._untold:
                    return
                if self._given:
                    self._collect()
        finally:
            if self._given:
                self._give_up()

    def _has_room(self) -> bool:
        """Return whether another picture may be given to the workers."""
        most = _AHEAD * max(2, sum(self.cluster.threads().values()))
        return not self._alone and len(self._given) < most and len(self._untold) < _MOST_UNTOLD

    def _take(self, index: int, job: Job, names: set[str]) -> None:
        """Begin with a picture."""
        place = _Place(index, job, names, outcome_at_once(index, job, self.admit))
        self._untold.append(place)
        self._names |= names
        if place.outcome is None:
            self._give(place)

    def _give(self, place: _Place) -> None:
        place.tries += 1
        name = printable(Path(place.job.source).name)
        future = self.cluster.client.submit(
            cluster_work.correct_picture,
            self._batch,
            self.work,
            self.networks,
            _abroad(place.job),
            key=("drht-correct", self._batch, place.index, place.tries, name),
            pure=False,
        )
        self._given[future] = place
        future.add_done_callback(self._ended.put)

    def _collect(self) -> None:
        """Wait a moment for a picture to be done, and take what is."""
        ahead = sum(place.outcome is not None for place in self._untold)
        others = f", {ahead} are done ahead" if ahead else ""
        self.progress.say(f"on {len(self.cluster.threads())} workers{others}", now=False)
        with suppress(Empty):
            ended = [self._ended.get(timeout=0.2)]
            while not self._ended.empty():
                ended.append(self._ended.get())
            for future, done in self._results(ended).items():
                self._settle(self._given.pop(future), done)
            for future in ended:
                if future in self._given:
                    self._fail(self._given.pop(future), future)

    def _results(self, ended: list[Any]) -> dict[Any, Done]:
        """Fetch what has not failed; results that were lost with their worker are made again."""
        from distributed import KilledWorker

        while True:
            good = [future for future in ended if future.status not in ("error", "cancelled")]
            with suppress(KilledWorker):  # while one was made again
                return dict(zip(good, self.cluster.client.gather(good), strict=True))

    def _settle(self, place: _Place, done: Done) -> None:
        """Note a picture's outcome, with the names as they were given."""
        self._alone = False
        job, rename = place.job, _renaming(place.job)
        report = done.report and replace(
            done.report,
            source=job.source,
            target=str(job.target),
            hdr=None if job.hdr is None else str(job.hdr),
        )
        fault = done.fault and done.fault.renamed(rename)
        notes = tuple(map(rename, done.notes))
        place.outcome = Outcome(place.index, job, report, fault, notes)

    def _fail(self, place: _Place, future: Any) -> None:
        """Try a picture again alone, once; or note that it failed."""
        from distributed import KilledWorker

        if future.status != "error":
            from drht_plugin.dask.cluster import lost

            raise lost(self.cluster.scheduler, "it has dropped what it was given")
        error = future.exception()
        if isinstance(error, KilledWorker):
            remove_leftovers(place.job.target.parent)
            if not self._alone:
                self._suspects.append(place)
                return
            tries = error.allowed_failures + 1
            error = ClusterError(
                "its worker died each time that it was tried, in the end "
                f"{'once' if tries == 1 else f'{tries} times'} with nothing else on the cluster"
            )
        self._settle(place, Done(fault=Fault.of(error)))

    def _give_up(self) -> None:
        """Cancel what waits, stop what runs, and leave nothing of it."""
        client, places = self.cluster.client, list(self._given.values())
        if client.status != "running":
            return
        with suppress(Exception):  # of a cluster that is gone
            client.cancel(list(self._given))
        stop(client, self._batch)
        self._given.clear()
        for folder in {place.job.target.parent for place in places}:
            remove_leftovers(folder)


@dataclass
class _Place:
    """A picture in the order of lines.

    Attributes:
        index: of its job.
        job: the picture.
        names: see `batch.spellings`.
        outcome: once it is known.
        tries: how often it was given to the cluster.
    """

    index: int
    job: Job
    names: set[str]
    outcome: Outcome | None = None
    tries: int = 0


def _require_equal(cluster: Cluster, jobs: Sequence[Job], work: Work) -> None:
    """Check that all workers have this version, and reach the first picture and its result."""
    seen, parent = {jobs[0].path: jobs[0].path}, jobs[0].target.parent
    with ExitStack() as made:
        with suppress(OSError):  # where nothing can be written, each picture says so
            if work.makes_folders:
                for each in reversed((parent, *parent.parents)):
                    if not each.exists():
                        each.mkdir()
                        made.callback(_remove_empty, each)
            path, descriptor = make_locked_file(parent, ".drht-")
            made.callback(path.unlink)
            made.callback(os.close, descriptor)
            seen[str(parent)] = str(path)
        cluster.require_equal(seen)


def _remove_empty(folder: Path) -> None:
    with suppress(OSError):
        folder.rmdir()


def _abroad(job: Job) -> Job:
    return replace(
        job,
        path=absolute(job.path),
        target=Path(absolute(job.target)),
        hdr=job.hdr and Path(absolute(job.hdr)),
    )


def _renaming(job: Job) -> Callable[[str], str]:
    """Return what names a job's files as they were given, in a text that comes from a worker."""
    paths = map(str, (job.path, *job.outputs))
    names = {absolute(path): path for path in paths}

    def rename(text: str) -> str:
        for long, short in names.items():
            text = text.replace(long, short)
        return text

    return rename
