"""A line on the terminal that says how far a batch is, how long it takes, and what it waits for."""

from __future__ import annotations

import shutil
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TextIO

from drht_plugin.cli.exits import printable

_PERIOD = 0.1
"""Seconds between two drawings."""

_ROUNDING = 1e-9
"""Shares below this come of adding up, and are none."""

_LEAST_SHARE, _LEAST_SECONDS = 0.01, 2.0
"""What must be done before the time left is told."""


class Progress:
    """Line that is drawn over again while pictures are worked on; safe to use from any thread.

    Args:
        weights: of each picture, how much work it is; all 0 counts them alike.
        stream: where the line goes; None draws nothing.
    """

    def __init__(self, weights: Sequence[float], stream: TextIO | None) -> None:
        whole = sum(weights)
        count = len(weights)
        self._weights = [w / whole if whole else 1 / count for w in weights]
        self._stream, self._lock = stream, threading.Lock()
        self._begun = time.monotonic()
        self._shares = [0.0] * count
        self._worked, self._whole = 0.0, 1.0  # without those left out, as they took no time
        self._doing: dict[int, str] = {}
        self._drawn, self._done = 0.0, 0

    def say(self, text: str, *, now: bool = True) -> None:
        """Show what all pictures wait for; `now`: even if the line was drawn just before."""
        with self._lock:
            self._draw(text, now=now)

    def share(self, index: int, share: float) -> None:
        """Tell how much of a picture is done, 0..1."""
        with self._lock:
            gained = max(share - self._shares[index], 0.0)
            self._shares[index] += gained
            self._worked += gained * self._weights[index]
            self._draw(self._what())

    def stage(self, index: int, doing: str, name: str) -> None:
        """Tell what is done with a picture: "reading"."""
        with self._lock:
            self._doing[index] = f"{doing} {printable(Path(name).name)}"
            self._draw(self._what())

    def finish(self, index: int, *, worked: bool = True) -> None:
        """Tell that a picture is done with; `worked`: whether that took its time."""
        with self._lock:
            self._doing.pop(index, None)
            weight, share = self._weights[index], self._shares[index]
            if worked:
                self._worked += (1 - share) * weight
            else:
                self._worked -= share * weight
                self._whole -= weight
            self._shares[index] = 1.0
            self._done += 1

    def clear(self) -> None:
        """Remove the line, so that others can be printed."""
        with self._lock:
            if self._stream is not None and self._drawn:
                self._write("\r\x1b[K")
                self._drawn = 0.0

    def line(self, text: str, now: float) -> str:
        """Return the line at a time of `time.monotonic`.

        Args:
            text: what is waited for.
            now: the time.
        """
        count = len(self._weights)
        parts = [f"{min(self._done + 1, count)} of {count}"] if count > 1 else []
        share = min(self._worked / self._whole, 1.0) if self._whole > _ROUNDING else 0.0
        if share > _ROUNDING:
            parts.append(f"{share:.0%}")
        passed = now - self._begun
        if share >= _LEAST_SHARE and passed >= _LEAST_SECONDS and share < 1:
            parts.append(f"{_spoken(passed * (1 - share) / share)} left")
        return " · ".join([*parts, text] if text else parts)

    def _what(self) -> str:
        """Say what is done with the picture that has been worked on the longest."""
        return self._doing[min(self._doing)] if self._doing else ""

    def _draw(self, text: str, *, now: bool = False) -> None:
        moment = time.monotonic()
        if self._stream is None or not (now or moment - self._drawn >= _PERIOD):
            return
        self._drawn = moment
        room = shutil.get_terminal_size().columns - 1
        self._write(f"\r\x1b[K{self.line(text, moment)[:room]}")

    def _write(self, text: str) -> None:
        assert self._stream is not None
        with suppress(OSError, ValueError):
            self._stream.write(text)
            self._stream.flush()


def terminal() -> TextIO | None:
    """Return stderr if it is a terminal."""
    return sys.stderr if sys.stderr is not None and sys.stderr.isatty() else None


def _spoken(seconds: float) -> str:
    """Return a span of time in words, no more exact than it is known."""
    if seconds < 60:
        return f"{max(round(seconds), 1)} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
