"""Work on several pictures at once, and tell their outcomes in the order they were named."""

from __future__ import annotations

import os
import threading
import warnings
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from drht_plugin.cli.faults import Fault
from drht_plugin.cli.outputs import Job
from drht_plugin.cli.signals import check_stopped
from drht_plugin.errors import DrhtWarning

if TYPE_CHECKING:
    from drht_plugin.file_correction import FileReport

BUDGET = 1 << 30
"""Pixels that the pictures worked on at once may take together (bytes)."""

_MOST = 4
"""More pictures at once do not help on any machine that this was measured on."""


def default_jobs(cores: int) -> int:
    """Return how many pictures are worked on at once unless told otherwise.

    One more than cores up to two, since a picture waits for the disk and between its steps; few
    more on large machines, where the kernels of one picture use all cores.

    Args:
        cores: CPU cores of this process.
    """
    return min(cores + 1, _MOST)


@dataclass(frozen=True)
class Outcome:
    """What became of a picture.

    Attributes:
        index: of the job.
        job: the picture, and what was to be written.
        report: what was done; None where it failed or was left out.
        fault: what went wrong; None for nothing.
        notes: warnings that the library gave meanwhile.
        skipped: whether it was left out, as its results exist.
    """

    index: int
    job: Job
    report: FileReport | None = None
    fault: Fault | None = None
    notes: tuple[str, ...] = ()
    skipped: bool = False


@dataclass
class Batch:
    """Pictures that are worked on at once.

    Attributes:
        work: corrects the picture of an index.
        admit: decides before a picture is begun, in order, whether it is left out (True); an
            exception that it raises is the picture's own.
        cost: bytes that a picture takes while it is worked on, as far as is known.
        workers: how many at once.
        budget: what they may take together. A picture that takes more is worked on alone.
    """

    work: Callable[[int, Job], FileReport]
    admit: Callable[[Job], bool]
    cost: Callable[[Job], int]
    workers: int
    budget: int = BUDGET
    _waiting: deque[_Begun] = field(default_factory=deque)

    def run(self, jobs: Sequence[Job]) -> Generator[Outcome, None, None]:
        """Yield the outcomes, in the order of the jobs.

        With one worker, pictures are worked on in the calling thread. When the body of the loop
        ends early, or a signal comes, pictures that have not begun are given up, and those that
        have are waited for: `check_stopped` ends them too.
        """
        if self.workers == 1:
            for index, job in enumerate(jobs):
                check_stopped()
                yield outcome_at_once(index, job, self.admit) or self._correct(index, job)
            return
        with _notes_for_a_while(), ThreadPoolExecutor(self.workers, "drht picture") as pool:
            try:
                for index, job in enumerate(jobs):
                    check_stopped()
                    cost = self.cost(job)
                    while self._waiting and not self._fits(job, cost):
                        yield self._next()
                    outcome = outcome_at_once(index, job, self.admit)
                    if outcome is None:
                        future = pool.submit(self._correct, index, job)
                    else:
                        future, cost = Future(), 0
                        future.set_result(outcome)
                    self._waiting.append(_Begun(job, cost, future))
                while self._waiting:
                    yield self._next()
            finally:
                for each in self._waiting:
                    each.future.cancel()

    def _correct(self, index: int, job: Job) -> Outcome:
        check_stopped()
        with kept_notes() as notes:
            try:
                report = self.work(index, job)
            except Exception as error:
                return Outcome(index, job, fault=Fault.of(error), notes=tuple(notes))
            return Outcome(index, job, report, notes=tuple(notes))

    def _fits(self, job: Job, cost: int) -> bool:
        """Return whether a picture may begin beside those that are worked on or told later."""
        busy = [each for each in self._waiting if not each.future.done()]
        if len(self._waiting) >= 2 * self.workers:
            return False
        if busy and sum(each.cost for each in busy) + cost > self.budget:
            return False
        # Names that some disks take for one: what the first one wrote is seen once it is told.
        mine = spellings(job)
        return not any(mine & spellings(each.job) for each in self._waiting)

    def _next(self) -> Outcome:
        """Wait for the picture that is told next."""
        outcome = self._waiting[0].future.result()
        self._waiting.popleft()
        return outcome


@dataclass(frozen=True)
class _Begun:
    """A picture that has been begun: what it takes (bytes), and its outcome to come."""

    job: Job
    cost: int
    future: Future[Outcome]


def outcome_at_once(index: int, job: Job, admit: Callable[[Job], bool]) -> Outcome | None:
    """Return the outcome of a picture that is not to be worked on; None for others.

    Args:
        index: of the job.
        job: the picture.
        admit: see `Batch`.
    """
    try:
        return Outcome(index, job, skipped=True) if admit(job) else None
    except Exception as error:
        return Outcome(index, job, fault=Fault.of(error))


def spellings(job: Job) -> set[str]:
    """Return what a job's results have in common with names that some disks take for the same."""
    return {os.path.realpath(path).casefold() for path in job.outputs}


_of_thread = threading.local()


@contextmanager
def kept_notes() -> Iterator[list[str]]:
    """Collect the library's warnings in this thread, once `keep_notes_by_thread` was called."""
    _of_thread.notes = []
    try:
        yield _of_thread.notes
    finally:
        _of_thread.notes = None


def keep_notes_by_thread() -> None:
    """Keep the library's warnings in a picture's thread from now on, to be told with its outcome.

    Other warnings, and those of threads without `kept_notes`, are shown as usual.
    """
    warnings.showwarning = partial(_keep, warnings.showwarning)


@contextmanager
def _notes_for_a_while() -> Iterator[None]:
    usual = warnings.showwarning
    keep_notes_by_thread()
    try:
        yield
    finally:
        warnings.showwarning = usual


def _keep(
    usual: Callable[..., None], message: Warning | str, category: type[Warning], *place: Any
) -> None:
    notes = getattr(_of_thread, "notes", None)
    if notes is None or not issubclass(category, DrhtWarning):
        usual(message, category, *place)
    else:
        notes.append(str(message))
