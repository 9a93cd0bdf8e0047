"""The steps of a file's correction: told as they begin, and timed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

_STAGES = {
    "load": "loading networks",
    "read": "reading",
    "survey": "surveying",
    "render": "rendering",
    "hdr": "estimating HDR",
    "write": "writing",
}

StageCallback = Callable[[str], object]
"""A function that is told what begins; what it raises stops the work."""


@dataclass
class Steps:
    """Tells what begins, and keeps how long each step took.

    Attributes:
        tell: is told what begins, in plain words; None tells nobody.
        seconds: of each step so far.
    """

    tell: StageCallback | None
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def step(self, name: str, *, compiles: bool = False) -> Iterator[None]:
        """Tell and time a step.

        Args:
            name: a key of the report's `seconds`.
            compiles: whether kernels are compiled with it, which takes seconds of its own.
        """
        if self.tell is not None:
            self.tell("compiling kernels, on the first run only," if compiles else _STAGES[name])
        start = time.perf_counter()
        yield
        self.seconds[name] = round(time.perf_counter() - start, 4)
