"""A number of CPU threads for each network, the same on every machine.

oneDNN shares some convolutions among its threads by blocks of input channels, and so rounds by how
many threads there are. With a number of their own, the networks give the same bits under any
OMP_NUM_THREADS and on any number of cores of one kind.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch

SURVEY = 2
"""Threads of the survey's networks. More gain little, as an overview is small."""

DETAIL = 8
"""Threads of the detail network. Waiting for a core costs little where there are fewer."""

_lock = threading.Lock()
_inside = 0
_before = 0


@contextmanager
def fixed_threads(count: int, device: torch.device) -> Iterator[None]:
    """Run PyTorch's operations of this thread on `count` threads, if the device is the CPU.

    PyTorch keeps the number for each thread, and for threads to come. The latter is restored when
    the last of several callers leaves.

    Args:
        count: from 1; more than the machine has cores is accepted.
        device: where the operations run.
    """
    global _inside, _before
    if device.type != "cpu" or not _adjustable():
        yield
        return
    with _lock:
        now = torch.get_num_threads()  # a new thread would take it over later, if not asked first
        if not _inside:
            _before = now
        _inside += 1
        torch.set_num_threads(count)
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            torch.set_num_threads(_before)


@functools.cache
def _adjustable() -> bool:
    """Return whether the number can be changed after first use; only OpenMP allows it."""
    return "backend: OpenMP" in torch.__config__.parallel_info()
