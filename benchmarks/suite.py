"""What a benchmark is, how it is timed, and how its figures are written down."""

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

MODULES = ("ceilings", "correct_24mp", "kernels", "detail", "overview")
"""The modules that take part; each has `BENCHMARKS`, a tuple of `Benchmark`."""


@dataclass(frozen=True)
class Figure:
    """One measured number.

    against: the name of what `ratio` compares it with: a ceiling of the machine in the same run,
    another program, or a figure that was measured before.
    """

    name: str
    value: float
    unit: str
    against: str = ""
    ratio: float | None = None


@dataclass(frozen=True)
class Setting:
    """How to measure: on which device, and how long."""

    device: str = "cpu"
    full: bool = False
    ceilings: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Benchmark:
    """One measurement; `run` gives its figures. `full`: only with --full, or when asked for."""

    name: str
    about: str
    run: Callable[[Setting], list[Figure]]
    full: bool = False
    device: str = "cpu"


class CannotRun(Exception):
    """Says what a benchmark needs and did not find."""


def all_benchmarks() -> Iterator[Benchmark]:
    """The benchmarks of all `MODULES`, the ceilings first."""
    for name in MODULES:
        yield from importlib.import_module(f"benchmarks.{name}").BENCHMARKS


def wall(work: Callable[[], object], repeats: int = 5) -> float:
    """Median wall seconds of warm calls."""
    work()
    return statistics.median(_once(work, time.perf_counter) for _ in range(repeats))


def cpu(work: Callable[[], object], repeats: int = 5) -> float:
    """Median seconds of this thread's processor time of warm calls: others do not disturb it."""
    work()
    return statistics.median(_once(work, time.thread_time) for _ in range(repeats))


def in_turn(*works: Callable[[], object], repeats: int = 5) -> list[float]:
    """Median wall seconds of several calls, taken in turn so that they meet the same machine."""
    for work in works:
        work()
    taken = [[_once(work, time.perf_counter) for work in works] for _ in range(repeats)]
    return [statistics.median(times) for times in zip(*taken, strict=True)]


def _once(work: Callable[[], object], clock: Callable[[], float]) -> float:
    start = clock()
    work()
    return clock() - start


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    import numba
    import numpy as np
    import torch

    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads of the kernels": numba.get_num_threads(),
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
    """The results as results.json and results.md."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = {name: [asdict(figure) for figure in figures] for name, figures in results.items()}
    document = json.dumps({"machine": about, "results": rows}, indent=1, ensure_ascii=False)
    (folder / "results.json").write_text(document + "\n")
    (folder / "results.md").write_text(markdown(about, results))


def markdown(about: dict[str, Any], results: dict[str, list[Figure]]) -> str:
    """The results as tables."""
    lines = ["; ".join(f"{name}: {value}" for name, value in about.items()), ""]
    for name, figures in results.items():
        lines += [f"**{name}**", "", "| figure | value | unit | ratio | to |"]
        lines += ["|---|---:|---|---:|---|"]
        for each in figures:
            ratio = "" if each.ratio is None else f"{each.ratio:.2f}"
            lines.append(
                f"| {each.name} | {short(each.value)} | {each.unit} | {ratio} | {each.against} |"
            )
        lines.append("")
    return "\n".join(lines)


def short(value: float) -> str:
    """Three significant digits."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def say(words: str) -> None:
    """A line of progress."""
    print(words, file=sys.stderr, flush=True)
