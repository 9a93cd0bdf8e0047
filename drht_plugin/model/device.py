"""Choice of the device, and process settings that make the networks fast on it."""

from __future__ import annotations

import ctypes
import math
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import torch

from drht_plugin.errors import DeviceError, InputError, first_line
from drht_plugin.model.device_names import DEVICES
from drht_plugin.model.threads import require_device_after_fork

_LOST = ("CUDA error", "CUDA driver error", "HIP error", "cuDNN error", "CUBLAS", "MPS backend")
"""How messages of a failed accelerator begin that PyTorch raises as a plain RuntimeError."""

_KEPT_PINNED = 512 << 20
"""Pinned memory that is kept for the next picture, at most (bytes)."""


def choose_device(device: str = "auto") -> torch.device:
    """Return a device by name.

    Args:
        device: "cpu", "cuda", "cuda:N", "mps", or "auto" for the first of CUDA, MPS and CPU that
            this machine has.

    Returns:
        The device.

    Raises:
        InputError: the name is unknown, or this machine does not have the device.
        ForkError: CUDA is meant, and was in use before this process was forked.
    """
    chosen = _find_device(device)
    require_device_after_fork(chosen)
    return chosen


def _find_device(device: str) -> torch.device:
    if device == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        chosen = torch.device(device)
    except RuntimeError as error:
        raise InputError(f"device {device!r} is unknown; expected {DEVICES}") from error
    there = {
        "cpu": True,
        "cuda": torch.cuda.is_available() and (chosen.index or 0) < torch.cuda.device_count(),
        "mps": torch.backends.mps.is_available(),
    }
    if not there.get(chosen.type, False):
        raise InputError(f"device {device!r} is not on this machine; expected {DEVICES}")
    return chosen


def choose_devices(device: str = "auto") -> tuple[torch.device, ...]:
    """Return the devices of a name, which share the work.

    Args:
        device: As in `choose_device`, or several with commas between them. "cuda", and "auto" where
            there is CUDA, stand for all CUDA devices of the machine. ROCm's are called "cuda" too.

    Returns:
        The devices; one may be named several times.

    Raises:
        InputError: A name is unknown, or this machine does not have the device.
    """
    names = [name.strip() for name in device.split(",")]
    if len(names) > 1:
        return tuple(choose_device(name) for name in names)
    chosen = choose_device(device)
    if chosen.type != "cuda" or chosen.index is not None or torch.cuda.device_count() == 1:
        return (chosen,)
    return tuple(torch.device("cuda", index) for index in range(torch.cuda.device_count()))


@contextmanager
def device_errors() -> Iterator[None]:
    """Turn failures of an accelerator into errors of the library.

    Raises:
        DeviceError: An accelerator failed, or has no memory left.
    """
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise DeviceError(
            f"the device has no memory left ({first_line(str(error))}); close other programs that "
            "use it, or take a smaller tile or device 'cpu'"
        ) from error
    except RuntimeError as error:
        if not isinstance(error, torch.AcceleratorError) and not str(error).startswith(_LOST):
            raise
        raise DeviceError(
            f"the device failed during the work ({first_line(str(error))}); start the program "
            "again, or take device 'cpu'"
        ) from error


def give_pinned_back() -> None:
    """Return pinned memory of the host that no tensor lies in to the system, if it is much.

    PyTorch keeps it for the process's next copies otherwise, and up to 512 MiB are kept here too:
    not every picture has to pin its own. Does nothing where CUDA is not in use, or PyTorch has no
    function for it.
    """
    if not torch.cuda.is_initialized() or _pinned_and_idle() <= _KEPT_PINNED:
        return
    # The name in 2.13, and the one in builds with CUDA before.
    give_back = getattr(torch.accelerator, "empty_host_cache", None)
    give_back = give_back or getattr(torch._C, "_host_emptyCache", None)
    if give_back is not None:
        with suppress(RuntimeError):  # the device is lost; the job's own error says so
            give_back()


def _pinned_and_idle() -> float:
    """Return the bytes of pinned memory that no tensor lies in; infinity where that is unknown."""
    try:
        stats = torch.cuda.host_memory_stats()
        return float(stats["allocated_bytes.current"] - stats["active_bytes.current"])
    except (AttributeError, KeyError, RuntimeError):
        return math.inf


def inference_dtype(device: torch.device) -> torch.dtype:
    """Return bfloat16 if the device computes it at full speed, otherwise float32.

    Args:
        device: where the networks run.
    """
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float32
    if device.type == "cpu" and torch.cpu._is_avx512_bf16_supported():
        return torch.bfloat16
    return torch.float32


def tune_allocator() -> None:
    """Make glibc keep freed memory: page faults would cost a third of the networks' CPU time."""
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return
    m_trim_threshold, m_top_pad, m_mmap_threshold = -1, -2, -3
    mallopt(m_mmap_threshold, 1 << 30)
    mallopt(m_trim_threshold, 2**31 - 1)
    mallopt(m_top_pad, 64 << 20)
