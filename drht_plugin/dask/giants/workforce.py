"""Who does the tasks: threads of this process, or the workers of a cluster."""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar

from drht_plugin.bridge.sharing import allowed_threads
from drht_plugin.dask.at_work import stop
from drht_plugin.dask.cluster import named_losses
from drht_plugin.dask.workers import Cluster

if TYPE_CHECKING:
    from distributed import Client

Item = TypeVar("Item")
Result = TypeVar("Result")

_AHEAD = 3
"""Tasks that are sent for each thread of a cluster, so that none waits for the client."""

_ATTENTION = 0.5
"""Seconds after which the calling thread looks up, so that Ctrl-C reaches it, and a lost worker."""


class Workforce:
    """What runs tasks, a bounded number at a time.

    Args:
        executor: runs them.
        most: tasks that are sent before the first is done.
        look_up: is called every now and then while tasks are waited for; what it raises ends them.
    """

    def __init__(
        self, executor: Executor, most: int, look_up: Callable[[], object] = lambda: None
    ) -> None:
        self._executor, self._most, self._look_up = executor, most, look_up

    def do(self, task: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """Run a task for each item, and yield the results in the order in which they come.

        Args:
            task: what is done; of a cluster, it and the items can be pickled.
            items: consumed as tasks end.

        Raises:
            Exception: the first that a task raises; tasks that have not begun are dropped.
        """
        waiting: set[Future[Result]] = set()
        ended: queue.SimpleQueue[Future[Result]] = queue.SimpleQueue()
        left = iter(items)
        try:
            while True:
                for item in islice(left, self._most - len(waiting)):
                    future = self._executor.submit(task, item)
                    waiting.add(future)
                    future.add_done_callback(ended.put)
                if not waiting:
                    return
                future = self._next(ended)
                waiting.discard(future)
                yield future.result()
        finally:
            for future in waiting:
                future.cancel()

    def _next(self, ended: queue.SimpleQueue[Any]) -> Any:
        while True:
            self._look_up()
            try:
                return ended.get(timeout=_ATTENTION)
            except queue.Empty:
                continue


@contextmanager
def open_workforce(
    client: Client | None, job: str, paths: Mapping[str, str | Path] = MappingProxyType({})
) -> Iterator[Workforce]:
    """Return the workers of a cluster, or threads of this process, one for each core.

    When the body raises, tasks that have begun are waited for, so that nothing is written later.

    Args:
        client: of the cluster; None for threads.
        job: by which tasks count as its work, see `at_work`.
        paths: what all workers must see, by the names of what it shows.

    Raises:
        ClusterError: see `cluster.named_losses`; or there has been no worker for long.
        InputError: a worker has another version of this package, or none, or does not see a path.
    """
    if client is None:
        threads = allowed_threads()
        with ThreadPoolExecutor(threads, thread_name_prefix="drht") as pool:
            yield Workforce(pool, 2 * threads)
        return
    connected: Any = client  # which is not typed
    cluster = Cluster(connected, connected.scheduler.address)
    with named_losses(cluster.scheduler, client):
        cluster.wait_for_worker()
        cluster.require_equal(paths)
        threads = sum(cluster.threads().values())
        executor = connected.get_executor(pure=False)
        try:
            yield Workforce(executor, _AHEAD * max(threads, 1) + 8, cluster.threads)
        except BaseException:
            stop(client, job)
            raise
