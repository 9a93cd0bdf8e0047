"""Giants on clusters of real processes, some of which are killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from strategies import Image, picture

import drht_plugin
from drht_plugin.errors import ClusterError

zarr = pytest.importorskip("zarr", reason="zarr is not installed")
distributed = pytest.importorskip("distributed", reason="distributed is not installed")

from drht_plugin.dask import correct_store  # noqa: E402
from drht_plugin.dask.cluster import open_client  # noqa: E402

HOW: dict[str, Any] = {"device": "cpu", "block": 128}


@pytest.fixture
def image() -> Image:
    return picture(1500, 1400, 3, "uint8")


@pytest.fixture
def source(image: Image, tmp_path: Path) -> Path:
    zarr.create_array(tmp_path / "in.zarr", data=image, chunks=(128, 128, 3))
    return tmp_path / "in.zarr"


def level(path: Path) -> Image:
    return np.moveaxis(np.asarray(zarr.open_array(path / "0", mode="r")[...]), 0, -1)


def blocks(target: Path) -> int:
    """How many blocks of a result that is being made are finished."""
    done = target.with_name(f".{target.name}.drht-resume") / "done"
    return sum(name.startswith("0-") for name in os.listdir(done)) if done.exists() else 0


@contextmanager
def once(happens: Callable[[], bool], then: Callable[[], object]) -> Iterator[None]:
    """Do something in another thread once something has happened, while the body runs."""

    def watch() -> None:
        end = time.monotonic() + 120
        while not happens() and time.monotonic() < end:
            time.sleep(0.005)
        then()

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        thread.join()


@contextmanager
def cluster(folder: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A scheduler and two workers as processes; yields its address and its process."""
    told = folder / "scheduler.json"
    common = ["--scheduler-file", str(told), "--no-dashboard"]
    scheduler = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--port", "0"]
    worker = [sys.executable, "-m", "distributed.cli.dask_worker", "--nthreads", "1", "--no-nanny"]
    quiet: dict[str, Any] = {
        "stdout": subprocess.DEVNULL,
        "stderr": subprocess.DEVNULL,
        "cwd": folder,
    }
    started = [subprocess.Popen([*scheduler, *common, "--host", "127.0.0.1"], **quiet)]
    try:
        while not told.exists():
            time.sleep(0.05)
        started += [subprocess.Popen([*worker, *common], **quiet) for _ in range(2)]
        with distributed.Client(scheduler_file=str(told)) as client:
            client.wait_for_workers(2, timeout=60)
            address = client.scheduler.address
        yield address, started[0]
    finally:
        for each in started:
            each.kill()
            each.wait()


def test_a_worker_that_is_killed_costs_nothing(image: Image, source: Path, tmp_path: Path) -> None:
    """A worker is killed in mid job; the job ends with the same bits, and leaves nothing else."""
    target = tmp_path / "out.zarr"
    with open_client("local:2") as client:
        first, *_ = client.run(os.getpid).values()
        with once(lambda: blocks(target) > 4, lambda: os.kill(first, signal.SIGKILL)):
            report = correct_store(source, target, client=client, **HOW)
        assert first not in client.run(os.getpid).values()
    assert report.blocks == 12 * 11
    assert np.array_equal(level(target), drht_plugin.correct(image, device="cpu"))
    assert sorted(os.listdir(tmp_path)) == ["in.zarr", "out.zarr"]


def test_a_scheduler_that_is_killed(image: Image, source: Path, tmp_path: Path) -> None:
    """A lost scheduler is an error of this package; the next run goes on from what is there."""
    target = tmp_path / "out.zarr"
    with cluster(tmp_path) as (address, scheduler):
        with (
            pytest.raises(ClusterError, match=r"scheduler tcp.* is gone") as raised,
            open_client(address) as client,
            once(lambda: blocks(target) > 4, scheduler.kill),
        ):
            correct_store(source, target, client=client, resume=True, **HOW)
        assert any("repeat the same call" in note for note in raised.value.__notes__)
    before = blocks(target)
    assert before > 4
    report = correct_store(source, target, resume=True, **HOW)
    assert before <= report.kept < report.blocks
    assert np.array_equal(level(target), drht_plugin.correct(image, device="cpu"))


def codec_threads() -> int:
    """How many threads zarr has for codecs in this process."""
    return sum(thread.name.startswith("zarr_pool") for thread in threading.enumerate())


def test_codecs_have_the_threads_of_their_worker(source: Path, tmp_path: Path) -> None:
    """A worker process of one thread decodes and encodes on one, with a nanny or without."""
    with cluster(tmp_path) as (address, _), open_client(address) as client:
        correct_store(source, tmp_path / "out.zarr", client=client, **HOW)
        assert list(client.run(codec_threads).values()) == [1, 1]


def test_no_pixels_pass_the_scheduler(source: Path, tmp_path: Path) -> None:
    """Tasks give back sums and names: fewer bytes than a hundredth of the picture's pixels."""
    import pickle

    from drht_plugin.dask.giants import tasks, workforce

    sizes: list[int] = []
    plain = workforce.Workforce.do

    def do(self: Any, task: Any, items: Any) -> Any:
        for result in plain(self, task, items):
            if not isinstance(result, tasks.Sums):
                sizes.append(len(pickle.dumps(result)))
            yield result

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(workforce.Workforce, "do", do)
        correct_store(source, tmp_path / "out.zarr", **HOW)
    assert sum(sizes) < 1500 * 1400 * 3 / 100
