"""Tables of a run: a line for each step, and for each look at the validation."""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import Any

from torch import Tensor

from drht_plugin.errors import InputError

_AT_ONCE = 20
"""Steps that are written at once, as each time the device is waited for."""


class StepLog:
    """Writes a line for each step into `log.csv`, some at once."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "log.csv"
        self._waiting: list[tuple[dict[str, Any], dict[str, Tensor]]] = []

    def add(self, row: dict[str, Any], terms: dict[str, Tensor]) -> None:
        """A step's facts and losses, which its device may still be computing.

        Raises:
            InputError: a loss is not finite: the training diverged.
        """
        self._waiting.append((row, terms))
        if len(self._waiting) == _AT_ONCE:
            self.flush()

    def flush(self) -> dict[str, float]:
        """Write what waits to be written; the last step's losses, empty without one.

        Raises:
            InputError: see `add`.
        """
        waiting, self._waiting = self._waiting, []
        values: dict[str, float] = {}
        for row, terms in waiting:
            values = {name: float(value) for name, value in terms.items()}
            append_row(self._path, {**row, **values})
            if not all(math.isfinite(v) for v in values.values()):
                raise InputError(f"training diverged at step {row['step']}: {values}")
        return values


def append_row(path: Path, row: dict[str, Any]) -> None:
    """Add a line to a CSV file, under a head of its own if it is new."""
    new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, row.keys())
        if new:
            writer.writeheader()
        writer.writerow(row)
