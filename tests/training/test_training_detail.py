"""Training of the detail network, on two tiny scenes."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_scenes import data as data  # a fixture
from torch.nn import functional as F

from drht_plugin import InputError, ReadError
from drht_plugin.bridge.sizes import CELL, PLANES
from drht_plugin.model.detail_network import DetailNetwork, detail_network
from drht_plugin.model.runner import Runner
from drht_plugin.model.weights import DETAIL_ARCHITECTURE, load_weights
from drht_plugin.training.detail_draws import SampleStream, load_samples
from drht_plugin.training.detail_loop import DetailRecipe, DetailTrainer, Pool, train_detail
from drht_plugin.training.detail_samples import (
    Sample,
    Sampler,
    detail_target,
    to_cells,
    to_pixels,
)
from drht_plugin.training.scenes import load_scenes
from drht_plugin.virtual_camera import HdrImage

TINY = DetailRecipe(minutes=0.02, crop=96, batch=2, pool=4)


@pytest.fixture(scope="module")
def sampler(data: Path) -> Sampler:
    return Sampler(load_scenes(data), Runner("default", "cpu"), 3)


@pytest.fixture(scope="module")
def finished(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    train_detail([data], folder, TINY, device="cpu", validation=data)
    return folder


def test_a_run_leaves_weights_and_a_log(finished: Path) -> None:
    """A finished run holds weights that load into the network, and a log of every step."""
    load_weights(finished / "weights-detail.safetensors", {DETAIL_ARCHITECTURE: DetailNetwork})
    with (finished / "log.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["step"]) for row in rows] == list(range(1, len(rows) + 1))
    assert (finished / "validation.csv").stat().st_size > 0


def test_a_run_is_resumed_or_refused(finished: Path, data: Path, tmp_path: Path) -> None:
    """A folder with a run is not overwritten; resuming goes on, and wants a sound checkpoint."""
    with pytest.raises(InputError, match="already holds a run"):
        train_detail([data], finished, TINY, device="cpu")
    with pytest.raises(InputError, match="no checkpoint"):
        train_detail([data], tmp_path, TINY, device="cpu", resume=True)
    (tmp_path / "checkpoint.pt").write_bytes(b"nothing")
    with pytest.raises(ReadError, match="not a checkpoint"):
        train_detail([data], tmp_path, TINY, device="cpu", resume=True)
    trainer = DetailTrainer(TINY, finished, torch.device("cpu"))
    trainer.resume()
    assert trainer.progress.step > 0
    with pytest.raises(InputError, match="workers is -1"):
        train_detail([data], tmp_path, TINY, device="cpu", workers=-1)
    with pytest.raises(InputError, match="minutes is 0"):
        train_detail([data], tmp_path, replace(TINY, minutes=0), device="cpu")


def test_steps_bring_noise_down(tmp_path: Path) -> None:
    """On a noisy shot of a smooth scene the network comes closer to the clean picture."""
    light = torch.linspace(0.05, 1, 160).expand(3, 128, 160)
    smooth = HdrImage("smooth", torch.cat([light, torch.zeros(1, 128, 160)]).half(), False)
    sampler = Sampler([smooth], Runner("default", "cpu"), 3)
    shot = replace(sampler.photographer.shot(-2.0), shot_noise=1e-2, read_noise=5e-3, jpeg=0)
    plan = replace(sampler.photographer.view(0), shots=(shot,))
    (sample,) = sampler.picture(plan, (128, 160), 1.0, 1.0)
    recipe = replace(TINY, minutes=10, learning_rate=3e-4)
    trainer = DetailTrainer(recipe, tmp_path, torch.device("cpu"))
    trainer.progress.seconds = 60.0
    batch = Sample(*(part[None] for part in sample))
    values = [float(trainer.step(batch)) for _ in range(30)]
    assert values[-1] < 0.95 * values[0]


def test_what_the_network_sees_is_what_render_gives_it(sampler: Sampler) -> None:
    """Guided T of a sample is what its planes hold as guided T."""
    for sample in sampler.draw():
        planes = sample.planes.reshape(CELL * CELL, PLANES, *sample.planes.shape[1:])
        guided = sample.guided.reshape(4, 3, *sample.guided.shape[1:])
        assert torch.equal(planes[:, 12:15], guided)
        assert sample.target.shape == sample.guided.shape == sample.true_ldr.shape


def test_the_target_has_the_truths_detail_in_guided_tone() -> None:
    """A tone that differs is kept, a detail that differs is not."""
    truth = F.avg_pool2d(torch.rand(1, 3, 70, 90), 7, 1) * 0.8
    assert torch.allclose(detail_target(truth + 0.1, truth), truth + 0.1, atol=1e-6)
    lines = torch.tensor([0.02, -0.02]).repeat(42)
    assert (detail_target(truth + lines, truth) - truth).abs().mean() < 2e-3


def test_a_run_begins_from_a_model(tmp_path: Path) -> None:
    """With a start the network is the model's; without one it begins as guided detail."""
    device = torch.device("cpu")
    shipped = detail_network("default").state_dict()
    begun = DetailTrainer(replace(TINY, start="default"), tmp_path, device).model.state_dict()
    assert all(torch.equal(begun[name], shipped[name]) for name in shipped)
    assert not DetailTrainer(TINY, tmp_path, device).model.project.weight.any()


@settings(deadline=None, max_examples=20)
@given(st.integers(1, 5), st.integers(1, 5), st.integers(1, 3))
def test_places_hold_all_pixels(rows: int, columns: int, batch: int) -> None:
    """Laying pixels out as the network does loses nothing, and keeps their order."""
    picture = torch.rand(batch, 3, 2 * rows, 2 * columns)
    places = to_cells(picture)
    assert places.shape == (batch, 12, rows, columns)
    assert torch.equal(to_pixels(places), picture)
    assert torch.equal(places[:, 3:6, 0, 0], picture[:, :, 0, 1])


def test_processes_draw_alike_and_apart(data: Path) -> None:
    """Of two processes, the first draws what this one would, the second something else."""
    scenes = load_scenes(data)
    by_two = load_samples(SampleStream(scenes, "default", 5), 2)
    first, second = next(by_two)[0], next(by_two)[0]
    alone = next(load_samples(SampleStream(scenes, "default", 5), 0))[0]
    assert torch.equal(first.true_ldr, alone.true_ldr)
    # The networks round by the number of threads.
    assert torch.allclose(first.guided, alone.guided, atol=0.03)
    assert first.true_ldr.shape != second.true_ldr.shape or not torch.equal(
        first.true_ldr, second.true_ldr
    )


def test_crops_lie_on_the_stride(sampler: Sampler) -> None:
    """Every crop is a part of one picture."""
    pool = Pool(TINY, iter(sampler.draw, None), 1, torch.device("cpu"))
    pool.fill(2)
    batch = pool.batch()
    assert isinstance(batch, Sample)
    assert batch.planes.shape == (2, PLANES * CELL * CELL, 48, 48)
