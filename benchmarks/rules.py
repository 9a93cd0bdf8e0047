"""Measure the effect of each rule for T: leave rules out, and change their constants.

    python -m benchmarks.rules --cache FOLDER --pairs ../shared/data/pairs_dev/manifest.csv
    python -m benchmarks.rules --cache FOLDER --hdr ../shared/data/hdr_val --only none

The networks run once for each picture; their output is cached under the digest of the weights. For
each variant, the rules of `engine.survey.rules` are applied, the tone grid is fitted and the
picture rendered in guided detail at full size. Prints PSNR (dB) and SSIM over all pictures, PSNR by
group and, for the pictures within 0.3 EV of their reference, the share that loses at most 0.5 dB
and the mean gain.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest import mock

import numpy as np

from benchmarks.well_exposed import WITHIN, exposure
from drht_plugin import Corrector
from drht_plugin.engine.pixels import spec_of
from drht_plugin.engine.render.guided import render
from drht_plugin.engine.scene import Scene
from drht_plugin.engine.survey.fit_grid import fit_tone_grid
from drht_plugin.engine.survey.make import survey
from drht_plugin.engine.survey.rules import carry, evidence, restraint
from drht_plugin.evaluation.datasets import Codes, FloatArray, LazyItem, unit
from drht_plugin.evaluation.manifest import Pairs
from drht_plugin.evaluation.metrics import psnr, ssim
from drht_plugin.evaluation.run import one_thread
from drht_plugin.evaluation.views import Views

_GROUPS = ("tag", "class", "kind")


@dataclass(frozen=True)
class Surveyed:
    """A picture with the networks' output, before any rule."""

    name: str
    groups: Mapping[str, str]
    ldr: Codes
    reference: Codes
    x: FloatArray
    y: FloatArray
    raw: FloatArray
    weight: FloatArray
    noise: FloatArray


@dataclass(frozen=True)
class Variant:
    """The rules with some of their constants or functions replaced."""

    name: str
    settings: Mapping[tuple[ModuleType, str], Any]


def _variant(name: str, module: ModuleType, **settings: Any) -> Variant:
    return Variant(name, {(module, key): value for key, value in settings.items()})


def _same(ldr: FloatArray, corrected: FloatArray, *_: Any, **__: Any) -> FloatArray:
    return corrected


def _none(*_: Any, **__: Any) -> float:
    return 0.0


VARIANTS = (
    Variant("as they are", {}),
    Variant(
        "none",
        {
            (restraint, "brighten_clipped"): _same,
            (restraint, "carry_detail"): _same,
            (restraint, "anchor_mean_luma"): _same,
            (restraint, "share_to_keep"): _none,
            (restraint, "unseen"): _none,
        },
    ),
    _variant("without light at white", restraint, brighten_clipped=_same),
    _variant("without carried", restraint, carry_detail=_same),
    _variant("without anchored", restraint, anchor_mean_luma=_same),
    _variant("without evidence", restraint, share_to_keep=_none, unseen=_none),
    _variant("without unfounded", evidence, unfounded=_none),
    _variant("without unseen", restraint, unseen=_none),
    _variant("without drawn", evidence, drawn=_none),
    _variant("without paper", evidence, on_paper=_none),
    _variant("white .6", restraint, _LEAST_WHITE=0.6),
    _variant("white .78", restraint, _LEAST_WHITE=0.78),
    _variant("white .65", restraint, _LEAST_WHITE=0.65),
    _variant("anchor .2 to .3 EV", restraint, _ALIKE=0.2, _UNLIKE=0.3),
    _variant("anchor .3 to .6 EV", restraint, _ALIKE=0.3, _UNLIKE=0.6),
    _variant("anchor .45 to .6 EV", restraint, _ALIKE=0.45, _UNLIKE=0.6),
    _variant("carry .4 to 1.2", carry, _FROM=0.4, _TO=1.2),
    _variant("carry .8 to 1.6", carry, _FROM=0.8, _TO=1.6),
    _variant("carry, noise 2.5", carry, _ABOVE_NOISE=2.5),
    _variant("carry, noise 10", carry, _ABOVE_NOISE=10.0),
    _variant("carry, radius 8", carry, _RADIUS=8),
    _variant("hedged 0", evidence, _HEDGED=0.0),
    _variant("hedged .4", evidence, _HEDGED=0.4),
    _variant("hedged .55", evidence, _HEDGED=0.55),
    _variant("hedged .8", evidence, _HEDGED=0.8),
    _variant("hedged from .8 EV", evidence, _DOUBTFUL=(0.8, 1.0)),
    _variant("hedged to 2.4 EV", evidence, _SURE=(1.6, 2.4)),
    _variant("white at .9 to 1", evidence, _WHITE=(0.9, 1.0)),
    _variant("unseen .05 to .08 EV", evidence, _UNSEEN=(0.05, 0.08)),
    _variant("unseen .08 to .4 EV", evidence, _UNSEEN=(0.08, 0.4)),
    _variant("lowered by 1 % clipped", evidence, _ENOUGH_CLIPPED=0.01),
)


def surveyed(items: Sequence[LazyItem], corrector: Corrector, folder: Path) -> Iterator[Surveyed]:
    """Yield the items with the networks' output, which is cached in the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for lazy in items:
        file = folder / (hashlib.sha256(lazy.name.encode()).hexdigest()[:24] + ".npz")
        if not file.is_file():
            _survey(lazy, corrector, file)
        with np.load(file) as held:
            arrays = {name: held[name] for name in held.files}
        facts = json.loads(str(arrays.pop("facts")))
        yield Surveyed(facts["name"], facts["groups"], **arrays)


def _survey(lazy: LazyItem, corrector: Corrector, file: Path) -> None:
    item = lazy.load()
    given: list[FloatArray] = []

    def networks(ldr: FloatArray) -> tuple[FloatArray, FloatArray]:
        given[:] = corrector.runner(ldr)
        return given[0], given[1]

    scene = survey(item.ldr, networks)
    facts = json.dumps({"name": item.name, "groups": dict(item.groups)})
    arrays = {"x": scene.ldr, "y": given[0], "raw": given[1].clip(0, 1)}
    arrays |= {"weight": scene.weight, "noise": scene.noise}
    partial = file.with_suffix(".partial")
    with partial.open("wb") as target:
        np.savez(target, ldr=item.ldr, reference=item.reference, facts=facts, **arrays)
    partial.replace(file)


def rendered(picture: Surveyed, corrected: FloatArray) -> FloatArray:
    """Render the whole picture in guided detail with this T, in 0..1."""
    spec = spec_of(picture.ldr)
    tone = fit_tone_grid(
        picture.x, corrected, picture.weight, gray=False, wrap=False, codes=spec.coarse_codes
    )
    overviews = picture.x, picture.y, corrected, picture.weight, picture.noise
    return unit(render(Scene(spec, False, *overviews, tone), picture.ldr))


class Scores:
    """PSNR and SSIM of pictures, cached in a file by the digest of T."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._known: dict[str, list[float]] = json.loads(file.read_text()) if file.is_file() else {}

    def of(self, picture: Surveyed, corrected: FloatArray) -> tuple[float, float]:
        """Return PSNR (dB) and SSIM for a T, measured if they are not cached."""
        digest = hashlib.sha256(np.ascontiguousarray(corrected).tobytes()).hexdigest()
        key = f"{picture.name} {digest}"
        if key not in self._known:
            made, reference = rendered(picture, corrected), unit(picture.reference)
            self._known[key] = [psnr(made, reference), ssim(made, reference)]
        decibels, structure = self._known[key]
        return decibels, structure

    def keep(self) -> None:
        """Write the file."""
        self._file.write_text(json.dumps(self._known))


@dataclass(frozen=True)
class Result:
    """Result for one picture.

    Attributes:
        groups: column → value, for the means by group.
        off: exposure of the input relative to the reference, in EV.
        before: PSNR of the input in dB.
        psnr: PSNR of the result in dB.
        ssim: SSIM of the result.
    """

    groups: Mapping[str, str]
    off: float
    before: float
    psnr: float
    ssim: float

    @property
    def gain(self) -> float:
        """Gain of PSNR in dB."""
        return self.psnr - self.before


def results(
    pictures: Sequence[Surveyed],
    before: Mapping[str, tuple[float, float]],
    scores: Scores,
    variant: Variant,
) -> list[Result]:
    """Measure a variant; `before` has the inputs' exposure error and PSNR by name."""
    with ExitStack() as stack:
        for (module, name), value in variant.settings.items():
            stack.enter_context(mock.patch.object(module, name, value))
        made = [
            restraint.apply_rules(p.x, p.raw, p.weight, wrap=False, enlarged=False)
            for p in pictures
        ]
    found = [scores.of(p, corrected) for p, corrected in zip(pictures, made, strict=True)]
    scores.keep()
    return [
        Result(p.groups, *before[p.name], *score) for p, score in zip(pictures, found, strict=True)
    ]


def of_input(picture: Surveyed) -> tuple[float, float]:
    """Return the input's exposure error relative to the reference (EV), and its PSNR (dB)."""
    given, reference = unit(picture.ldr), unit(picture.reference)
    return exposure(given) - exposure(reference), psnr(given, reference)


Column = tuple[str, Callable[[Sequence[Result]], str]]


def _mean(values: Sequence[float], form: str) -> str:
    return format(float(np.mean(values)), form) if values else ""


def columns(rows: Sequence[Result]) -> list[Column]:
    """Return the headings of columns, and functions from a variant's results to a cell."""
    made: list[Column] = [
        (
            f"all {len(rows)}",
            lambda each: (
                f"{_mean([r.psnr for r in each], '.2f')} / " + _mean([r.ssim for r in each], ".4f")
            ),
        )
    ]
    for group in _GROUPS:
        for value in sorted({row.groups[group] for row in rows if group in row.groups}):
            made.append(
                (
                    value,
                    lambda each, group=group, value=value: _mean(  # type: ignore[misc]
                        [r.psnr for r in each if r.groups.get(group) == value], ".2f"
                    ),
                )
            )
    made.append(("well exposed", _well))
    return made


def _well(rows: Sequence[Result]) -> str:
    gains = np.array([row.gain for row in rows if abs(row.off) <= WITHIN])
    if not gains.size:
        return ""
    return f"{100 * (gains >= -0.5).mean():.0f} % of {gains.size}, {gains.mean():+.2f}"


def halves(pictures: Sequence[Surveyed], half: int | None) -> list[Surveyed]:
    """Return all pictures, or those of half of the scenes (tune on one half, test on the other)."""
    if half is None:
        return list(pictures)
    return [p for p in pictures if hashlib.sha256(_scene(p.name).encode()).digest()[0] % 2 == half]


def _scene(name: str) -> str:
    """Return the scene of an item: the folder of a pair, or the middle part of a view's name."""
    return name.split("/")[0] if "/" in name else name.split("_", 1)[-1].rsplit("_", 1)[0]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--cache", type=Path, required=True, help="folder for the networks' output, about 2 GB"
    )
    parser.add_argument("--pairs", type=Path, help="manifest of pairs")
    parser.add_argument("--hdr", type=Path, help="folder of HDR images")
    parser.add_argument("--model", default="default")
    parser.add_argument("--only", help="comma-separated names of variants (default: all)")
    parser.add_argument("--half", type=int, choices=(0, 1), help="use only this half of the scenes")
    options = parser.parse_args()
    names = options.only.split(",") if options.only else [v.name for v in VARIANTS]
    unknown = sorted(set(names) - {v.name for v in VARIANTS})
    if unknown:
        parser.error(f"unknown variant {', '.join(unknown)}; expected {[v.name for v in VARIANTS]}")
    corrector = Corrector(model=options.model)
    folder = options.cache / corrector.model_digest()[:16]
    sets: dict[str, list[LazyItem]] = {}
    if options.pairs:
        sets["pairs"] = Pairs(options.pairs).items()
    if options.hdr:
        sets["views"] = Views(options.hdr, 7, 200).items()
    with one_thread():
        for kind, items in sets.items():
            pictures = halves(list(surveyed(items, corrector, folder / kind)), options.half)
            before = {p.name: of_input(p) for p in pictures}
            scores = Scores(folder / f"{kind}.json")
            head: list[Column] = []
            for variant in VARIANTS:
                if variant.name not in names:
                    continue
                rows = results(pictures, before, scores, variant)
                if not head:
                    head = columns(rows)
                    print(f"\n| {kind} | " + " | ".join(name for name, _ in head) + " |")
                    print("|---|" + "---:|" * len(head))
                print(
                    f"| {variant.name} | " + " | ".join(c(rows) for _, c in head) + " |", flush=True
                )


if __name__ == "__main__":
    main()
