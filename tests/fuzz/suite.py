"""Run cases, count their verdicts, and keep the inputs of faults."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from drht_plugin import Corrector
from drht_plugin.model.networks import ARCHITECTURES, Drht, fold_normalisation
from drht_plugin.model.weights import save_model
from drht_plugin.resume import open_resumable, resume_folder

from .children import GOOD, Child, Verdict
from .inputs import Case, Inputs


@dataclass(frozen=True)
class Result:
    """A case and what became of it."""

    case: Case
    verdict: Verdict

    @property
    def good(self) -> bool:
        """Whether the input was taken as it should be."""
        return self.verdict.name in GOOD


def inputs(seed: int, folder: Path) -> Inputs:
    """Return the maker of cases.

    Args:
        seed: of the mutations.
        folder: an empty one, for files that mutations start from.
    """
    return Inputs(seed, _small_weights(folder), _journal(folder))


def run(maker: Inputs, numbers: Iterable[int], seconds: float) -> Iterator[Result]:
    """Run cases in one child until they, or the time, are over.

    Args:
        maker: of the cases.
        numbers: of the cases.
        seconds: after which no further case is begun.
    """
    end = time.monotonic() + seconds
    child = Child()
    try:
        for number in numbers:
            if time.monotonic() > end:
                return
            case = maker.case(number)
            yield Result(case, child.take(case))
    finally:
        child.close()


def keep(result: Result, folder: Path) -> Path:
    """Store the input of a fault; return the folder it is in."""
    place = folder / f"{result.case.number}-{result.verdict.name}"
    place.mkdir(parents=True, exist_ok=True)
    for name, data in result.case.files.items():
        (place / name).write_bytes(data)
    (place / "why.txt").write_text(f"{result.case.label}\n{result.verdict.why}\n")
    return place


def table(results: Counter[tuple[str, str]]) -> str:
    """Return a Markdown table of verdicts by kind of input.

    Args:
        results: number of cases by kind and verdict.
    """
    kinds = sorted({kind for kind, _ in results})
    names = ["done", "refused", *sorted({name for _, name in results} - set(GOOD))]
    lines = [f"| input | cases | {' | '.join(names)} |", "|---|" + "---:|" * (len(names) + 1)]
    for kind in kinds:
        counts = [results[kind, name] for name in names]
        lines.append(f"| {kind} | {sum(counts)} | {' | '.join(map(str, counts))} |")
    return "\n".join(lines)


def _small_weights(folder: Path) -> dict[str, bytes]:
    """Return a model of the smallest architecture, with weights of a seed."""
    torch.manual_seed(0)
    name = min(ARCHITECTURES, key=lambda each: _size(Drht(ARCHITECTURES[each])))
    network = fold_normalisation(Drht(ARCHITECTURES[name]).eval().requires_grad_(False))
    path = folder / "m.safetensors"
    save_model(network, path, {}, name)
    return {file.name: file.read_bytes() for file in (path, path.with_suffix(".json"))}


def _size(network: torch.nn.Module) -> int:
    return sum(each.numel() for each in network.parameters())


def _journal(folder: Path) -> dict[str, bytes]:
    """Return the folder of a run that was interrupted after its last row."""
    from .child import _JOB

    target = folder / "a.tif"
    pixels = np.full((16, 8, 3), 60, np.uint8)
    try:
        with open_resumable(target, _JOB, pixels.shape, pixels.dtype) as rows:
            rows.store_scene(Corrector(device="cpu").survey(pixels))
            rows[0:16] = pixels
            raise KeyboardInterrupt
    except KeyboardInterrupt:
        pass
    found = resume_folder(target)
    return {file.name: file.read_bytes() for file in found.iterdir()}
