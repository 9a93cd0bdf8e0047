"""Measure what a cluster costs for each picture of `drht correct --scheduler`, beside its own work.

    python -m benchmarks.cluster_files [--count 2000] [--scheduler local:2]

Gives the workers pictures that take no time and touch no disk, and prints for each of them the wall
time, the CPU time of this process (the client and, for local:N, the scheduler) and of the workers;
and the peak of this process's memory. On a cluster of others, start it anew afterwards: its workers
would correct no pictures any more.
"""

from __future__ import annotations

import argparse
import resource
import time
from pathlib import Path

from drht_plugin.cli.cluster_batch import Cluster, ClusterBatch
from drht_plugin.cli.cluster_work import Networks
from drht_plugin.cli.outputs import Job
from drht_plugin.cli.progress import Progress
from drht_plugin.cli.work import Work
from drht_plugin.dask.cluster import open_client


def _do_nothing() -> None:
    """Have this worker take no time for a picture."""
    from drht_plugin.cli import cluster_work, work
    from drht_plugin.file_correction import FileReport

    def correct(_work: object, job: Job, _corrector: object, **_options: object) -> FileReport:
        target = str(job.target)
        return FileReport(job.source, target, None, 1, 1, 1, "uint8", 0.0, "guided", False)

    work.Work.correct = correct
    cluster_work.loaded = lambda _networks: None


def _seconds() -> float:
    return time.process_time()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=2000, help="pictures (default: 2000)")
    parser.add_argument("--scheduler", default="local:2", help="(default: local:2)")
    options = parser.parse_args()
    count = options.count
    names = [f"{number:06}.png" for number in range(count)]
    jobs = [Job(f"in/{name}", f"in/{name}", Path("out", name), None) for name in names]
    with open_client(options.scheduler) as client:
        client.run(_do_nothing)
        batch = ClusterBatch(
            Cluster(client, options.scheduler),
            Work({}, makes_folders=True),
            Networks("default", "cpu", "auto", 1, "auto", 0),
            lambda _job: False,
            Progress([1.0] * count, None),
        )
        before = client.run(_seconds)
        begun, own = time.perf_counter(), time.process_time()
        done = sum(outcome.report is not None for outcome in batch.run(jobs))
        wall, own = time.perf_counter() - begun, time.process_time() - own
        after = client.run(_seconds)
    if done != count:
        raise RuntimeError(f"{done} of {count} pictures were made")
    workers = sum(after[name] - before[name] for name in before)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{count} pictures on {len(before)} workers, for each: {1e3 * wall / count:.2f} ms; CPU: "
        f"{1e3 * own / count:.2f} ms here, {1e3 * workers / count:.2f} ms of workers; "
        f"at most {peak:.0f} MiB here"
    )


if __name__ == "__main__":
    main()
