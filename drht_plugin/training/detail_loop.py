"""`drht train-detail`: the detail network, on crops of shots with their surveys."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from drht_plugin.bridge.sizes import CELL, DETAIL_STRIDE
from drht_plugin.errors import InputError
from drht_plugin.model.detail_network import DetailNetwork, detail_network
from drht_plugin.model.device import choose_device, tune_allocator
from drht_plugin.model.locate import detail_of, locate
from drht_plugin.model.runner import Runner
from drht_plugin.model.weights import DETAIL_ARCHITECTURE, save_model
from drht_plugin.training.checkpoint import Run
from drht_plugin.training.detail_draws import Draws, drawn
from drht_plugin.training.detail_samples import Sample, Sampler, to_pixels
from drht_plugin.training.log import StepLog, append_row
from drht_plugin.training.loop import schedule
from drht_plugin.training.losses import ssim
from drht_plugin.training.scenes import load_scenes
from drht_plugin.training.triplets import Photographer

_EDGE = 16
"""Pixels at the border of a training crop that do not count: their surroundings are cut off."""

_FIRST = 32
"""Pictures in the pool before the first step."""

_WATCHED = 18
"""Pictures that validation looks at, under, normal and over in turn."""


@dataclass(frozen=True)
class DetailRecipe:
    """Everything that decides what training gives; stored with the weights.

    minutes: budget, over all resumed runs. learning_rate: Adam's peak, after `warm_up` of the
    budget, then a cosine to zero. crop: side of a crop in pixels; batch: crops in a step. pool:
    pictures that crops are drawn from; fresh: steps in which one view (two pictures) is renewed.
    averaging: decay of the weights' moving average. start: a model whose detail network the run
    begins from, in place of fresh weights. structure: weight of 1 − SSIM in the loss.
    """

    minutes: float = 60.0
    seed: int = 1
    learning_rate: float = 1.5e-3
    warm_up: float = 0.02
    crop: int = 192
    batch: int = 6
    pool: int = 160
    fresh: int = 4
    averaging: float = 0.998
    clip_gradient: float = 0.5
    start: str = ""
    structure: float = 0.5


RECIPES = {
    "default": DetailRecipe(),
    "gpu": DetailRecipe(
        minutes=6.0, seed=31, batch=16, pool=480, fresh=1, averaging=0.9995, start="default"
    ),
}
"""default: fresh weights on a CPU. gpu: on from the shipped ones, minutes on a large GPU with
many cores beside it (`--workers`). How those that ship were made, their model card says."""


def loss(corrected: Tensor, target: Tensor, structure: float) -> Tensor:
    """Distance of B×3×H×W pictures, their gradients and their structure."""
    error = (corrected - target).abs().mean()
    gradients = torch.stack(
        [(corrected.diff(dim=d) - target.diff(dim=d)).abs().mean() for d in (-1, -2)]
    ).sum()
    return error + 0.25 * gradients + structure * (1 - ssim(corrected, target))


@dataclass
class Progress:
    """How far a run is; saved in every checkpoint."""

    step: int = 0
    seconds: float = 0.0


class DetailTrainer(Run[DetailNetwork, DetailRecipe, Progress]):
    """A run of the detail network."""

    def __init__(self, recipe: DetailRecipe, folder: Path, device: torch.device) -> None:
        make = partial(detail_network, recipe.start) if recipe.start else DetailNetwork
        super().__init__(make, recipe, Progress(), folder, device)

    def step(self, batch: Sample) -> Tensor:
        """One optimiser step on a batch of crops; the loss, on the device."""
        rate = self.recipe.learning_rate * schedule(self.fraction, self.recipe.warm_up)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        batch = Sample(*(part.to(self.device) for part in batch))
        with torch.autocast(self.device.type, torch.bfloat16):
            lacking = self.model(batch.planes.float().to(memory_format=torch.channels_last))
        inside = (..., slice(_EDGE, -_EDGE), slice(_EDGE, -_EDGE))
        corrected = to_pixels(batch.guided.float() + lacking)
        target = to_pixels(batch.target.float())[inside]
        value = loss(corrected[inside], target, self.recipe.structure)
        self.optimiser.zero_grad(set_to_none=True)
        value.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), self.recipe.clip_gradient)
        self.optimiser.step()
        self.progress.step += 1
        decay = min(self.recipe.averaging, self.progress.step / (self.progress.step + 9))
        with torch.no_grad():
            torch._foreach_lerp_(
                list(self.average.parameters()), list(self.model.parameters()), 1 - decay
            )
        return value.detach()


class Pool:
    """The pictures that crops are drawn from; the oldest make way.

    draws: gives the pictures of one view after another. They are kept on `device`.
    """

    def __init__(
        self, recipe: DetailRecipe, draws: Iterator[list[Sample]], seed: int, device: torch.device
    ) -> None:
        self._recipe, self._draws, self._device = recipe, draws, device
        self._random = np.random.default_rng(seed)
        self._samples: list[Sample] = []

    def batch(self) -> Sample:
        """Random crops, each of a random picture."""
        crops = [
            self._crop(self._random.integers(len(self._samples))) for _ in range(self._recipe.batch)
        ]
        return Sample(*(torch.stack(parts) for parts in zip(*crops, strict=True)))

    def fill(self, count: int) -> None:
        """Draw views until there are so many pictures."""
        while len(self._samples) < count:
            self.renew()

    def renew(self) -> None:
        """Add the shots of one more view, as far as they are large enough for a crop."""
        least = self._recipe.crop // CELL
        fitting = [
            # Cloned, as memory shared with another process holds a file open.
            Sample(*(part.to(self._device, copy=True) for part in sample))
            for sample in next(self._draws)
            if min(sample.planes.shape[1:]) >= least
        ]
        self._samples = (self._samples + fitting)[-self._recipe.pool :]

    def _crop(self, index: np.integer) -> Sample:
        sample = self._samples[index]
        side, step = self._recipe.crop // CELL, DETAIL_STRIDE // CELL
        top, left = (
            step * int(self._random.integers((n - side) // step + 1))
            for n in sample.planes.shape[1:]
        )
        return Sample(*(t[:, top : top + side, left : left + side] for t in sample))


def train_detail(
    data: Sequence[Path],
    folder: Path,
    recipe: DetailRecipe,
    *,
    model: str = "default",
    validation: Path | None = None,
    device: str = "auto",
    resume: bool = False,
    report_seconds: float = 120.0,
    workers: int = 0,
) -> Path:
    """Train on the scenes of `data` (folders and packs), with the surveys of `model`.

    Pictures are drawn, on the CPU, by so many `workers`, processes of their own, or in turn with
    the steps where there are none.

    Into `folder` go checkpoint.pt, log.csv and validation.csv, renewed every `report_seconds`,
    and at the end weights-detail.safetensors and its .json, whose path is returned. Images whose
    licence is unsure are left out.

    Raises:
        InputError: no scenes, a recipe out of range, or a run to resume that is not there.
        ReadError: a scene or the checkpoint cannot be read.
        WeightsError: damaged weights of the model.
    """
    if recipe.minutes <= 0:
        raise InputError(f"minutes is {recipe.minutes}; expected more than 0")
    if workers < 0:
        raise InputError(f"workers is {workers}; expected 0 or more")
    chosen = choose_device(device)
    tune_allocator()
    folder.mkdir(parents=True, exist_ok=True)
    trainer = DetailTrainer(recipe, folder, chosen)
    trainer.begin(resume=resume)
    scenes = load_scenes(*data, free_only=True)
    watched = list(_watched(validation, Runner(model, device))) if validation else []
    print(f"{len(scenes)} scenes, {chosen}, {recipe}", flush=True)
    draws = drawn(Draws(scenes, model, _stream(trainer)), workers)
    try:
        _run(trainer, draws, watched, report_seconds)
    except KeyboardInterrupt:
        trainer.save()
        raise
    path = folder / "weights-detail.safetensors"
    facts = {
        "recipe": asdict(recipe),
        "survey": str(model),
        "start_sha256": _digest(recipe.start),
        "scenes": len(scenes),
        "progress": asdict(trainer.progress),
        "device": str(chosen),
        "torch": torch.__version__,
    }
    save_model(trainer.average, path, facts, DETAIL_ARCHITECTURE)
    return path


def _digest(start: str) -> str:
    """SHA-256 of the weights that a run begins from; empty for fresh ones."""
    if not start:
        return ""
    return hashlib.sha256(detail_of(locate(start)).read_bytes()).hexdigest()


def _stream(trainer: DetailTrainer) -> int:
    """Seed of what is drawn: resumed runs draw on, rather than again."""
    return trainer.recipe.seed * 1_000_003 + trainer.progress.step


def _run(
    trainer: DetailTrainer,
    draws: Iterator[list[Sample]],
    watched: Sequence[Sample],
    report_seconds: float,
) -> None:
    """Train until the budget is spent, saving and reporting every `report_seconds`."""
    recipe = trainer.recipe
    pool = Pool(recipe, draws, _stream(trainer), trainer.device)
    pool.fill(min(_FIRST, recipe.pool))
    log = StepLog(trainer.folder)
    reported = started = time.monotonic()
    while trainer.fraction < 1:
        if trainer.progress.step % recipe.fresh == 0:
            pool.renew()
        value = trainer.step(pool.batch())
        now = time.monotonic()
        trainer.progress.seconds += now - started
        started = now
        log.add(asdict(trainer.progress), {"loss": value})
        if trainer.fraction == 1 or time.monotonic() - reported > report_seconds:
            reported = time.monotonic()
            log.flush()
            trainer.save()
            if watched:
                _report(trainer, watched)
            started = time.monotonic()


def _watched(path: Path, runner: Runner) -> Iterator[Sample]:
    """Fixed shots of fixed views, at up-factors 1, 1 and 4 in turn."""
    scenes = load_scenes(path)
    sampler = Sampler(scenes, runner, 1234)
    photographer = Photographer(scenes, 1234)
    for i in range(_WATCHED):
        shot = photographer.shot((-2.2, 0.0, 2.0)[i % 3])
        plan = replace(photographer.view(0, i % len(scenes)), shots=(shot,))
        yield from sampler.picture(plan, (320, 320), 4.0 if i // 3 % 3 == 2 else 1.0, 1.0)


@torch.no_grad()
def _report(trainer: DetailTrainer, watched: Sequence[Sample]) -> None:
    rows = []
    for sample in watched:
        target = to_pixels(sample.true_ldr[None].float())
        guided = to_pixels(sample.guided[None].float())
        planes = sample.planes[None].float().to(trainer.device)
        with torch.autocast(trainer.device.type, torch.bfloat16):
            lacking = trainer.average(planes).cpu()
        corrected = (guided + to_pixels(lacking)).clamp(0, 1)
        rows.append(
            [
                value
                for picture in (guided, corrected)
                for value in (
                    -10 * math.log10(float(((picture - target) ** 2).mean())),
                    float(ssim(picture, target)),
                )
            ]
        )
    means = np.array(rows).reshape(-1, 3, 4).mean(0)
    row: dict[str, float] = {
        "minutes": round(trainer.progress.seconds / 60, 2),
        "step": trainer.progress.step,
    }
    for name, values in zip(("under", "normal", "over"), means, strict=True):
        for column, value in zip(("guided", "guided_ssim", "psnr", "ssim"), values, strict=True):
            row[f"{name}_{column}"] = round(float(value), 4)
    append_row(trainer.folder / "validation.csv", row)
    print(row, flush=True)
