"""Clusters of real processes, and what they make of giants."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from strategies import Image

SCHEDULER = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1"]
WORKER = [sys.executable, "-m", "distributed.cli.dask_worker", "--nthreads", "1"]


@contextmanager
def _process(command: list[str], folder: Path, **more: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process that works in a folder and says nothing; killed at the end."""
    none, environment = subprocess.DEVNULL, {**os.environ, **more}
    with subprocess.Popen(
        command, cwd=folder, stdout=none, stderr=none, env=environment
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@contextmanager
def scheduler(folder: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A scheduler in a process of its own; yields its address and the process."""
    told = folder / "scheduler.json"
    command = [*SCHEDULER, "--port", "0", "--no-dashboard", "--scheduler-file", str(told)]
    with _process(command, folder) as process:
        while not told.exists():
            time.sleep(0.05)
        yield json.loads(told.read_text())["address"], process


@contextmanager
def cluster(
    folder: Path, workers: int = 2, environment: Mapping[str, str] = {}
) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A scheduler and workers of one thread as processes; see `scheduler`."""
    from distributed import Client

    command = [*WORKER, "--no-dashboard", "--no-nanny"]
    with ExitStack() as running:
        address, process = running.enter_context(scheduler(folder))
        for _ in range(workers):
            running.enter_context(_process([*command, address], folder, **environment))
        with Client(address) as client:
            client.wait_for_workers(workers, timeout=60)
        yield address, process


def local_cluster(workers: int = 2, **more: Any) -> Any:
    """Worker processes of one thread without a limit of memory, and a scheduler in this process."""
    distributed = pytest.importorskip("distributed", reason="distributed is not installed")
    usual = {"threads_per_worker": 1, "dashboard_address": "127.0.0.1:0", "memory_limit": 0}
    return distributed.LocalCluster(n_workers=workers, **{**usual, **more})


def level(path: Any, number: int = 0) -> Image:
    """A level of a giant's result, channels last."""
    zarr = pytest.importorskip("zarr", reason="zarr is not installed")
    pixels = np.asarray(zarr.open_array(f"{path}/{number}", mode="r")[...])
    return np.moveaxis(pixels, 0, -1) if pixels.ndim == 3 else pixels


def blocks(target: Path) -> int:
    """How many blocks of a giant's result that is being made are finished."""
    done = target.with_name(f".{target.name}.drht-resume") / "done"
    return sum(name.startswith("0-") for name in os.listdir(done)) if done.exists() else 0
