"""Every method on every item: in this process, or in several that give the same numbers."""

from __future__ import annotations

import math
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing, contextmanager
from dataclasses import dataclass

from drht_plugin.errors import DrhtError, InputError, ReadError
from drht_plugin.evaluation.datasets import Item, Lazy, Source
from drht_plugin.evaluation.journal import Journal
from drht_plugin.evaluation.lineup import Lineup, lineup
from drht_plugin.evaluation.optional import need
from drht_plugin.evaluation.scores import DISPLAY, HDR, Row

_THREAD_SETTINGS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMBA_NUM_THREADS",
)


@dataclass(frozen=True)
class Plan:
    """What is measured; picklable, so that every worker process makes its own of it."""

    source: Source
    methods: tuple[str, ...]
    metrics: tuple[str, ...]
    model: str
    device: str


@dataclass(frozen=True)
class Outcome:
    """Rows in the order of the items and methods, and why the others were left out."""

    rows: list[Row]
    failures: dict[str, str]


def run(
    plan: Plan, items: Sequence[Lazy], journal: Journal, jobs: int, advance: Callable[[int], object]
) -> Outcome:
    """Measure what the journal does not hold yet.

    Args:
        plan: what is measured.
        items: those of its source.
        journal: gets every item that is done.
        jobs: processes, 1 or more; the rows do not depend on it.
        advance: called with how many items were done or left out since the last call.

    Raises:
        DependencyError, WeightsError: what every item needs is missing or damaged.
        DrhtError: a worker process was ended from outside.
    """
    failures: dict[str, str] = {}
    todo = [i for i, lazy in enumerate(items) if lazy.name not in journal.done]
    advance(len(items) - len(todo))
    jobs = min(jobs, len(todo))
    results = _in_processes(plan, todo, jobs) if jobs > 1 else _here(plan, items, todo)
    with closing(results):
        for i, result in results:
            if isinstance(result, str):
                failures[items[i].name] = result
            else:
                journal.add(items[i].name, result)
            advance(1)
    names = [lazy.name for lazy in items]
    rows = [row for name in names for row in journal.done.get(name, [])]
    return Outcome(rows, {name: failures[name] for name in names if name in failures})


Result = list[Row] | str
"""An item's rows, or why it was left out."""
Results = Generator[tuple[int, Result], None, None]
"""Index of an item, and what came of it, in the order in which they are done."""


def _here(plan: Plan, items: Sequence[Lazy], todo: Sequence[int]) -> Results:
    methods = lineup(plan.methods, plan.model, plan.device)
    with one_thread():
        for i in todo:
            yield i, measure(items[i], methods, plan)


def measure(lazy: Lazy, methods: Lineup, plan: Plan) -> Result:
    """Every method and metric on one item."""
    try:
        item = lazy.load()
        return [_row(item, name, methods, plan.metrics) for name in plan.methods]
    except (ReadError, InputError) as error:
        return str(error)


def _row(item: Item, name: str, methods: Lineup, metrics: Sequence[str]) -> Row:
    values: dict[str, float | None] = {}
    for made_by, scores in ((methods.correctors, DISPLAY), (methods.expanders, HDR)):
        wanted = {m: scores[m] for m in metrics if m in scores and scores[m].fits(item)}
        if wanted and name in made_by:
            result = made_by[name](item)
            values |= {m: _number(score.measure(result, item)) for m, score in wanted.items()}
    return Row(item.name, name, dict(item.groups), values)


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


@contextmanager
def one_thread() -> Iterator[None]:
    """One thread for all that computes: sums must not depend on the number of cores."""
    import numba
    import torch

    cv2 = need("cv2")
    before = torch.get_num_threads(), cv2.getNumThreads(), numba.get_num_threads()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    numba.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before[0])
        cv2.setNumThreads(before[1])
        numba.set_num_threads(before[2])


def _in_processes(plan: Plan, todo: Sequence[int], jobs: int) -> Results:
    others = set(multiprocessing.active_children())
    context = multiprocessing.get_context("spawn")  # forks of a process with threads may hang
    with _environment(dict.fromkeys(_THREAD_SETTINGS, "1")):
        pool = ProcessPoolExecutor(jobs, context, initializer=_start_worker, initargs=(plan,))
        try:
            futures = {pool.submit(_measure_in_worker, i): i for i in todo}
            for future in as_completed(futures):
                yield futures[future], future.result()
            pool.shutdown()
        except BrokenProcessPool as error:
            raise DrhtError(
                "a worker process was ended from outside (out of memory?); with --json the same "
                "command goes on, perhaps with fewer --jobs"
            ) from error
        finally:
            # An interrupted run does not wait for pictures that nobody will see.
            pool.shutdown(wait=False, cancel_futures=True)
            for worker in set(multiprocessing.active_children()) - others:
                worker.terminate()
                worker.join()


@contextmanager
def _environment(settings: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in settings}
    os.environ.update(settings)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


_worker: tuple[Plan, list[Lazy], Lineup] | None = None


def _start_worker(plan: Plan) -> None:
    global _worker
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent sees it, and ends this process
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _worker = plan, plan.source.items(), lineup(plan.methods, plan.model, plan.device)


def _end_with_parent() -> None:
    """A parent that was killed cannot end its workers."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _measure_in_worker(i: int) -> Result:
    assert _worker is not None
    plan, items, methods = _worker
    with one_thread():
        return measure(items[i], methods, plan)
