"""Choose between the CPU and an accelerator for each call, by what it would wait for."""

from __future__ import annotations

import math
import threading
from collections.abc import Hashable
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from drht_plugin.bridge.sharing import usable_cores
from drht_plugin.engine.corrector import Corrector
from drht_plugin.engine.plan import resolve_detail

_START = 4.0
"""Seconds that an accelerator takes to start in a process: its context, and the first launches.

An estimate: PyTorch's first use of CUDA takes 2 to 5 s on the machines that it was seen on."""

_MEGAPIXELS = {"guided": 55.0, "network": 1.4}
"""Megapixels a second that one core of a CPU corrects (`python -m benchmarks --only
correct-24mp,detail`)."""


_CORES = usable_cores()


class Correctors:
    """Correctors of one model; safe to call from several threads.

    With the device "auto", work goes to the CPU until there has been as much of it as an
    accelerator takes to start; a picture never waits longer for the start than for the CPU. From
    then on the accelerator does all of it. Results of both may differ by a code.

    Args:
        model: see `Corrector`.
        device: see `Corrector`.
        threads: see `Corrector`.
        backend: see `Corrector`.
    """

    def __init__(
        self,
        model: str | Path = "default",
        device: str = "auto",
        threads: int | None = None,
        backend: str = "auto",
    ) -> None:
        self._named = Corrector(model=model, device=device, threads=threads, backend=backend)
        self._cpu = Corrector(model=model, device="cpu", threads=threads, backend=backend)
        self._device = device
        self._cores = min(threads or _CORES, _CORES)
        self._spent = 0.0
        self._lock = threading.Lock()

    def for_work(self, pixels: int, detail: str = "auto") -> Corrector:
        """Return the corrector for some work.

        Args:
            pixels: how many are to be corrected, of one or more pictures.
            detail: as in `drht_plugin.correct`.

        Raises:
            InputError: an unknown detail.
        """
        seconds = pixels / 1e6 / _MEGAPIXELS[resolve_detail(detail)] / self._cores
        if not self.weighs:
            return self._named
        with self._lock:
            self._spent += seconds
            return self._named if self._spent >= _START else self._cpu

    @cached_property
    def weighs(self) -> bool:
        """Whether there is a choice: the device is "auto", and there is an accelerator."""
        return self._device == "auto" and has_accelerator()


def shared_correctors(
    model: str | Path, device: str, threads: int | None, backend: str = "auto"
) -> Correctors:
    """Return the correctors of these settings, cached so that their networks are loaded once.

    Args:
        model: see `Corrector`.
        device: see `Corrector`.
        threads: see `Corrector`.
        backend: see `Corrector`.

    Raises:
        InputError: see `Corrector`.
    """
    settings = (model, device, threads, backend)
    if not all(isinstance(each, Hashable) for each in settings):
        return Correctors(*settings)  # which says what is wrong with them
    return _cached(*settings)


_cached = lru_cache(maxsize=2, typed=True)(Correctors)


def has_accelerator() -> bool:
    """Return whether the device "auto" stands for an accelerator on this machine."""
    from drht_plugin.model.device import choose_device

    return choose_device("auto").type != "cpu"


def count_pixels(image: Any) -> int:
    """Return the pixels of anything with a shape, H×W or H×W×C; 0 for anything else."""
    shape = getattr(image, "shape", ())
    return math.prod(shape[:2]) if len(shape) > 1 else 0
