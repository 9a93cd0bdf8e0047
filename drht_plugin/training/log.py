"""CSV logs of a training run."""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import Any

from torch import Tensor

from drht_plugin.errors import InputError

_BATCH = 20
"""Steps that are written together, because each write waits for the device."""


class StepLog:
    """Log of one line per step in `log.csv`, written several lines at a time.

    Args:
        folder: folder of the run.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / "log.csv"
        self._waiting: list[tuple[dict[str, Any], dict[str, Tensor]]] = []

    def add(self, row: dict[str, Any], terms: dict[str, Tensor]) -> None:
        """Add a step.

        Args:
            row: columns that describe the step, with `step` among them.
            terms: scalar losses by name, which the device may still be computing.

        Raises:
            InputError: a loss is not finite, so that the training diverged.
        """
        self._waiting.append((row, terms))
        if len(self._waiting) == _BATCH:
            self.flush()

    def flush(self) -> dict[str, float]:
        """Write the lines that have not been written yet.

        Returns:
            The losses of the last of these steps; empty if there is none.

        Raises:
            InputError: a loss is not finite, so that the training diverged.
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
    """Append a line to a CSV file; a new file gets a header.

    Args:
        path: the file.
        row: values by column.
    """
    new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, row.keys())
        if new:
            writer.writeheader()
        writer.writerow(row)
