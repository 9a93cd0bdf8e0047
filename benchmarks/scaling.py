"""A giant picture in Zarr by one and more worker processes, against one process alone.

    python -m benchmarks.scaling [--megapixels 1000] [--workers 1,2,4] [--repeats 3] [--folder F]
    python -m benchmarks.scaling --memory 1GB --megapixels 2000 --workers 2
    python -m benchmarks.scaling --costs [--megapixels 100]

Makes a dark 8-bit RGB picture in Zarr, and corrects it in guided detail:

- `stream`: by `Corrector.stream` in one process with all cores, from Zarr to a Zarr array of the
  same shards and codec, without a pyramid: a plain stream of the same picture.
- `file`: by `drht correct` from uncompressed TIFF to TIFF, without Zarr.
- `N`: by `correct_store` on N worker processes of one thread each, with and without a pyramid. The
  workers have loaded the networks.

Prints medians of wall time, the CPU time, what the workers' time goes into, and the greatest memory
of a worker. With --memory, workers have that limit, and the peaks are all that is measured. With
--costs, one thread does all, and the CPU time of each step is printed, in seconds a gigapixel.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import pickle
import shutil
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

_CHUNK = 1024
_CODEC = {"cname": "zstd", "clevel": 1, "shuffle": "noshuffle"}


def make(path: Path, height: int, width: int) -> None:
    """Write a dark picture with noise, in chunks of 1024×1024."""
    import zarr

    codec = zarr.codecs.BloscCodec(**_CODEC)
    shape, chunks = (height, width, 3), (_CHUNK, _CHUNK, 3)
    array = zarr.create_array(path, shape=shape, chunks=chunks, dtype="u1", compressors=codec)
    noise = np.random.default_rng(0).normal(0, 3, (_CHUNK, _CHUNK, 3)).astype(np.int16)
    for top in range(0, height, _CHUNK):
        for left in range(0, width, _CHUNK):
            light = int(60 * left / width + 20 * top / height)
            here = (noise + light).clip(0, 255).astype(np.uint8)
            array[top : top + _CHUNK, left : left + _CHUNK] = here


def make_tiff(source: Path, path: Path) -> None:
    """Copy the picture to an uncompressed TIFF file."""
    import tifffile
    import zarr

    array = zarr.open_array(source, mode="r")
    memory = tifffile.memmap(path, shape=array.shape, dtype="u1", photometric="rgb", bigtiff=True)
    for top in range(0, array.shape[0], _CHUNK):
        memory[top : top + _CHUNK] = array[top : top + _CHUNK]
    memory.flush()


def timed(work: Callable[[], object]) -> dict[str, float]:
    """Return wall and CPU seconds of some work in this process."""
    begun, cpu = time.perf_counter(), time.process_time()
    work()
    return {"seconds": time.perf_counter() - begun, "cpu": time.process_time() - cpu}


def stream(source: Path, target: Path) -> dict[str, float]:
    """Correct in one process, in bands of whole shards."""
    import zarr

    from drht_plugin import Corrector

    array = zarr.open_array(source, mode="r")
    corrector = Corrector(device="cpu")
    corrector.correct(np.zeros((64, 64, 3), np.uint8))
    sink = zarr.create_array(
        target,
        shape=array.shape,
        dtype="u1",
        chunks=(512, 512, 1),
        shards=(2048, 2048, 3),
        compressors=zarr.codecs.BloscCodec(**_CODEC),
        config={"write_empty_chunks": True},  # as workers write
        overwrite=True,
    )
    return timed(lambda: corrector.stream(array, sink, tile=2048, memory="4G"))


def file(source: Path, target: Path) -> dict[str, float]:
    """Correct a TIFF file in one process."""
    from drht_plugin import Corrector, correct_file

    corrector = Corrector(device="cpu")
    corrector.correct(np.zeros((64, 64, 3), np.uint8))
    return timed(lambda: correct_file(source, target, corrector=corrector, detail="guided"))


@contextmanager
def workers(count: int, memory: str | int) -> Iterator[Any]:
    """Start worker processes of one thread; yields a client."""
    from distributed import Client, LocalCluster

    from drht_plugin.patience import PATIENT

    with (
        LocalCluster(
            n_workers=count,
            threads_per_worker=1,
            memory_limit=memory,
            dashboard_address="127.0.0.1:0",
            scheduler_kwargs={"dashboard": False},
            env=PATIENT,
        ) as cluster,
        Client(cluster) as client,
    ):
        yield client


def with_workers(
    client: Any, count: int, source: Path, target: Path, *, pyramid: bool
) -> dict[str, float]:
    """Correct by worker processes, and tell what their time goes into."""
    from distributed import get_task_stream

    from drht_plugin.dask import correct_store

    def cpu() -> float:
        return sum(client.run(time.process_time).values()) + client.run_on_scheduler(
            time.process_time
        )

    shutil.rmtree(target, ignore_errors=True)
    before, begun = cpu(), time.perf_counter()
    with get_task_stream(client) as tasks:
        report = correct_store(source, target, client=client, device="cpu", pyramid=pyramid)
    seconds = time.perf_counter() - begun
    spent: dict[str, float] = defaultdict(float)
    for task in tasks.data:
        for part in task["startstops"]:
            spent[part["action"]] += part["stop"] - part["start"]
    return {
        "seconds": seconds,
        "cpu": cpu() - before,
        **{f"{step} s": value for step, value in report.seconds.items()},
        "in tasks": spent["compute"] / (count * seconds),
        "transfer": spent["transfer"] / (count * seconds),
        "idle while one surveys": _alone(tasks.data, count) / (count * seconds),
    }


def _alone(tasks: Any, count: int) -> float:
    """Return the time that workers idle while the survey's networks run on one of them."""
    ends = [t["startstops"][-1] for t in tasks if "finish" in str(t["key"])]
    return sum((count - 1) * (part["stop"] - part["start"]) for part in ends)


def message_bytes(source: Path, height: int, width: int) -> dict[str, float]:
    """Return what goes over the network for a picture, by the size of tasks and results."""
    from drht_plugin.dask import correct_store
    from drht_plugin.dask.giants import tasks, workforce

    sent = {"blocks": 0, "survey": 0}
    plain = workforce.Workforce.do

    def do(self: Any, task: Any, items: Any) -> Any:
        head = len(pickle.dumps(task))
        part = "blocks" if getattr(task, "func", None) is tasks.make else "survey"

        def counted() -> Any:
            for item in items:
                sent[part] += head + len(pickle.dumps(item))
                yield item

        for result in plain(self, task, counted()):
            sent[part] += len(pickle.dumps(result))
            yield result

    workforce.Workforce.do = do  # type: ignore[method-assign]
    try:
        with tempfile.TemporaryDirectory(dir=source.parent) as folder:
            correct_store(source, Path(folder) / "out.zarr", device="cpu")
    finally:
        workforce.Workforce.do = plain  # type: ignore[method-assign]
    return {f"{part}, bytes a pixel": count / (height * width) for part, count in sent.items()}


def costs(source: Path, target: Path, height: int, width: int) -> dict[str, float]:
    """Return the CPU seconds a gigapixel of each step, on one thread."""
    import zarr

    from drht_plugin.bridge.sharing import limit_threads
    from drht_plugin.dask import correct_store
    from drht_plugin.dask.giants import tasks

    zarr.config.set({"threading.max_workers": 1})
    steps = {
        "survey_strip": "survey: read and sum up",
        "finish": "survey: networks, for any size",
        "read_around": "read",
        "_planes": "planes",
        "halve": "pyramid",
        "_write": "write",
        "make": "all of the blocks",
    }
    spent: dict[str, float] = defaultdict(float)

    def watched(name: str, work: Any) -> Any:
        def call(*given: Any, **named: Any) -> Any:
            begun = time.process_time()
            try:
                return work(*given, **named)
            finally:
                spent[name] += time.process_time() - begun

        return call

    for name in steps:
        setattr(tasks, name, watched(name, getattr(tasks, name)))
    found: dict[str, list[float]] = defaultdict(list)
    for _ in range(4):
        spent.clear()
        with limit_threads(1):
            correct_store(source, target, device="cpu", overwrite=True)
        for name in steps:
            found[steps[name]].append(spent[name] * 1e9 / (height * width))
    return {name: round(min(values), 2) for name, values in found.items()}


def in_new_process(name: str, source: Path, target: Path) -> dict[str, float]:
    """Run `stream` or `file` in a new process, and return its figures."""
    import subprocess
    import sys

    command = [sys.executable, "-m", "benchmarks.scaling", "--part", name, str(source), str(target)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    shutil.rmtree(target, ignore_errors=True)
    target.unlink(missing_ok=True)
    result: dict[str, float] = json.loads(done.stdout)
    return result


def peaks(client: Any) -> list[float]:
    """Return the greatest memory of each worker so far, in MB."""

    def peak() -> float:
        # What getrusage tells may be that of the process that started this one.
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) * 1024 / 1e6

    return [round(value) for value in client.run(peak).values()]


def medians(runs: list[dict[str, float]]) -> dict[str, float]:
    """Return the median of each figure."""
    return {key: round(statistics.median(run[key] for run in runs), 3) for key in runs[0]}


def compare(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Return all figures of a picture."""
    side = math.sqrt(options.megapixels * 1e6 / 1.5)
    height, width = round(side), round(1.5 * side)
    source, tiff, target = (folder / name for name in ("in.zarr", "in.tif", "out"))
    make(source, height, width)
    if options.costs:
        return costs(source, target, height, width)
    counts = [int(n) for n in options.workers.split(",")]
    report: dict[str, Any] = {"megapixels": round(height * width / 1e6), "load": os.getloadavg()[0]}
    runs: dict[str, list[dict[str, float]]] = defaultdict(list)
    if not options.memory:
        make_tiff(source, tiff)
    warm = folder / "warm.zarr"
    make(warm, 600, 900)
    for _ in range(1 if options.memory else options.repeats):
        if not options.memory:
            runs["stream"].append(in_new_process("stream", source, target))
            runs["file"].append(in_new_process("file", tiff, folder / "out.tif"))
        for count in counts:
            with workers(count, options.memory or 0) as client:
                for _ in range(2 * count):  # so that each worker has loaded the networks
                    with_workers(client, count, warm, target, pyramid=True)
                for pyramid in (True,) if options.memory else (False, True):
                    run = with_workers(client, count, source, target, pyramid=pyramid)
                    runs[f"{count}, pyramid" if pyramid else f"{count}"].append(run)
                report.setdefault("peaks, MB", {})[count] = peaks(client)
    report |= {name: medians(each) for name, each in runs.items()}
    wall = {name: report[name]["seconds"] for name in runs}
    for count in counts:
        for name, base in (("1", "1"), ("stream", "stream")):
            if base in wall and str(count) in wall:
                report[f"{count} / {name}"] = round(wall[str(count)] / wall[base], 3)
    if not options.memory:
        report |= message_bytes(source, height, width)
    return report


def main() -> None:
    """Print all figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--megapixels", type=float, default=1000)
    parser.add_argument("--workers", default="1,2,4", help="numbers of worker processes")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--costs", action="store_true", help="CPU time of each step")
    parser.add_argument("--memory", help="limit of each worker, such as 1GB")
    parser.add_argument("--folder", type=Path, help="for files of 12 bytes a pixel")
    parser.add_argument("--part", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.part:
        name, source, target = options.part
        print(json.dumps({"stream": stream, "file": file}[name](Path(source), Path(target))))
        return
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        print(json.dumps(compare(options, Path(name)), indent=1))


if __name__ == "__main__":
    main()
