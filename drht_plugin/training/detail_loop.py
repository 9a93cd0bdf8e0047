"""Train the detail network on crops of shots (`drht train-detail`)."""

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
from drht_plugin.training.detail_draws import SampleStream, load_samples
from drht_plugin.training.detail_samples import Sample, Sampler, to_pixels
from drht_plugin.training.log import StepLog, append_row
from drht_plugin.training.loop import schedule
from drht_plugin.training.losses import ssim
from drht_plugin.training.scenes import load_scenes
from drht_plugin.training.triplets import Photographer

_EDGE = 16
"""Pixels at the border of a crop that the loss ignores, since their surroundings are missing."""

_FIRST = 32
"""Pictures in the pool before the first step."""

_VALIDATION_PICTURES = 18
"""Pictures that validation uses, in the order under-, normally and over-exposed."""


@dataclass(frozen=True)
class DetailRecipe:
    """All settings of a training run; stored with the weights.

    Attributes:
        minutes: training time, over all resumed runs.
        seed: seed for weights, views and noise.
        learning_rate: Adam's peak learning rate; it then falls to zero along a cosine.
        warm_up: share of the training time in which the learning rate rises to its peak.
        crop: side of a crop in pixels.
        batch: crops per step.
        pool: number of pictures that crops are taken from.
        fresh: a new view (two pictures) enters the pool every this many steps.
        averaging: decay of the moving average of the weights.
        clip_gradient: largest norm of the gradient.
        start: model whose detail network the run starts from; empty for random weights.
        structure: weight of 1 − SSIM in the loss.
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
"""Recipes by name. default: from scratch, on a CPU. gpu: fine-tune the shipped weights, in minutes
on a large GPU with many CPU cores (`--workers`). The model card describes the shipped weights."""


def loss(corrected: Tensor, target: Tensor, structure: float) -> Tensor:
    """Return the training loss: errors of pixels, of their gradients and of structure.

    Args:
        corrected: B×3×H×W output, display codes in 0..1.
        target: B×3×H×W target, display codes in 0..1.
        structure: weight of 1 − SSIM.

    Returns:
        Scalar tensor: mean |error| + 0.25 · mean |error of gradients| + structure · (1 − SSIM).
    """
    error = (corrected - target).abs().mean()
    gradients = torch.stack(
        [(corrected.diff(dim=d) - target.diff(dim=d)).abs().mean() for d in (-1, -2)]
    ).sum()
    return error + 0.25 * gradients + structure * (1 - ssim(corrected, target))


@dataclass
class Progress:
    """How far a run is; saved in every checkpoint.

    Attributes:
        step: steps taken.
        seconds: training time that has passed.
    """

    step: int = 0
    seconds: float = 0.0


class DetailTrainer(Run[DetailNetwork, DetailRecipe, Progress]):
    """Training run of the detail network.

    Args:
        recipe: settings of the run.
        folder: existing folder for the checkpoint and logs.
        device: where the network is trained.
    """

    def __init__(self, recipe: DetailRecipe, folder: Path, device: torch.device) -> None:
        make = partial(detail_network, recipe.start) if recipe.start else DetailNetwork
        super().__init__(make, recipe, Progress(), folder, device)

    def step(self, batch: Sample) -> Tensor:
        """Take one optimiser step.

        Args:
            batch: crops, stacked along a first axis.

        Returns:
            The loss, a scalar on the device, which may still be computing it.
        """
        rate = self.recipe.learning_rate * schedule(self.fraction, self.recipe.warm_up)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        batch = Sample(*(part.to(self.device) for part in batch))
        with torch.autocast(self.device.type, torch.bfloat16):
            residual = self.model(batch.planes.float().to(memory_format=torch.channels_last))
        inside = (..., slice(_EDGE, -_EDGE), slice(_EDGE, -_EDGE))
        corrected = to_pixels(batch.guided.float() + residual)
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
    """Pool of pictures that crops are taken from; the oldest are replaced.

    Args:
        recipe: settings of the run.
        samples: yields the pictures of one view after another.
        seed: seed for the choice of crops.
        device: where the pictures are kept.
    """

    def __init__(
        self, recipe: DetailRecipe, samples: Iterator[list[Sample]], seed: int, device: torch.device
    ) -> None:
        self._recipe, self._source, self._device = recipe, samples, device
        self._random = np.random.default_rng(seed)
        self._samples: list[Sample] = []

    def batch(self) -> Sample:
        """Return random crops of random pictures, stacked along a first axis."""
        crops = [
            self._crop(self._random.integers(len(self._samples))) for _ in range(self._recipe.batch)
        ]
        return Sample(*(torch.stack(parts) for parts in zip(*crops, strict=True)))

    def fill(self, count: int) -> None:
        """Add views until the pool holds at least `count` pictures."""
        while len(self._samples) < count:
            self.renew()

    def renew(self) -> None:
        """Add the pictures of one more view that are large enough for a crop."""
        least = self._recipe.crop // CELL
        fitting = [
            # Copied, because memory shared with another process keeps a file open.
            Sample(*(part.to(self._device, copy=True) for part in sample))
            for sample in next(self._source)
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
    """Train a detail network.

    Writes checkpoint.pt, log.csv and validation.csv during training, and weights-detail.safetensors
    with its .json at the end. Leaves out images that the manifest marks licence_confidence = low.

    Args:
        data: folders of images, or packs.
        folder: folder of the run; created if it does not exist.
        recipe: settings of the run.
        model: shipped model or .safetensors file whose survey is used.
        validation: folder or pack of images to validate on; None for no validation.
        device: as in `choose_device`.
        resume: whether to continue from the folder's checkpoint.
        report_seconds: time between checkpoints and validations.
        workers: background processes that render pictures, on the CPU; 0 renders between steps.

    Returns:
        The path of weights-detail.safetensors.

    Raises:
        InputError: there are no images, a setting is out of range, there is no run to resume, or a
            new run would overwrite one.
        ReadError: an image or the checkpoint cannot be read.
        WeightsError: the model's weights are damaged.
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
    validation_samples = (
        list(_validation_samples(validation, Runner(model, device))) if validation else []
    )
    print(f"{len(scenes)} scenes, {chosen}, {recipe}", flush=True)
    samples = load_samples(SampleStream(scenes, model, _random_seed(trainer)), workers)
    try:
        _run(trainer, samples, validation_samples, report_seconds)
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
    """Return the SHA-256 of the weights that a run starts from; empty for random weights."""
    if not start:
        return ""
    return hashlib.sha256(detail_of(locate(start)).read_bytes()).hexdigest()


def _random_seed(trainer: DetailTrainer) -> int:
    """Return a seed that differs after a resume, so that the data do not repeat."""
    return trainer.recipe.seed * 1_000_003 + trainer.progress.step


def _run(
    trainer: DetailTrainer,
    samples: Iterator[list[Sample]],
    validation_samples: Sequence[Sample],
    report_seconds: float,
) -> None:
    """Train until the time is up; save and validate every `report_seconds`."""
    recipe = trainer.recipe
    pool = Pool(recipe, samples, _random_seed(trainer), trainer.device)
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
            if validation_samples:
                _report(trainer, validation_samples)
            started = time.monotonic()


def _validation_samples(path: Path, runner: Runner) -> Iterator[Sample]:
    """Yield the same shots of the same views in every run, a third of them at an up-factor of 4."""
    scenes = load_scenes(path)
    sampler = Sampler(scenes, runner, 1234)
    photographer = Photographer(scenes, 1234)
    for i in range(_VALIDATION_PICTURES):
        shot = photographer.shot((-2.2, 0.0, 2.0)[i % 3])
        plan = replace(photographer.view(0, i % len(scenes)), shots=(shot,))
        yield from sampler.picture(plan, (320, 320), 4.0 if i // 3 % 3 == 2 else 1.0, 1.0)


@torch.no_grad()
def _report(trainer: DetailTrainer, validation_samples: Sequence[Sample]) -> None:
    """Write PSNR and SSIM of guided and network detail against the true LDR."""
    rows = []
    for sample in validation_samples:
        target = to_pixels(sample.true_ldr[None].float())
        guided = to_pixels(sample.guided[None].float())
        planes = sample.planes[None].float().to(trainer.device)
        with torch.autocast(trainer.device.type, torch.bfloat16):
            residual = trainer.average(planes).cpu()
        corrected = (guided + to_pixels(residual)).clamp(0, 1)
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
