"""How many workers one scheduler of distributed serves: tasks that only wait, for many workers.

    python -m benchmarks.scheduler_limits [--workers 100,1000] [--seconds 0.5] [--tasks-each 20]

Starts a scheduler in a process of its own, and the workers all in another one. Tasks go the way
that the blocks of `drht_plugin.dask.correct_store` go, but only wait for some seconds. Prints, for
each number of workers: tasks a second, their share of what the workers could do, and the CPU time
of the scheduler and of the client for a task. From these follow the terapixels an hour that are
possible, whatever the workers compute.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

BLOCKS = (1024, 2048, 4096, 8192)
"""Sides of blocks in pixels that the limit is told for."""


async def wait(seconds: float) -> None:
    """Stand in for a block's task, without threads or work."""
    await asyncio.sleep(seconds)


_STILL = {
    "distributed.worker.profile.enabled": False,
    "distributed.admin.tick.interval": "1h",
    "distributed.admin.tick.cycle": "1h",
    "distributed.admin.system-monitor.interval": "1h",
    "distributed.worker.http.routes": [],
}
"""What workers do for themselves, which is much for a thousand of them in one process."""


async def host(address: str, count: int) -> None:
    """Run many workers in this process, until the scheduler ends."""
    import dask
    from distributed import Worker

    dask.config.set(_STILL)

    workers = [
        Worker(address, nthreads=1, memory_limit=0, dashboard=False, name=f"w{n}", validate=False)
        for n in range(count)
    ]
    for first in range(0, count, 50):  # each takes several connections
        await asyncio.gather(*workers[first : first + 50])
    await asyncio.gather(*(worker.finished() for worker in workers))


@contextmanager
def cluster(count: int, folder: Path) -> Iterator[Any]:
    """Start a scheduler, and workers in one process; yields a client."""
    from distributed import Client

    told = folder / f"scheduler-{count}.json"
    scheduler = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--port", "0"]
    scheduler += ["--host", "127.0.0.1", "--no-dashboard", "--scheduler-file", str(told)]
    quiet: dict[str, Any] = {"stderr": subprocess.DEVNULL}
    with ExitStack() as started:

        def start(command: list[str]) -> None:
            process = subprocess.Popen(command, **quiet)
            started.callback(process.wait)
            started.callback(process.kill)

        start(scheduler)
        while not told.exists():
            time.sleep(0.1)
        address = json.loads(told.read_text())["address"]
        start([sys.executable, "-m", "benchmarks.scheduler_limits", "--host", address, str(count)])
        with Client(address, timeout=60) as client:
            client.wait_for_workers(count, timeout=1800)
            time.sleep(2)  # for their first heartbeats
            yield client


def measure(client: Any, workers: int, seconds: float, each: int) -> dict[str, float]:
    """Let every worker do some tasks."""
    from drht_plugin.dask.giants.workforce import open_workforce

    tasks = workers * each
    with open_workforce(client) as workforce:
        for _ in workforce.do(wait, [seconds] * workers):
            pass
        cpu = [client.run_on_scheduler(time.process_time), time.process_time()]
        begun = time.perf_counter()
        for _ in workforce.do(wait, [seconds] * tasks):
            pass
        taken = time.perf_counter() - begun
        cpu = [client.run_on_scheduler(time.process_time) - cpu[0], time.process_time() - cpu[1]]
    per_task = cpu[0] / tasks
    return {
        "workers": workers,
        "tasks": tasks,
        "seconds of a task": seconds,
        "tasks a second": round(tasks / taken, 1),
        "of what the workers can do": round(tasks * seconds / workers / taken, 3),
        "scheduler, CPU ms a task": round(1000 * per_task, 3),
        "client, CPU ms a task": round(1000 * cpu[1] / tasks, 3),
        **{
            f"most terapixels an hour, blocks of {side}": round(
                side**2 / max(per_task, cpu[1] / tasks) * 3600 / 1e12, 1
            )
            for side in BLOCKS
        },
    }


def main() -> None:
    """Print the figures of each number of workers as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--workers", default="100,1000", help="numbers of workers")
    parser.add_argument("--seconds", type=float, default=0.5, help="that a task waits")
    parser.add_argument("--tasks-each", type=int, default=20, help="tasks for each worker")
    parser.add_argument("--host", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.host:
        asyncio.run(host(options.host[0], int(options.host[1])))
        return
    for count in map(int, options.workers.split(",")):
        with tempfile.TemporaryDirectory() as folder, cluster(count, Path(folder)) as client:
            print(json.dumps(measure(client, count, options.seconds, options.tasks_each), indent=1))


if __name__ == "__main__":
    main()
