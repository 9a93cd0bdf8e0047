"""A number of CPU threads for each network.

oneDNN shares some convolutions of float32 among its threads by blocks of input channels, and so
rounds by how many threads there are. With a number that is the same on every machine, the networks
give the same bits under any OMP_NUM_THREADS and on any number of cores of one kind.
"""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import ParamSpec, TypeVar

import torch

from drht_plugin.bridge.sharing import allowed_threads
from drht_plugin.errors import ForkError

SURVEY = 2
"""Threads of the survey's networks. More gain little, as an overview is small."""

_DETAIL = 8
"""Threads of a float32 detail network. Where there are fewer cores, waiting costs a twentieth."""

_lock = threading.Lock()
_inside = 0
_before = 0
_forked = False
_cuda_in_use = False  # when the process last forked
_cuda_lost = False  # by a fork of which this process is the child

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


def detail_threads(dtype: torch.dtype) -> int:
    """Return how many threads the detail network takes.

    Args:
        dtype: of its convolutions. In bfloat16, their rounding does not depend on the number.
    """
    return _DETAIL if dtype == torch.float32 else allowed_threads()


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


def outlives_fork(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Run a function in a thread of its own, if the process was forked; use as a decorator.

    OpenMP keeps threads for the thread that called it. After a fork they are gone, and the thread
    that forked would wait for them; a new thread gets new ones.
    """

    @functools.wraps(function)
    def call(*arguments: Parameters.args, **named: Parameters.kwargs) -> Result:
        if not _forked:
            return function(*arguments, **named)
        with ThreadPoolExecutor(1) as own:
            return own.submit(function, *arguments, **named).result()

    return call


def require_device_after_fork(device: torch.device) -> None:
    """Refuse CUDA in a process that was forked while its parent used it.

    Raises:
        ForkError: CUDA cannot be used in this process.
    """
    if device.type == "cuda" and _cuda_lost:
        raise ForkError(
            "CUDA was in use before this process was forked; start processes by 'spawn' or "
            "'forkserver', or use device 'cpu'"
        )


def _before_fork() -> None:
    global _cuda_in_use
    _cuda_in_use = torch.cuda.is_initialized()


def _after_fork_in_child() -> None:
    """Start anew without the threads, and the callers, of the parent."""
    global _lock, _inside, _forked, _cuda_lost
    _lock, _inside, _forked = threading.Lock(), 0, True
    _cuda_lost = _cuda_lost or _cuda_in_use
    # All else than the networks runs on one thread, which needs no others.
    torch.set_num_threads(1)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_child=_after_fork_in_child)


@functools.cache
def _adjustable() -> bool:
    """Return whether the number can be changed after first use; only OpenMP allows it."""
    return "backend: OpenMP" in torch.__config__.parallel_info()
