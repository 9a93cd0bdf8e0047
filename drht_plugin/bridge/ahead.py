"""Compile the longest kernel in a second process, while this one does the rest of a first call.

Numba compiles one kernel at a time in a process. The kernel of guided detail alone takes as long as
everything else that a first call waits for.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from typing import Any

import numpy as np
import numpy.typing as npt

from drht_plugin.bridge.sharing import most_threads

_CODE = "import gc; gc.disable(); from drht_plugin.bridge import ahead; ahead.compile_slice({!r})"

_OPTIMISATION = "2"
"""Level of LLVM's optimiser: the kernel runs as fast as with numba's 3, and compiles faster."""


def compile_ahead(dtype: npt.DTypeLike) -> None:
    """Start to compile the slice for pixels of a dtype, into numba's cache; do not wait.

    Whoever needs the kernel meanwhile waits for it (`jit`). Where no process can be started, the
    kernel is compiled when it is needed.

    Args:
        dtype: uint8, uint16 or float32.
    """
    if most_threads() < 2 or not sys.executable:
        return
    command = [sys.executable, "-P", "-c", _CODE.format(np.dtype(dtype).name)]
    quiet: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)
    environment = {"NUMBA_OPT": _OPTIMISATION, **os.environ}
    try:
        process = subprocess.Popen(command, env=environment, **quiet)
    except OSError:
        return
    threading.Thread(target=process.wait, name="drht compile", daemon=True).start()


def compile_slice(dtype: str) -> None:
    """Compile the slice for pixels of a dtype, unless numba's cache has it.

    Args:
        dtype: uint8, uint16 or float32.
    """
    from drht_plugin.bridge.sizes import LEVELS
    from drht_plugin.bridge.slicing import slice_grid

    pixels = np.zeros((1, 1, 1), dtype)
    transforms = np.zeros((1, 1, 2 * LEVELS), np.float32)
    sides = np.zeros((1, 1, 2), np.float32)
    settings = np.ones(7, np.float32)
    slice_grid(pixels, transforms, sides, (0, 0, 1, 1), False, settings, np.empty_like(pixels))
