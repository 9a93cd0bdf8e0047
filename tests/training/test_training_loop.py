"""The training loop on two tiny scenes."""

from __future__ import annotations

import csv
import json
import math
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from strategies import picture
from tiny_scenes import data as data  # a fixture

from drht_plugin import Corrector, InputError, ReadError, WeightsError
from drht_plugin.bridge import transfer
from drht_plugin.model.networks import ARCHITECTURES, Drht, Estimate, fold_normalisation
from drht_plugin.model.weights import load_model
from drht_plugin.training.loop import (
    Trainer,
    draw_size,
    draw_view_size,
    load_start_weights,
    schedule,
    train,
)
from drht_plugin.training.losses import TERMS, losses, ssim
from drht_plugin.training.recipes import RECIPES, Recipe
from drht_plugin.training.scenes import load_scenes
from drht_plugin.training.triplets import Photographer, Triplets, render_triplets
from drht_plugin.virtual_camera import HdrImage

TINY = Recipe(minutes=0.03, megapixels=0.02, small=(64, 80), large=(64, 80))


@pytest.fixture(scope="module")
def finished(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    train([data], folder, TINY, device="cpu")
    return folder


def fixed_batch(data: Path) -> Triplets:
    """The same few triplets every time."""
    scenes: list[HdrImage] = load_scenes(data)
    photographer = Photographer(scenes, 0)
    plans = [photographer.view(2) for _ in range(3)]
    return render_triplets(scenes, plans, 64, 64, torch.Generator().manual_seed(0))


def rows(path: Path) -> list[dict[str, str]]:
    """A table with a header."""
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_run_leaves_everything(finished: Path) -> None:
    """A run writes checkpoint, log, validation table and weights; nothing is left half-written."""
    names = {path.name for path in finished.iterdir()}
    wanted = {"checkpoint.pt", "log.csv", "validation.csv", "weights.safetensors", "weights.json"}
    assert wanted <= names
    assert not any("partial" in name for name in names)
    log = rows(finished / "log.csv")
    assert [int(row["step"]) for row in log] == list(range(1, len(log) + 1))
    assert all(math.isfinite(float(row[n])) for row in log for n in TINY.loss)


def test_weights_of_a_run_work(finished: Path) -> None:
    """The weights load, describe their recipe, and correct a picture."""
    weights = finished / "weights.safetensors"
    assert isinstance(load_model(weights), Drht)
    description = json.loads(weights.with_suffix(".json").read_text())
    assert description["recipe"]["seed"] == TINY.seed
    assert description["progress"]["step"] == len(rows(finished / "log.csv"))
    image = picture(40, 60, 3, "uint8")
    result = Corrector(model=weights, device="cpu").correct(image)
    assert result.shape == image.shape


def test_a_run_is_not_overwritten(finished: Path, data: Path) -> None:
    """A second start in the same folder is refused, and nothing there changes."""
    before = {path.name: path.stat().st_mtime_ns for path in finished.iterdir()}
    with pytest.raises(InputError, match="already holds a run; resume it"):
        train([data], finished, TINY, device="cpu")
    assert {path.name: path.stat().st_mtime_ns for path in finished.iterdir()} == before


def test_resume(data: Path, tmp_path: Path) -> None:
    """A resumed run goes on counting; a finished one gives its weights again."""
    train([data], tmp_path, TINY, device="cpu")
    first = len(rows(tmp_path / "log.csv"))
    (tmp_path / "weights.safetensors").unlink()
    again = train([data], tmp_path, TINY, device="cpu", resume=True)
    assert again.is_file()
    assert len(rows(tmp_path / "log.csv")) == first
    # A slow machine may have spent far more than the budget on its last step.
    spent = float(rows(tmp_path / "log.csv")[-1]["seconds"])
    longer = replace(TINY, minutes=spent / 60 + TINY.minutes)
    train([data], tmp_path, longer, device="cpu", resume=True)
    log = rows(tmp_path / "log.csv")
    assert len(log) > first
    assert [int(row["step"]) for row in log] == list(range(1, len(log) + 1))
    assert float(log[-1]["seconds"]) > spent
    assert int(log[-1]["crops"]) > int(log[first - 1]["crops"])
    load_model(again)


def test_refused_runs(data: Path, tmp_path: Path) -> None:
    """No budget, nothing to resume, no scenes and a damaged checkpoint are refused by name."""
    for minutes in (0, -1.0):
        with pytest.raises(InputError, match=r"minutes is .*; expected more than 0"):
            train([data], tmp_path / "a", replace(TINY, minutes=minutes))
    with pytest.raises(InputError, match="no checkpoint to resume from"):
        train([data], tmp_path / "b", TINY, device="cpu", resume=True)
    with pytest.raises(InputError, match="term of the loss 'hdr-cubed' is unknown; expected hdr,"):
        train([data], tmp_path / "c", replace(TINY, loss={"hdr-cubed": 1.0}), device="cpu")
    with pytest.raises(InputError, match="the loss has no terms"):
        train([data], tmp_path / "c", replace(TINY, loss={}), device="cpu")
    with pytest.raises(InputError, match="no such folder"):
        train([tmp_path / "none"], tmp_path / "c", TINY, device="cpu")
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "checkpoint.pt").write_bytes(b"no checkpoint")
    with pytest.raises(ReadError, match=r"checkpoint\.pt: not a checkpoint"):
        train([data], tmp_path / "d", TINY, device="cpu", resume=True)


def test_checkpoint_holds_everything(data: Path, tmp_path: Path) -> None:
    """A trainer resumed from its checkpoint takes the next step as the first one would have."""
    batch = fixed_batch(data)
    first = Trainer(TINY, tmp_path, torch.device("cpu"))
    for _ in range(2):
        first.step(batch)
    first.save()
    second = Trainer(replace(TINY, seed=9), tmp_path, torch.device("cpu"))
    assert second.resume()
    assert second.progress == first.progress
    assert first.step(batch) == second.step(batch)
    for a, b in zip(first.average.parameters(), second.average.parameters(), strict=True):
        assert torch.equal(a, b)


def test_fixed_normalisation_goes_on_from_the_average(data: Path, tmp_path: Path) -> None:
    """Past `grow` the networks are the folded average, train on, and resume as such."""
    recipe = Recipe(minutes=1, grow=0.5, megapixels=0.01)
    trainer = Trainer(recipe, tmp_path, torch.device("cpu"))
    trainer.step(fixed_batch(data))
    before = trainer.average
    trainer.progress.seconds = 31
    terms = trainer.step(fixed_batch(data))
    assert trainer.progress.fixed_at == 1
    assert not any("norm" in name for name in trainer.model.state_dict())
    assert all(bool(v.isfinite()) for v in terms.values())
    ldr = fixed_batch(data).ldr
    with torch.no_grad():
        # One step at a new optimiser's first rate moves little.
        moved = (trainer.model(ldr).corrected - before(ldr).corrected).abs().mean()
    assert moved < 0.02
    trainer.save()
    again = Trainer(recipe, tmp_path, torch.device("cpu"))
    assert again.resume()
    with torch.no_grad():
        torch.testing.assert_close(again.model(ldr).y, trainer.model(ldr).y)
    assert again.progress == trainer.progress


def test_loss_falls(data: Path, tmp_path: Path) -> None:
    """Ten steps on one batch bring its loss down by a fifth, and the average follows."""
    batch = fixed_batch(data)
    trainer = Trainer(replace(TINY, warm_up=0.0), tmp_path, torch.device("cpu"))
    before = [p.clone() for p in trainer.average.parameters()]
    totals = [float(sum(trainer.step(batch).values())) for _ in range(12)]
    assert totals[-1] < 0.8 * totals[0]
    assert trainer.progress.step == 12
    assert trainer.progress.crops == 72
    moved = [
        float((a - b).abs().max())
        for a, b in zip(before, trainer.average.parameters(), strict=True)
    ]
    assert min(moved) > 0


def test_seed_decides_the_networks(tmp_path: Path) -> None:
    """The recipe's seed decides where training starts."""
    a, b, c = (Trainer(replace(TINY, seed=s), tmp_path, torch.device("cpu")) for s in (3, 3, 4))
    one, two, other = (next(t.model.parameters()) for t in (a, b, c))
    assert torch.equal(one, two)
    assert not torch.equal(one, other)


def test_schedule() -> None:
    """The rate rises to its peak by the end of the warm-up and falls to 0 at the end."""
    rates = [schedule(f, 0.1) for f in np.linspace(0, 1, 101)]
    assert int(np.argmax(rates)) == 10
    assert abs(rates[10] - 1) < 1e-9
    assert all(a <= b for a, b in pairwise(rates[:11]))
    assert all(a > b for a, b in pairwise(rates[10:]))
    assert rates[0] > 0
    assert abs(rates[-1]) < 1e-9


def test_start_begins_from_a_model(data: Path, tmp_path: Path) -> None:
    """A run from a model's weights begins with them, folded, and goes on with them when resumed."""
    recipe = replace(TINY, start="default")
    trainer = Trainer(recipe, tmp_path, torch.device("cpu"))
    shipped = load_model("default").state_dict()
    for network in (trainer.model, trainer.average):
        state = network.state_dict()
        assert state.keys() >= shipped.keys()
        assert all(torch.equal(state[name], shipped[name]) for name in shipped)
    assert trainer.large_views
    trainer.step(fixed_batch(data))
    trainer.save()
    resumed = Trainer(recipe, tmp_path, torch.device("cpu"))
    assert resumed.resume()
    changed = resumed.model.state_dict()
    assert all(torch.equal(v, changed[k]) for k, v in trainer.model.state_dict().items())
    assert any(not torch.equal(v, changed[k]) for k, v in shipped.items())


def test_start_from_other_networks() -> None:
    """A run does not begin from a model whose networks are another's; a gain may be added."""
    wide = Drht(ARCHITECTURES["drht-wide-2"])
    plain, gained = (fold_normalisation(Drht(ARCHITECTURES[f"drht-d-{i}"])) for i in (1, 2))
    with pytest.raises(WeightsError, match="has other networks"):
        load_start_weights(fold_normalisation(wide), gained)
    with pytest.raises(WeightsError, match="has other networks"):
        load_start_weights(gained, plain)
    load_start_weights(plain, gained)
    x = torch.rand(1, 3, 64, 64)
    assert torch.equal(plain(x).corrected, gained(x).corrected)


def test_the_papers_recipe(data: Path, tmp_path: Path) -> None:
    """It trains the paper's networks by squared errors, which the truth brings to nothing."""
    recipe = replace(RECIPES["paper"], minutes=0.01, megapixels=0.01, small=(64, 64))
    weights = train([data], tmp_path, recipe, device="cpu")
    assert load_model(weights).hdr_estimation.gain is None
    truth = fixed_batch(data)
    y = transfer.ALPHA * truth.true_hdr**transfer.GAMMA
    right = losses(Estimate(y, truth.true_ldr), truth, recipe.loss)
    assert sum(float(value) for value in right.values()) < 1e-9
    off = losses(Estimate(y + 0.1, truth.true_ldr - 0.2), truth, recipe.loss)
    assert abs(float(off["hdr-squared"]) - 0.01) < 1e-5
    assert abs(float(off["ldr-squared"]) - 0.04) < 1e-5


def test_given_sizes() -> None:
    """A recipe's own sizes are all drawn, and no others."""
    random = np.random.default_rng(0)
    for recipe in RECIPES.values():
        drawn = {draw_view_size(recipe, random, large_views=True) for _ in range(200)}
        assert drawn == set(recipe.sizes) or not recipe.sizes
        assert all(side % 32 == 0 for size in drawn for side in size)


def test_sizes() -> None:
    """Views are multiples of 32, between 1:2 and 2:1 or so, of the recipe's area."""
    random, recipe = np.random.default_rng(0), Recipe()
    for limits in (recipe.small, recipe.large):
        sizes = [draw_size(random, limits) for _ in range(200)]
        assert all(side % 32 == 0 for size in sizes for side in size)
        roots = [(h * w) ** 0.5 for h, w in sizes]
        assert limits[0] - 24 < min(roots)
        assert max(roots) < limits[1] + 24
        assert 1.5 < max(h / w for h, w in sizes) < 3
        assert 1.5 < max(w / h for h, w in sizes) < 3


@pytest.mark.parametrize("name", TERMS)
def test_perfect_estimate_has_no_loss(data: Path, name: str) -> None:
    """Of every term: the truth itself costs least, and an error in what it looks at costs more."""
    truth = fixed_batch(data)
    truth = replace(truth, source_clipped=torch.zeros_like(truth.source_clipped))
    y = transfer.ALPHA * truth.true_hdr**transfer.GAMMA

    def cost(y: torch.Tensor, t: torch.Tensor) -> float:
        return float(losses(Estimate(y, t), truth, {name: 2.0})[name])

    perfect = cost(y, truth.true_ldr)
    off = torch.tensor([0.1, -0.05, 0.2]).view(1, 3, 1, 1)
    wrong = cost(y * 1.2, truth.true_ldr), cost(y, (truth.true_ldr - off))
    looks_at_hdr = name.startswith("hdr")
    assert wrong[not looks_at_hdr] > perfect + 1e-5 or name == "gradients"
    assert abs(wrong[looks_at_hdr] - perfect) < 1e-6
    if name == "gradients":
        ramp = torch.linspace(0, 0.3, truth.ldr.shape[-1])
        assert cost(y, truth.true_ldr + ramp) > perfect + 1e-5
    if name != "log-mse":
        assert abs(perfect) < 1e-4


def test_clipped_source_is_not_counted(data: Path) -> None:
    """What the source itself does not know costs the HDR estimate nothing, and T less."""
    truth = fixed_batch(data)
    hidden = replace(truth, source_clipped=torch.ones_like(truth.source_clipped))
    seen = replace(truth, source_clipped=torch.zeros_like(truth.source_clipped))
    y = transfer.ALPHA * truth.true_hdr**transfer.GAMMA
    wrong = Estimate(y * 3, truth.true_ldr * 0.9)
    loss = {"hdr": 0.5, "hdr-log": 0.05, "hdr-clipped": 0.15, "ldr": 1.0}
    ignored, counted = (losses(wrong, t, loss) for t in (hidden, seen))
    assert all(float(ignored[name]) == 0 for name in ("hdr", "hdr-log", "hdr-clipped"))
    assert all(float(counted[name]) > 0 for name in ("hdr", "hdr-log", "hdr-clipped"))
    assert 0 < float(ignored["ldr"]) < 0.5 * float(counted["ldr"])


def test_too_dark_costs_more_where_the_input_is_clipped(data: Path) -> None:
    """A grey sky costs more than a white one as far from the truth."""
    truth = fixed_batch(data)
    truth = replace(truth, ldr=torch.ones_like(truth.ldr))
    y = transfer.ALPHA * truth.true_hdr**transfer.GAMMA
    for name, part in (("ldr", 1), ("hdr-clipped", 0)):
        dark, bright = (
            losses(
                Estimate(y * 2**-step if part == 0 else y, truth.true_ldr - part * step),
                truth,
                {name: 1.0},
            )[name]
            for step in (0.2, -0.2)
        )
        assert dark > 1.5 * bright > 0, name


def test_the_most_likely_colour_costs_least() -> None:
    """Of skies, three of five blue, blue costs least and the mean most."""
    blue, white = torch.tensor([0.4, 0.6, 0.95]), torch.tensor([0.9, 0.9, 0.9])
    sky = torch.stack([blue, blue, blue, white, white]).view(5, 3, 1, 1).expand(5, 3, 16, 16)
    clipped = torch.ones(5, 3, 16, 16)
    truth = Triplets(clipped, clipped, sky, torch.zeros(5, 1, 16, 16))

    def cost(colour: torch.Tensor) -> float:
        guess = colour.view(1, 3, 1, 1).expand(5, 3, 16, 16)
        return float(
            losses(Estimate(clipped, guess), truth, {"likely-colour": 1.0})["likely-colour"]
        )

    assert cost(blue) < cost(white) < cost(0.6 * blue + 0.4 * white)
    dark = replace(truth, ldr=torch.full_like(clipped, 0.5))
    assert (
        float(losses(Estimate(clipped, clipped), dark, {"likely-colour": 1.0})["likely-colour"])
        == 0
    )


def test_ssim() -> None:
    """SSIM is 1 for equal pictures, falls with noise, and is near 0 for unlike ones."""
    a = torch.rand(1, 3, 40, 40, generator=torch.Generator().manual_seed(0))
    b = torch.rand(1, 3, 40, 40, generator=torch.Generator().manual_seed(1))
    assert abs(float(ssim(a, a)) - 1) < 1e-5
    assert ssim(a, a) > ssim(a, (a + 0.1 * b).clamp(0, 1)) > ssim(a, b)
    assert abs(float(ssim(a, b))) < 0.2
