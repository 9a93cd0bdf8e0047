"""The number of threads changes no bit of a result."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import io_samples as made
import numpy as np
import pytest
import torch

from drht_plugin import ForkError
from drht_plugin.model import threads as threads_module
from drht_plugin.model.device import choose_device
from drht_plugin.model.threads import fixed_threads, require_device_after_fork

CPU = torch.device("cpu")

BATCH = """
import sys
import torch
from drht_plugin.cli import main
from drht_plugin.model import detail_network, runner
out, *pictures = sys.argv[1:]
for dtype in ("default", "float32"):
    if dtype == "float32":
        for module in (detail_network, runner):
            module.inference_dtype = lambda device: torch.float32
    for detail, more in (("guided", ["--hdr"]), ("network", [])):
        folder = f"{out}/{dtype}-{detail}"
        assert main(["correct", *pictures, "-o", folder, "--quiet", "--detail", detail, *more]) == 0
"""


def batch(pictures: list[Path], out: Path, threads: int) -> dict[str, bytes]:
    """Files of runs on some threads, in both details and both types of numbers."""
    count = str(threads)
    subprocess.run(
        [sys.executable, "-c", BATCH, str(out), *map(str, pictures)],
        env={**os.environ, "OMP_NUM_THREADS": count, "NUMBA_NUM_THREADS": count},
        timeout=280,
        check=True,
    )
    return {str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*.*")}


def test_thread_counts_give_the_same_files(tmp_path: Path) -> None:
    """One, two, three and eight threads write the same files, bit for bit."""
    pictures = []
    for name, height, width in (("a.png", 300, 400), ("b.jpg", 480, 250), ("c.png", 320, 704)):
        codes = made.values(3, "uint8", height, width) // 3
        made.pillow(tmp_path / name, codes.astype(np.uint8))
        pictures.append(tmp_path / name)
    expected = batch(pictures, tmp_path / "2", 2)
    assert len(expected) == 2 * (6 + 3)
    for threads in (1, 3, 8):
        made_by = batch(pictures, tmp_path / str(threads), threads)
        assert {name for name in expected if made_by[name] != expected[name]} == set()


def test_the_callers_number_is_restored() -> None:
    """Networks on several threads at once leave PyTorch's own number of threads as it was."""
    before = torch.get_num_threads()
    inside = threading.Barrier(3)

    def run(count: int) -> None:
        with fixed_threads(count, CPU):
            inside.wait(10)
            seen.append((count, torch.get_num_threads()))
            inside.wait(10)

    seen: list[tuple[int, int]] = []
    callers = [threading.Thread(target=run, args=(count,)) for count in (2, 5, 8)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert sorted(seen) == [(2, 2), (5, 5), (8, 8)]
    assert torch.get_num_threads() == before
    after: list[int] = []
    late = threading.Thread(target=lambda: after.append(torch.get_num_threads()))
    late.start()
    late.join()
    assert after == [before]


def test_cuda_of_a_parent(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process forked from one that used CUDA refuses it by name, and may use the CPU."""
    require_device_after_fork(torch.device("cuda"))
    monkeypatch.setattr(threads_module, "_cuda_lost", True)
    with pytest.raises(ForkError, match=r"CUDA was in use.*'spawn'"):
        require_device_after_fork(torch.device("cuda", 0))
    assert choose_device("cpu") == CPU
