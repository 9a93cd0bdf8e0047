"""Benchmarks: their definition, timing, and the output of their figures."""

from __future__ import annotations

import importlib
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

MODULES = ("ceilings", "correct_24mp", "kernels", "backends", "detail", "overview")
"""Modules of the suite; each has `BENCHMARKS`, a tuple of `Benchmark`."""


@dataclass(frozen=True)
class Figure:
    """One measured number.

    Attributes:
        name: what was measured.
        value: the number.
        unit: its unit.
        against: what `ratio` is relative to: a limit of the machine measured in the same run,
            another program, or a figure measured before.
        ratio: the value relative to `against`; None for none.
    """

    name: str
    value: float
    unit: str
    against: str = ""
    ratio: float | None = None


@dataclass(frozen=True)
class Setting:
    """How to measure.

    Attributes:
        device: "cpu" or "cuda".
        full: whether to run benchmarks that take long.
        ceilings: limits of the machine by name, once they are measured.
    """

    device: str = "cpu"
    full: bool = False
    ceilings: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Benchmark:
    """A benchmark.

    Attributes:
        name: name for --only.
        about: one line that explains it.
        run: function that returns its figures.
        full: whether it runs only with --full or --only.
        device: device that it needs.
    """

    name: str
    about: str
    run: Callable[[Setting], list[Figure]]
    full: bool = False
    device: str = "cpu"


class CannotRun(Exception):
    """A benchmark cannot run; the message says what is missing."""


def all_benchmarks() -> Iterator[Benchmark]:
    """Yield the benchmarks of all `MODULES`, the limits of the machine first."""
    for name in MODULES:
        yield from importlib.import_module(f"benchmarks.{name}").BENCHMARKS


def wall(work: Callable[[], object], repeats: int = 5) -> float:
    """Return the median wall time of warm calls in seconds."""
    work()
    return statistics.median(_once(work, time.perf_counter) for _ in range(repeats))


def cpu(work: Callable[[], object], repeats: int = 5) -> float:
    """Return the median CPU time of this thread in warm calls, in seconds."""
    work()
    return statistics.median(_once(work, time.thread_time) for _ in range(repeats))


def in_turn(*works: Callable[[], object], repeats: int = 5) -> list[float]:
    """Return the median wall times in seconds of several calls, interleaved to be comparable."""
    for work in works:
        work()
    taken = [[_once(work, time.perf_counter) for work in works] for _ in range(repeats)]
    return [statistics.median(times) for times in zip(*taken, strict=True)]


def _once(work: Callable[[], object], clock: Callable[[], float]) -> float:
    start = clock()
    work()
    return clock() - start


def machine() -> dict[str, Any]:
    """Return facts about the machine and the libraries."""
    import numba
    import numpy as np
    import torch

    from drht_plugin.bridge.sharing import most_threads

    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads of the kernels": most_threads(),
        "threads of torch": torch.get_num_threads(),
        "load before": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "numba": numba.__version__,
        "torch": torch.__version__,
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((s.split(":")[1].strip() for s in lines if s.startswith("model name")), "unknown")


def write(folder: Path, about: dict[str, Any], results: dict[str, list[Figure]]) -> None:
    """Write the results as results.json and results.md."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = {name: [asdict(figure) for figure in figures] for name, figures in results.items()}
    document = json.dumps({"machine": about, "results": rows}, indent=1, ensure_ascii=False)
    (folder / "results.json").write_text(document + "\n")
    (folder / "results.md").write_text(markdown(about, results))


def markdown(about: dict[str, Any], results: dict[str, list[Figure]]) -> str:
    """Format the results as Markdown tables."""
    lines = ["; ".join(f"{name}: {value}" for name, value in about.items()), ""]
    for name, figures in results.items():
        lines += [f"**{name}**", "", "| figure | value | unit | ratio | to |"]
        lines += ["|---|---:|---|---:|---|"]
        for each in figures:
            ratio = "" if each.ratio is None else f"{each.ratio:.2f}"
            value = format_number(each.value)
            lines.append(f"| {each.name} | {value} | {each.unit} | {ratio} | {each.against} |")
        lines.append("")
    return "\n".join(lines)


def format_number(value: float) -> str:
    """Format a number with three significant digits."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def print_progress(words: str) -> None:
    """Print a line to stderr."""
    print(words, file=sys.stderr, flush=True)
