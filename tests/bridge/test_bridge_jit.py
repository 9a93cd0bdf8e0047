"""The cache of compiled kernels."""

from __future__ import annotations

import fcntl
import os
import select
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from drht_plugin.bridge import curves, jit

COUNT = """
import numpy as np
from drht_plugin.bridge import statistics
row = np.zeros((1, 3 * 64), np.uint8)
row[0, 96::3] = 200  # red alone
counts = np.zeros((2, 16, 64), np.int64)
display = np.linspace(0, 1, 256).astype(np.float32)
statistics.count_differences(row.ravel(), 192, (64, 3, -1), (2, 1), display, 256.0, counts)
print(counts.sum((0, 1)).tolist())
"""

ENCODE = """
import fcntl
import numpy as np
from drht_plugin.bridge import curves
take = fcntl.flock
def told(*lock):
    print("waits", flush=True)
    take(*lock)
    print("has it", flush=True)
fcntl.flock = told
a = np.ones(4, np.float32)
curves.encode_srgb(a, np.empty_like(a))
"""


def run(code: str, source: Path, cache: Path) -> subprocess.Popen[str]:
    """Start Python on the package in `source` with its kernels in `cache`."""
    return subprocess.Popen(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(source), "NUMBA_CACHE_DIR": str(cache)},
        cwd=source,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_an_edited_helper_is_compiled_anew(tmp_path: Path) -> None:
    """A kernel in the cache is not used when the weights that it takes from a helper are others."""
    package = Path(jit.__file__).parents[1]
    copied = tmp_path / "drht_plugin"
    shutil.copytree(package, copied, ignore=shutil.ignore_patterns("weights", "__pycache__"))

    def counted() -> str:
        process = run(COUNT, tmp_path, tmp_path / "cache")
        said, _ = process.communicate(timeout=120)
        assert process.returncode == 0
        return said

    before = counted()
    assert counted() == before
    scalars = copied / "bridge" / "scalars.py"
    text = scalars.read_text()
    swapped = text.replace("LUMA_R, LUMA_G, LUMA_B =", "LUMA_G, LUMA_R, LUMA_B =")
    assert swapped != text
    scalars.write_text(swapped)
    assert counted() != before


def test_processes_compile_in_turn(tmp_path: Path) -> None:
    """A process waits while another one compiles the same kernel, and goes on after it."""
    cache = tmp_path / "cache"
    folder = cache / jit._sources()
    folder.mkdir(parents=True)
    with (folder / "encode_srgb.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        waiting = run(ENCODE, Path(jit.__file__).parents[2], cache)
        assert waiting.stdout is not None
        assert waiting.stdout.readline() == "waits\n"
        assert not select.select([waiting.stdout], [], [], 1)[0]
        assert not list(folder.rglob("*.nbi"))
    said, _ = waiting.communicate(timeout=120)
    assert said == "has it\n"
    assert waiting.returncode == 0
    assert list(folder.rglob("*encode_srgb*.nbi"))


def test_a_compiled_kernel_takes_no_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once a kernel is compiled for its types, calls of it wait for nobody."""
    light = np.linspace(0, 1, 5, dtype=np.float32)
    curves.encode_srgb(light, np.empty_like(light))

    def never(_name: str) -> None:
        raise AssertionError("a lock was taken")

    monkeypatch.setattr(jit, "_compile_lock", never)
    curves.encode_srgb(light, np.empty_like(light))
