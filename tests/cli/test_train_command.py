"""`drht train`: from its options to a recipe."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from drht_plugin.cli import main
from drht_plugin.training import loop
from drht_plugin.training.recipes import RECIPES, Recipe


def told(monkeypatch: pytest.MonkeyPatch, *options: str) -> Recipe:
    """The recipe that a command gives the training."""
    seen: list[Recipe] = []

    def train(data: list[Path], out: Path, recipe: Recipe, **_others: Any) -> Path:
        assert data == [Path("data"), Path("more")]
        seen.append(recipe)
        return out

    monkeypatch.setattr(loop, "train", train)
    assert main(["train", "data", "more", "--out", "out", *options]) == 0
    return seen[0]


def test_recipes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A named recipe is taken whole, but for what is said beside it."""
    assert told(monkeypatch) == RECIPES["default"]
    paper = told(monkeypatch, "--recipe", "paper", "--minutes", "20")
    assert (paper.architecture, paper.loss, paper.learning_rate, paper.minutes) == (
        "drht-paper-1",
        {"hdr-squared": 1.0, "ldr-squared": 1.0},
        1e-2,
        20,
    )
    other = told(monkeypatch, "--recipe", "paper", "--learning-rate", "1e-3", "--seed", "4")
    assert (other.learning_rate, other.seed, other.loss) == (1e-3, 4, paper.loss)
    gpu = told(monkeypatch, "--recipe", "gpu", "--term", "gradients=0", "--term", "ldr=0.5")
    assert gpu.loss == {
        name: 0.5 if name == "ldr" else weight
        for name, weight in RECIPES["gpu"].loss.items()
        if name != "gradients"
    }
    assert (gpu.start, gpu.mix) == ("default", RECIPES["gpu"].mix)
    assert told(monkeypatch, "--architecture", "drht-p2-2").architecture == "drht-p2-2"


def test_terms_are_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    """A term without a number ends with code 2 and says what is expected."""
    assert main(["train", "data", "--out", "out", "--term", "ldr"]) == 2
    assert "--term is 'ldr'; expected NAME=WEIGHT" in capsys.readouterr().err


def test_unknown_architecture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A name that is none ends with code 2, names those that are, and leaves nothing."""
    out = tmp_path / "run"
    assert main(["train", str(tmp_path), "--out", str(out), "--architecture", "vgg"]) == 2
    said = capsys.readouterr().err
    assert "'vgg' is unknown" in said
    assert "drht-d-2" in said
    assert not out.exists()
