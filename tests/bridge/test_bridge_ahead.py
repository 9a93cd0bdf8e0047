"""Compiling in a second process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

FIRST_CALL = """
import sys
import numpy as np
import numba.core.event as event
import drht_plugin

compiled = []

class Listener(event.Listener):
    def on_start(self, what):
        compiled.append(what.data["dispatcher"].py_func.__name__)
    def on_end(self, what):
        pass

event.register("numba:compile", Listener())
image = np.full((90, 120, 3), 60, sys.argv[1])
corrector = drht_plugin.Corrector(device="cpu", threads=int(sys.argv[2]))
made = corrector.correct(image)
print(made.tobytes().hex()[:60], sorted(set(compiled)))
"""


def first_call(cache: Path, dtype: str, threads: int, *, can_start: bool = True) -> str:
    """What a process without compiled kernels makes and compiles."""
    code = FIRST_CALL if can_start else "import sys; sys.executable = ''" + FIRST_CALL
    made = subprocess.run(
        [sys.executable, "-c", code, dtype, str(threads)],
        env={**os.environ, "NUMBA_CACHE_DIR": str(cache)},
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    return made.stdout


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_the_slice_is_compiled_by_another_process(tmp_path: Path, dtype: str) -> None:
    """A first call takes the slice that another process compiled, for just the types it needs.

    Without another process it compiles the slice itself, and the result is the same. A third
    process that takes all kernels from the first two's cache gives the same result too.
    """
    with_process = first_call(tmp_path / "with", dtype, 2)
    alone = first_call(tmp_path / "alone", dtype, 2, can_start=False)
    assert "_slice" in alone
    assert "_slice" not in with_process
    assert with_process.split()[0] == alone.split()[0]
    assert len(list((tmp_path / "with").rglob("*._slice-*.nbc"))) == 1
    again = first_call(tmp_path / "with", dtype, 2)
    assert again.split() == [alone.split()[0], "[]"]
