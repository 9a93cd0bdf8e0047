"""`drht evaluate`: run every method on every item, and write tables, JSON and a report."""

from __future__ import annotations

import argparse
import hashlib
import json
import platform
import sys
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import drht_plugin
from drht_plugin._version import __version__
from drht_plugin.bridge.sharing import usable_cores
from drht_plugin.bridge.transfer import H_MAX
from drht_plugin.errors import InputError, WriteError
from drht_plugin.evaluation.datasets import Source
from drht_plugin.evaluation.journal import Journal, write_whole
from drht_plugin.evaluation.lineup import OURS, make_lineup, method_names
from drht_plugin.evaluation.manifest import Pairs
from drht_plugin.evaluation.panoramas import Panoramas
from drht_plugin.evaluation.run import Outcome, Plan, one_thread, run
from drht_plugin.evaluation.scores import (
    PEAK_LUMINANCE,
    PIXELS_PER_DEGREE,
    chosen_metrics,
    require_known,
)
from drht_plugin.evaluation.summary import RESAMPLES, markdown, summarise, tables
from drht_plugin.evaluation.views import Views
from drht_plugin.storage import read_json_object

_PACKAGES = (
    "numpy",
    "scipy",
    "scikit-image",
    "opencv-python-headless",
    "torch",
    "numba",
    "pyvips",
    "OpenImageIO",
)


def evaluate(options: argparse.Namespace) -> int:
    """Run `drht evaluate`.

    Args:
        options: the parsed arguments, see `drht_plugin.cli.evaluate.add_command`.

    Returns:
        The exit code: 0, or 1 if items were left out.

    Raises:
        InputError: methods or metrics are unknown, the manifest is malformed, the folder has no
            images, or jobs is below 1.
        WriteError: the JSON or the report cannot be written.
        DrhtError: a worker process was killed, or something that every item needs is missing; see
            `run`.
    """
    from tqdm import tqdm

    plan = _plan(options)
    jobs = _jobs(options.jobs)
    items = plan.source.items()
    head = _head(plan, len(items))
    if options.report is not None:
        _make_folder(options.report)
    journal = Journal(options.json, head)
    try:
        with tqdm(total=len(items), unit="picture", disable=None) as bar:
            outcome = run(plan, items, journal, jobs, bar.update)
    except KeyboardInterrupt:
        if journal.path is not None:
            print(
                f"drht: results so far are kept in {journal.path}; repeat the command to continue",
                file=sys.stderr,
            )
        raise
    cells = summarise(outcome.rows)
    shown = tables(cells, plan.methods, plan.metrics)
    print(markdown(shown))
    _print_failures(outcome, len(items))
    if options.json is not None:
        result = {
            **head,
            "failures": outcome.failures,
            "summary": [asdict(cell) for cell in cells],
            "items": [asdict(row) for row in outcome.rows],
        }
        write_whole(options.json, json.dumps(result, indent=1, sort_keys=True) + "\n")
    if options.report is not None:
        from drht_plugin.evaluation.report import examples, page

        with one_thread():
            ours = make_lineup((OURS,), plan.model, plan.device).correctors[OURS]
            pictures = examples(outcome.rows, items, OURS, ours)
        write_whole(options.report / "index.html", page(head, shown, pictures, outcome.failures))
    journal.remove()
    return 1 if outcome.failures else 0


def _plan(options: argparse.Namespace) -> Plan:
    from drht_plugin.model.device import choose_device

    known = method_names()
    wanted = options.methods
    methods = tuple(known) if wanted == "all" else require_known("methods", wanted, known)
    return Plan(
        source=_source(options),
        methods=methods,
        metrics=chosen_metrics(options.metrics),
        model=options.model,
        device=str(choose_device(options.device)),
    )


def _source(options: argparse.Namespace) -> Source:
    if options.pairs is not None:
        return Pairs(options.pairs)
    if options.panoramas is not None:
        return Panoramas(options.panoramas, options.seed)
    return Views(options.hdr, options.seed, options.count)


def _jobs(wanted: int | None) -> int:
    if wanted is None:
        return usable_cores()
    if wanted < 1:
        raise InputError(f"jobs is {wanted}; expected at least 1")
    return wanted


def _head(plan: Plan, count: int) -> dict[str, Any]:
    """Return the versions and parameters that the numbers of a run depend on."""
    import torch

    from drht_plugin.model.device import inference_dtype

    dtype = inference_dtype(torch.device(plan.device))
    return {
        "drht_plugin": __version__,
        "code": _code_digest(),
        "model": _model(plan.model),
        "device": plan.device,
        "precision": str(dtype).removeprefix("torch."),
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in _PACKAGES},
        "source": {**plan.source.describe(), "items": count},
        "methods": list(plan.methods),
        "metrics": list(plan.metrics),
        "parameters": {
            "cd/m² of H = 1": PEAK_LUMINANCE,
            "largest H compared": H_MAX,
            "HDR-VDP-2 pixels per degree": PIXELS_PER_DEGREE,
            "bootstrap resamples": RESAMPLES,
        },
    }


def _model(model: str) -> str:
    """Return the name and the SHA-256 of a model."""
    from drht_plugin.model.locate import locate

    path = locate(model)
    try:
        digest = str(read_json_object(path.with_suffix(".json"))["sha256"])
    except (OSError, ValueError, KeyError):
        digest = "without description"  # loading the networks will report what is wrong
    return f"{Path(model).stem} {digest}"


def _code_digest() -> str:
    """Return the SHA-256 of the package's modules, which change between releases."""
    root = Path(drht_plugin.__file__).parent
    digest = hashlib.sha256()
    for file in sorted(root.rglob("*.py")):
        digest.update(file.relative_to(root).as_posix().encode() + file.read_bytes())
    return digest.hexdigest()


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _make_folder(folder: Path) -> None:
    """Create the report's folder early, so that a failure does not waste the whole run."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WriteError(f"{folder}: cannot be created: {error.strerror}") from error


def _print_failures(outcome: Outcome, count: int) -> None:
    """Print which items were left out, and why."""
    for name, why in outcome.failures.items():
        print(f"drht: {name}: left out: {why}", file=sys.stderr)
    if outcome.failures:
        print(f"drht: {len(outcome.failures)} of {count} items left out", file=sys.stderr)
