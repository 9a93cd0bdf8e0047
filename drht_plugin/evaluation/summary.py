"""Means with confidence intervals, over all items and by group, and tables of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from drht_plugin.evaluation.scores import DISPLAY, HDR, SCORES, Row

RESAMPLES = 1000
"""Resamples of the bootstrap."""
ALL = "all"
"""Name of the group of all items."""


@dataclass(frozen=True)
class Cell:
    """Mean of a metric of a method in a group.

    Attributes:
        group: the group, "column = value" or `ALL`.
        method: name of the method.
        metric: name of the metric.
        count: number of items.
        mean: their mean.
        low: lower end of its 95 % bootstrap interval.
        high: upper end of the interval.
    """

    group: str
    method: str
    metric: str
    count: int
    mean: float
    low: float
    high: float


def summarise(rows: Iterable[Row]) -> list[Cell]:
    """Compute the means of all groups, methods and metrics that have values.

    Args:
        rows: measured values.

    Returns:
        Cells of the group of all items, then of the other groups, sorted by group.
    """
    values: dict[tuple[str, str, str], list[float]] = {}
    for row in rows:
        groups = [ALL, *(f"{column} = {value}" for column, value in row.groups.items())]
        for metric, value in row.values.items():
            if value is not None:
                for group in groups:
                    values.setdefault((group, row.method, metric), []).append(value)
    keys = sorted(values, key=lambda key: (key[0] != ALL, key[0]))  # a stable sort
    return [Cell(*key, len(values[key]), *_mean(values[key])) for key in keys]


def _mean(values: Sequence[float]) -> tuple[float, float, float]:
    array = np.array(values)
    low, high = np.percentile(array[_draws(len(array))].mean(1), [2.5, 97.5])
    return float(array.mean()), float(low), float(high)


@lru_cache(maxsize=8)
def _draws(count: int) -> npt.NDArray[np.int64]:
    """Return the items of each resample, the same for every method to make them comparable."""
    return np.random.default_rng(0).integers(count, size=(RESAMPLES, count))


@dataclass(frozen=True)
class Table:
    """Table of methods × metrics for a group and a kind of result.

    Attributes:
        group: the group.
        kind: "Corrected pictures" or "HDR estimates".
        count: number of items.
        metrics: names of the columns.
        lines: method → cells in the order of the columns; None where there are no values.
    """

    group: str
    kind: str
    count: int
    metrics: tuple[str, ...]
    lines: Mapping[str, tuple[Cell | None, ...]]

    @property
    def title(self) -> str:
        """Title of the table."""
        pictures = "1 picture" if self.count == 1 else f"{self.count} pictures"
        return f"{self.kind}, {self.group} ({pictures})"

    def best(self, metric: str) -> float | None:
        """Return the best mean of a metric; None if it has no better direction.

        Args:
            metric: name of a column.
        """
        if SCORES[metric].higher_is_better is None:
            return None
        at = self.metrics.index(metric)
        means = [cell.mean for cells in self.lines.values() if (cell := cells[at]) is not None]
        return max(means) if SCORES[metric].higher_is_better else min(means)


def tables(cells: Sequence[Cell], methods: Sequence[str], metrics: Sequence[str]) -> list[Table]:
    """Arrange cells in tables.

    Args:
        cells: what `summarise` returned.
        methods: names of methods, in the order of the lines.
        metrics: names of metrics, in the order of the columns.

    Returns:
        The tables that have values, by group; corrected pictures come before HDR estimates.
    """
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
    """Return a metric's name with an arrow for the better direction.

    Args:
        metric: name of the metric.
    """
    return metric + {True: " ↑", False: " ↓", None: ""}[SCORES[metric].higher_is_better]


def texts(cell: Cell) -> tuple[str, str]:
    """Format a cell.

    Args:
        cell: the cell.

    Returns:
        The mean, and the interval, which is empty for a single item.
    """
    digits = 3 if max(abs(cell.low), abs(cell.high)) < 2 else 2
    interval = f"{cell.low:.{digits}f} to {cell.high:.{digits}f}" if cell.count > 1 else ""
    return f"{cell.mean:.{digits}f}", interval


def markdown(shown: Iterable[Table]) -> str:
    """Format tables as Markdown, means with their 95 % intervals.

    Args:
        shown: the tables.

    Returns:
        Markdown text.
    """
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
