"""Run every method on every item, in this process or in several, with the same results."""

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

from drht_plugin.bridge.sharing import limit_threads
from drht_plugin.errors import DrhtError, InputError, ReadError
from drht_plugin.evaluation.datasets import Item, LazyItem, Source
from drht_plugin.evaluation.journal import Journal
from drht_plugin.evaluation.lineup import Lineup, make_lineup
from drht_plugin.evaluation.optional import import_optional
from drht_plugin.evaluation.scores import DISPLAY, HDR, Row

_THREAD_SETTINGS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMBA_NUM_THREADS",
)


@dataclass(frozen=True)
class Plan:
    """What to measure; picklable, so that every worker process gets a copy.

    Attributes:
        source: the data set.
        methods: names of methods.
        metrics: names of metrics.
        model: model of drht.
        device: device of drht.
    """

    source: Source
    methods: tuple[str, ...]
    metrics: tuple[str, ...]
    model: str
    device: str


@dataclass(frozen=True)
class Outcome:
    """Result of a run.

    Attributes:
        rows: measured values, in the order of the items and methods.
        failures: reasons why other items were left out, by name.
    """

    rows: list[Row]
    failures: dict[str, str]


def run(
    plan: Plan,
    items: Sequence[LazyItem],
    journal: Journal,
    jobs: int,
    advance: Callable[[int], object],
) -> Outcome:
    """Measure the items that the journal does not have yet.

    Args:
        plan: what to measure.
        items: items of the plan's data set.
        journal: receives every finished item.
        jobs: number of processes, 1 or more; the results do not depend on it.
        advance: called with the number of items finished or left out since the last call.

    Returns:
        The rows of all items, and the failures.

    Raises:
        DependencyError, WeightsError: something that every item needs is missing or damaged.
        DrhtError: a worker process was killed.
    """
    failures: dict[str, str] = {}
    todo = [i for i, lazy in enumerate(items) if lazy.name not in journal.done]
    advance(len(items) - len(todo))
    jobs = min(jobs, len(todo))
    results = _in_processes(plan, todo, jobs) if jobs > 1 else _in_this_process(plan, items, todo)
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
"""An item's rows, or the reason why it was left out."""
Results = Generator[tuple[int, Result], None, None]
"""Index and result of each item, in the order in which they finish."""


def _in_this_process(plan: Plan, items: Sequence[LazyItem], todo: Sequence[int]) -> Results:
    methods = make_lineup(plan.methods, plan.model, plan.device)
    with one_thread():
        for i in todo:
            yield i, measure(items[i], methods, plan)


def measure(lazy: LazyItem, methods: Lineup, plan: Plan) -> Result:
    """Measure every method and metric on one item.

    Args:
        lazy: the item.
        methods: the methods.
        plan: what to measure.

    Returns:
        A row per method, or the reason why the item was left out.
    """
    try:
        item = lazy.load()
        return [_row(item, name, methods, plan.metrics) for name in plan.methods]
    except (ReadError, InputError) as error:
        return str(error)


def _row(item: Item, name: str, methods: Lineup, metrics: Sequence[str]) -> Row:
    """Measure one method on one item."""
    values: dict[str, float | None] = {}
    for known, scores in ((methods.correctors, DISPLAY), (methods.expanders, HDR)):
        wanted = {m: scores[m] for m in metrics if m in scores and scores[m].applies_to(item)}
        if wanted and name in known:
            result = known[name](item)
            values |= {m: _number(score.measure(result, item)) for m, score in wanted.items()}
    return Row(item.name, name, dict(item.groups), values)


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


@contextmanager
def one_thread() -> Iterator[None]:
    """Limit all libraries to one thread, so that sums do not depend on the number of cores."""
    import torch

    cv2 = import_optional("cv2")
    before = torch.get_num_threads(), cv2.getNumThreads()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    try:
        with limit_threads(1):
            yield
    finally:
        torch.set_num_threads(before[0])
        cv2.setNumThreads(before[1])


def _in_processes(plan: Plan, todo: Sequence[int], jobs: int) -> Results:
    others = set(multiprocessing.active_children())
    context = multiprocessing.get_context("spawn")  # forking a process with threads may hang
    with _environment(dict.fromkeys(_THREAD_SETTINGS, "1")):
        pool = ProcessPoolExecutor(jobs, context, initializer=_start_worker, initargs=(plan,))
        try:
            futures = {pool.submit(_measure_in_worker, i): i for i in todo}
            for future in as_completed(futures):
                yield futures[future], future.result()
            pool.shutdown()
        except BrokenProcessPool as error:
            raise DrhtError(
                "a worker process was killed (out of memory?); with --json, repeat the command to "
                "continue, perhaps with fewer --jobs"
            ) from error
        finally:
            # An interrupted run does not wait for results that nobody will use.
            pool.shutdown(wait=False, cancel_futures=True)
            for worker in set(multiprocessing.active_children()) - others:
                worker.terminate()
                worker.join()


@contextmanager
def _environment(settings: dict[str, str]) -> Iterator[None]:
    """Set environment variables for a while; child processes inherit them."""
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


_worker: tuple[Plan, list[LazyItem], Lineup] | None = None


def _start_worker(plan: Plan) -> None:
    global _worker
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles it and ends this process
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _worker = plan, plan.source.items(), make_lineup(plan.methods, plan.model, plan.device)


def _end_with_parent() -> None:
    """End this process when its parent ends; a parent that was killed cannot do so."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _measure_in_worker(i: int) -> Result:
    assert _worker is not None
    plan, items, methods = _worker
    with one_thread():
        return measure(items[i], methods, plan)
