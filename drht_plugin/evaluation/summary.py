"""Means with their intervals, in all and by group, and the tables made of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from drht_plugin.evaluation.scores import DISPLAY, HDR, SCORES, Row

RESAMPLES = 1000
"""Of the bootstrap."""
ALL = "all"
"""The group that holds every item."""


@dataclass(frozen=True)
class Cell:
    """Of one group, method and metric: how many items, their mean, its 95 % interval."""

    group: str
    method: str
    metric: str
    count: int
    mean: float
    low: float
    high: float


def summarise(rows: Iterable[Row]) -> list[Cell]:
    """All cells that have values: every item first, then group by group, sorted."""
    values: dict[tuple[str, str, str], list[float]] = {}
    for row in rows:
        groups = [ALL, *(f"{column} = {value}" for column, value in row.groups.items())]
        for metric, value in row.values.items():
            if value is not None:
                for group in groups:
                    values.setdefault((group, row.method, metric), []).append(value)
    keys = sorted(values, key=lambda key: (key[0] != ALL, key[0]))  # else in order of appearance
    return [Cell(*key, len(values[key]), *_mean(values[key])) for key in keys]


def _mean(values: Sequence[float]) -> tuple[float, float, float]:
    array = np.array(values)
    low, high = np.percentile(array[_draws(len(array))].mean(1), [2.5, 97.5])
    return float(array.mean()), float(low), float(high)


@lru_cache(maxsize=8)
def _draws(count: int) -> npt.NDArray[np.int64]:
    """Which items each resample takes: the same ones for every method, so that they compare."""
    return np.random.default_rng(0).integers(count, size=(RESAMPLES, count))


@dataclass(frozen=True)
class Table:
    """One group's methods × metrics of one kind of result.

    lines: method → its cells, in the order of the metrics; None where there are no values.
    """

    group: str
    kind: str
    count: int
    metrics: tuple[str, ...]
    lines: Mapping[str, tuple[Cell | None, ...]]

    @property
    def title(self) -> str:
        """What heads the table."""
        pictures = "1 picture" if self.count == 1 else f"{self.count} pictures"
        return f"{self.kind}, {self.group} ({pictures})"

    def best(self, metric: str) -> float | None:
        """The best mean of a metric; None where neither way is better."""
        if SCORES[metric].higher_is_better is None:
            return None
        at = self.metrics.index(metric)
        means = [cell.mean for cells in self.lines.values() if (cell := cells[at]) is not None]
        return max(means) if SCORES[metric].higher_is_better else min(means)


def tables(cells: Sequence[Cell], methods: Sequence[str], metrics: Sequence[str]) -> list[Table]:
    """The tables that have values: by group, corrected pictures before HDR estimates."""
    found = {(c.group, c.method, c.metric): c for c in cells}
    result = []
    for group in dict.fromkeys(c.group for c in cells):
        for kind, scores in (("Corrected pictures", DISPLAY), ("HDR estimates", HDR)):
            here = [c for c in cells if c.group == group and c.metric in scores]
            if not here:
                continue
            shown = tuple(k for k in metrics if any(c.metric == k for c in here))
            having = {c.method for c in here}
            lines = {
                m: tuple(found.get((group, m, k)) for k in shown) for m in methods if m in having
            }
            result.append(Table(group, kind, max(c.count for c in here), shown, lines))
    return result


def heading(metric: str) -> str:
    """A metric's name, and which way is better."""
    return metric + {True: " ↑", False: " ↓", None: ""}[SCORES[metric].higher_is_better]


def texts(cell: Cell) -> tuple[str, str]:
    """The mean as it is printed, and its interval, empty for a single picture."""
    digits = 3 if max(abs(cell.low), abs(cell.high)) < 2 else 2
    interval = f"{cell.low:.{digits}f} to {cell.high:.{digits}f}" if cell.count > 1 else ""
    return f"{cell.mean:.{digits}f}", interval


def markdown(shown: Iterable[Table]) -> str:
    """The tables as Markdown: means with their 95 % intervals."""
    return "\n".join(_markdown_table(table) for table in shown)


def _markdown_table(table: Table) -> str:
    heads = [heading(metric) for metric in table.metrics]
    lines = [f"**{table.title}**", ""]
    lines += ["| method | " + " | ".join(heads) + " |", "|---|" + "---:|" * len(heads)]
    for method, cells in table.lines.items():
        lines.append(f"| {method} | " + " | ".join(map(_markdown_cell, cells)) + " |")
    return "\n".join([*lines, ""])


def _markdown_cell(cell: Cell | None) -> str:
    if cell is None:
        return ""
    mean, interval = texts(cell)
    return f"{mean} ({interval})" if interval else mean
