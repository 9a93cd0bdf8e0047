"""`drht evaluate`: every method on every item, a table, a JSON, and a way to go on after a kill."""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from drht_plugin import __version__
from drht_plugin.errors import DrhtError, InputError
from drht_plugin.evaluation.datasets import Item, Lazy, drawn_views, pairs
from drht_plugin.evaluation.scores import DISPLAY, HDR, PEAK_LUMINANCE

FloatArray = npt.NDArray[np.float32]
Method = Callable[[FloatArray], FloatArray]
Values = dict[str, dict[str, float]]

OURS = "drht"
_DEFAULT_METRICS = ("psnr", "ssim", "psnr-gamma", "luma-change", "ev-unclipped", "ev-clipped")
_RESAMPLES = 1000
_PACKAGES = ("numpy", "torch", "numba", "scikit-image", "opencv-python-headless")


@dataclass(frozen=True)
class Methods:
    """What is compared: correctors give a display picture, expanders an HDR estimate."""

    correctors: Mapping[str, Method]
    expanders: Mapping[str, Method]

    @property
    def names(self) -> list[str]:
        """Every method's name once."""
        return list(dict.fromkeys([*self.correctors, *self.expanders]))


def evaluate(options: argparse.Namespace) -> int:
    """Run the command; exit code 0, or 1 where items had to be left out.

    Raises:
        InputError: unknown methods or metrics, a malformed manifest, a folder without images.
    """
    methods = _methods(options)
    metrics = _metrics(options.metrics)
    if options.hdr is not None:
        items = drawn_views(options.hdr, options.seed, options.count)
        source = {"hdr": options.hdr.name, "seed": options.seed, "count": options.count}
    else:
        items = pairs(options.pairs)
        source = {"pairs": "/".join(options.pairs.parts[-2:]), "count": len(items)}
    head = {
        "drht_plugin": __version__,
        "model": _model_digest(options.model),
        "packages": {name: _version(name) for name in _PACKAGES},
        "source": source,
        "methods": methods.names,
        "metrics": list(metrics),
        "peak_luminance": PEAK_LUMINANCE,
    }
    journal = Journal(options.json, head)
    rows, failures = _measure_all(items, methods, metrics, journal)
    print(report(rows, methods.names, metrics))
    for name, why in failures.items():
        print(f"drht: {name}: left out: {why}", file=sys.stderr)
    if failures:
        print(f"drht: {len(failures)} of {len(items)} items left out", file=sys.stderr)
    if options.json is not None:
        journal.finish({**head, "failures": failures, "summary": summary(rows), "items": rows})
    return 1 if failures else 0


def _version(package: str) -> str | None:
    try:
        return version(package)
    except ModuleNotFoundError:
        return None


def _model_digest(model: str) -> str:
    from drht_plugin.model.weights import locate

    description = json.loads(locate(model).with_suffix(".json").read_text())
    return f"{Path(model).stem} {description['sha256'][:16]}"


def _methods(options: argparse.Namespace) -> Methods:
    from drht_plugin.engine.correct import Corrector
    from drht_plugin.evaluation.methods import CORRECTORS, EXPANDERS

    corrector = Corrector(model=options.model, device=options.device)

    def ours(picture: FloatArray) -> FloatArray:
        codes = np.rint(picture * 255).astype(np.uint8)
        return corrector.correct(codes, detail="guided").astype(np.float32) / np.float32(255)

    def estimate(picture: FloatArray) -> FloatArray:
        return corrector.estimate_hdr(np.rint(picture * 255).astype(np.uint8))

    correctors = {OURS: ours, **CORRECTORS}
    expanders = {OURS: estimate, **EXPANDERS}
    if options.methods == "all":
        return Methods(correctors, expanders)
    names = options.methods.split(",")
    unknown = [n for n in names if n not in correctors and n not in expanders]
    if unknown:
        known = ", ".join(Methods(correctors, expanders).names)
        raise InputError(f"unknown methods {', '.join(unknown)}; expected some of {known}")
    return Methods(
        {n: correctors[n] for n in names if n in correctors},
        {n: expanders[n] for n in names if n in expanders},
    )


def _metrics(given: str | None) -> list[str]:
    known = [*DISPLAY, *HDR]
    if given is None:
        return list(_DEFAULT_METRICS)
    names = known if given == "all" else given.split(",")
    unknown = [n for n in names if n not in known]
    if unknown:
        raise InputError(f"unknown metrics {', '.join(unknown)}; expected some of {known}")
    return names


class Journal:
    """Values as they come, one line of JSON for each item and method, so that a killed run goes on.

    Lives beside the target as NAME.partial until `finish`; a journal of other settings is not
    gone on with. Without a target nothing is kept.
    """

    def __init__(self, target: Path | None, head: Mapping[str, Any]) -> None:
        self._target = target
        self._path = None if target is None else target.with_name(target.name + ".partial")
        self.done: dict[tuple[str, str], dict[str, Any]] = {}
        if self._path is None:
            return
        first = json.dumps(head, sort_keys=True)
        lines = self._path.read_text().splitlines() if self._path.exists() else []
        if lines and lines[0] == first:
            for line in lines[1:]:
                try:
                    row = json.loads(line)
                except ValueError:
                    break  # the line that was being written when the run was killed
                self.done[row["item"], row["method"]] = row
        kept = [first, *(json.dumps(row) for row in self.done.values())]
        self._path.write_text("\n".join(kept) + "\n")

    def add(self, row: dict[str, Any]) -> None:
        """Keep one row."""
        self.done[row["item"], row["method"]] = row
        if self._path is not None:
            with self._path.open("a") as file:
                file.write(json.dumps(row) + "\n")

    def finish(self, result: Mapping[str, Any]) -> None:
        """Write the whole result under its name, and drop the journal."""
        assert self._target is not None
        assert self._path is not None
        text = json.dumps(_without_nan(result), indent=1, sort_keys=True) + "\n"
        whole = self._path.with_suffix(".whole")
        whole.write_text(text)
        os.replace(whole, self._target)
        self._path.unlink()


def _without_nan(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {k: _without_nan(v) for k, v in value.items()}
    return [_without_nan(v) for v in value] if isinstance(value, list) else value


def _measure_all(
    items: Sequence[Lazy], methods: Methods, metrics: Sequence[str], journal: Journal
) -> tuple[list[dict[str, Any]], dict[str, str]]:
    from tqdm import tqdm

    failures: dict[str, str] = {}
    bar = tqdm(total=len(items) * len(methods.names), unit="pictures", disable=None)
    with bar:
        for lazy in items:
            todo = [m for m in methods.names if (lazy.name, m) not in journal.done]
            bar.update(len(methods.names) - len(todo))
            if not todo:
                continue
            try:
                item = lazy.load()
                for name in todo:
                    journal.add(_measure(item, name, methods, metrics))
                    bar.update()
            except DrhtError as error:
                failures[lazy.name] = str(error)
    order = {lazy.name: i for i, lazy in enumerate(items)}
    rows = sorted(journal.done.values(), key=lambda r: (order[r["item"]], r["method"]))
    return [r for r in rows if r["item"] not in failures], failures


def _measure(item: Item, name: str, methods: Methods, metrics: Sequence[str]) -> dict[str, Any]:
    picture = item.ldr.astype(np.float32) / np.float32(255)
    values: dict[str, float] = {}
    if name in methods.correctors:
        corrected = methods.correctors[name](picture)
        values |= {m: DISPLAY[m].measure(corrected, item) for m in metrics if m in DISPLAY}
    if name in methods.expanders and item.radiance is not None:
        wanted = [m for m in metrics if m in HDR]
        if wanted:
            radiance = methods.expanders[name](picture)
            values |= {m: HDR[m].measure(radiance, item) for m in wanted}
    return {"item": item.name, "method": name, "groups": dict(item.groups), "values": values}


def summary(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Mean, 95 % bootstrap interval and count of each method and metric, in all and by group."""
    cells: dict[tuple[str, str, str], list[float]] = {}
    for row in rows:
        groups = ["all", *(f"{k}={v}" for k, v in row["groups"].items())]
        for metric, value in row["values"].items():
            if value is None or math.isnan(value):
                continue
            for group in groups:
                cells.setdefault((group, row["method"], metric), []).append(value)
    return [
        {"group": g, "method": m, "metric": k, "count": len(v), **_interval(v)}
        for (g, m, k), v in cells.items()
    ]


def _interval(values: Sequence[float]) -> dict[str, float]:
    array = np.array(values)
    draws = np.random.default_rng(0).integers(len(array), size=(_RESAMPLES, len(array)))
    low, high = np.percentile(array[draws].mean(1), [2.5, 97.5])
    return {"mean": float(array.mean()), "low": float(low), "high": float(high)}


def report(
    rows: Sequence[Mapping[str, Any]], methods: Sequence[str], metrics: Sequence[str]
) -> str:
    """Markdown tables: all items with 95 % intervals, then the means by group."""
    cells = {(c["group"], c["method"], c["metric"]): c for c in summary(rows)}
    lines = []
    for group in dict.fromkeys(g for g, _, _ in cells):
        shown = [k for k in metrics if any((group, m, k) in cells for m in methods)]
        count = max(c["count"] for (g, _, _), c in cells.items() if g == group)
        lines += ["", f"**{group}** ({count} pictures)", ""]
        lines.append("| method | " + " | ".join(shown) + " |")
        lines.append("|---|" + "---:|" * len(shown))
        for method in methods:
            texts = [_cell(cells.get((group, method, k)), group == "all") for k in shown]
            if any(texts):
                lines.append(f"| {method} | " + " | ".join(texts) + " |")
    return "\n".join(lines)


def _cell(cell: Mapping[str, Any] | None, interval: bool) -> str:
    if cell is None:
        return ""
    digits = 3 if abs(cell["mean"]) < 2 else 2
    text = f"{cell['mean']:.{digits}f}"
    return f"{text} ({cell['low']:.{digits}f} to {cell['high']:.{digits}f})" if interval else text
