"""Some seconds of the fuzz suite; `python -m tests.fuzz` runs as long as one likes."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from drht_plugin.io import readable_suffixes

from . import limits
from .children import GOOD, ROOT, Child
from .hostile import HOSTILE
from .inputs import Case, Inputs
from .suite import inputs, run

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="the limits of memory are Linux's"
)

FAULTS = sorted(
    file
    for file in (ROOT.parent / "shared" / "faults").glob("*")
    if file.suffix in readable_suffixes()
)

_SEED, _MUTATED = 20261127, 150


@pytest.fixture(scope="module")
def maker(tmp_path_factory: pytest.TempPathFactory) -> Inputs:
    return inputs(_SEED, tmp_path_factory.mktemp("seeds"))


@pytest.fixture(scope="module")
def child() -> Iterator[Child]:
    kept = Child()
    yield kept
    kept.close()


@pytest.mark.parametrize("number", range(len(HOSTILE)), ids=[label for label, *_ in HOSTILE])
def test_hostile(number: int, maker: Inputs, child: Child) -> None:
    """A file made to take memory, time or a traceback is read or refused by name, within limits."""
    verdict = child.take(maker.case(number))
    assert verdict.name in GOOD, verdict.why


@pytest.mark.parametrize("file", FAULTS or [None], ids=lambda file: file.name if file else "none")
def test_known_faults(file: Path | None, child: Child) -> None:
    """Files that once took memory, time or a traceback are read or refused by name."""
    if file is None:
        pytest.skip("no ../shared/faults")
    verdict = child.take(Case(0, "picture", file.name, {f"a{file.suffix}": file.read_bytes()}))
    assert verdict.name in GOOD, verdict.why
    if file.name.startswith(("b_", "tile_", "hugedim")):
        assert verdict.name == "refused"


def test_mutated(maker: Inputs) -> None:
    """Mutated files, profiles, weights, journals and streams are taken or refused; none breaks."""
    numbers = range(len(HOSTILE), len(HOSTILE) + _MUTATED)
    results = list(run(maker, numbers, 600))
    assert [(each.case.number, each.verdict) for each in results if not each.good] == []
    assert len(results) == _MUTATED
    assert {each.case.kind for each in results} >= {"picture", "profile", "weights", "worker"}
    verdicts = {each.verdict.name for each in results if each.case.kind == "picture"}
    assert verdicts == set(GOOD)


def test_faults_are_seen(child: Child, maker: Inputs, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each kind of fault is seen for what it is, and the next input is taken as ever."""
    for fault in ("memory", "changed", "leftover", "unclear", "traceback", "crash", "hang"):
        if fault == "hang":
            monkeypatch.setattr(limits, "SECONDS", 0.5)
        seen = child.take(Case(0, "broken", fault, {"a.txt": fault.encode()}))
        assert (fault, seen.name) == (fault, fault)
    monkeypatch.undo()
    assert child.take(maker.case(len(HOSTILE) - 1)).name in GOOD


def test_the_same_number_gives_the_same_input(maker: Inputs, tmp_path: Path) -> None:
    """A case is made from seed and number alone, so that a fault can be made again."""
    again = inputs(_SEED, tmp_path)
    for number in (0, len(HOSTILE) + 7, 5000):
        first, second = maker.case(number), again.case(number)
        assert (first.kind, first.label) == (second.kind, second.label)
        if first.kind != "journal":
            assert first.files == second.files
