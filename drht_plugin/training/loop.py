"""Train the two survey networks jointly, with checkpoints, logs and sheets (`drht train`)."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from drht_plugin.bridge.sizes import NETWORK_STRIDE
from drht_plugin.errors import InputError, WeightsError
from drht_plugin.model.device import choose_device, tune_allocator
from drht_plugin.model.networks import ARCHITECTURES, Drht, Estimate, fold_normalisation
from drht_plugin.model.weights import load_model, save_model
from drht_plugin.training.checkpoint import Run
from drht_plugin.training.log import StepLog, append_row
from drht_plugin.training.losses import TERMS, losses, ssim
from drht_plugin.training.progress_pictures import write_plot, write_sheet
from drht_plugin.training.recipes import Recipe
from drht_plugin.training.scenes import load_scenes
from drht_plugin.training.triplets import Photographer, Triplets, render_triplets
from drht_plugin.virtual_camera import HdrImage

Drawn = TypeVar("Drawn")

_NEW_MOMENTS = 50
"""Steps over which a new optimiser reaches its full learning rate."""


@dataclass
class Progress:
    """How far a run is; saved in every checkpoint.

    Attributes:
        step: steps taken.
        crops: pictures seen.
        seconds: training time that has passed.
        fixed_at: step at which the normalisation was fixed, or −1.
    """

    step: int = 0
    crops: int = 0
    seconds: float = 0.0
    fixed_at: int = -1


class Trainer(Run[Drht, Recipe, Progress]):
    """Training run of the two survey networks.

    Args:
        recipe: settings of the run.
        folder: existing folder for the checkpoint and logs.
        device: where the networks are trained.

    Raises:
        InputError: there is no such model to start from.
        WeightsError: the model to start from has other networks than the run.
    """

    def __init__(self, recipe: Recipe, folder: Path, device: torch.device) -> None:
        make = partial(Drht, ARCHITECTURES[recipe.architecture])
        super().__init__(make, recipe, Progress(), folder, device)
        if recipe.start:
            fold_normalisation(self.model)
            load_start_weights(load_model(recipe.start), self.model)
            self.average = copy.deepcopy(self.model)
            self.fix_normalisation(0)

    def prepare(self) -> None:
        """Fix the normalisation if the run had done so at this progress; see `Run.prepare`."""
        if self.progress.fixed_at >= 0:
            self.fix_normalisation(self.progress.fixed_at)

    @property
    def large_views(self) -> bool:
        """Whether a batch now holds few large views rather than many small ones."""
        return bool(self.recipe.start) or self.fraction >= self.recipe.grow

    def fix_normalisation(self, step: int) -> None:
        """Continue from the averaged networks with their normalisation folded, as at inference.

        Args:
            step: the current step.
        """
        self.model.load_state_dict(self.average.state_dict())
        fold_normalisation(self.model)
        self.average = copy.deepcopy(self.model).requires_grad_(False)
        self.optimiser = self.make_optimiser()
        self.progress.fixed_at = step

    def make_optimiser(self) -> torch.optim.Optimizer:
        """Return a new AdamW optimiser with the recipe's settings."""
        recipe = self.recipe
        return torch.optim.AdamW(
            self.model.parameters(),
            recipe.learning_rate,
            betas=(0.9, recipe.second_moment),
            weight_decay=recipe.weight_decay,
            fused=self.device.type == "cuda",
        )

    def step(self, batch: Triplets) -> dict[str, Tensor]:
        """Take one optimiser step.

        Args:
            batch: the pictures.

        Returns:
            The weighted loss terms by name, scalars on the device, which may still be computing
            them.
        """
        recipe = self.recipe
        if self.large_views and self.progress.fixed_at < 0:
            self.fix_normalisation(self.progress.step)
        rate = recipe.learning_rate * schedule(self.fraction, recipe.warm_up)
        if self.progress.fixed_at >= 0:
            # Adam's moments restarted when the normalisation was fixed.
            settled = (self.progress.step - self.progress.fixed_at + 1) / _NEW_MOMENTS
            rate *= recipe.fixed_rate * min(1.0, settled)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self.model.train()
        with torch.autocast(self.device.type, torch.bfloat16):
            estimate: Estimate = self.model(
                batch.ldr.to(memory_format=torch.channels_last),
            )
        terms = losses(estimate, batch, recipe.loss)
        self.optimiser.zero_grad(set_to_none=True)
        torch.stack(list(terms.values())).sum().backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), recipe.clip_gradient)
        self.optimiser.step()
        self.progress.step += 1
        self.progress.crops += len(batch.ldr)
        self._update_average()
        return {name: value.detach() for name, value in terms.items()}

    @torch.no_grad()
    def _update_average(self) -> None:
        """Move the averaged weights towards the current ones."""
        decay = min(self.recipe.averaging, self.progress.step / (self.progress.step + 9))
        averaged = [t for t in self.average.state_dict().values() if t.is_floating_point()]
        current = [t for t in self.model.state_dict().values() if t.is_floating_point()]
        torch._foreach_lerp_(averaged, current, 1 - decay)


def load_start_weights(start: Drht, network: Drht) -> None:
    """Copy weights into a network that may have gains in addition; these keep their value, 1.

    Args:
        start: folded networks to copy from.
        network: folded networks to copy into.

    Raises:
        WeightsError: the networks differ in more than gains.
    """
    own, given = network.state_dict(), start.state_dict()
    alike = all(own[k].shape == v.shape for k, v in given.items() if k in own)
    added = {name.split(".")[1] for name in own.keys() - given.keys()}
    if not alike or given.keys() - own.keys() or added - {"gain"}:
        raise WeightsError("the model to start from has other networks than the run")
    network.load_state_dict(given, strict=False)


def schedule(fraction: float, warm_up: float) -> float:
    """Return the learning rate relative to its peak: linear warm-up, then a half cosine to zero.

    Args:
        fraction: share of the training time that has passed, 0..1.
        warm_up: share in which the rate rises, 0..1.
    """
    if fraction < warm_up:
        return max(0.02, fraction / warm_up)
    return 0.5 * (1 + math.cos(math.pi * (fraction - warm_up) / (1 - warm_up)))


def draw_size(random: np.random.Generator, roots: tuple[int, int]) -> tuple[int, int]:
    """Draw the size of a batch's views, with an aspect ratio from 1:2 to 2:1.

    Args:
        random: source of the choice.
        roots: range of the square root of a view's area, in pixels.

    Returns:
        Height and width in pixels, multiples of `NETWORK_STRIDE`.
    """
    root = random.uniform(*roots)
    aspect = 2 ** random.uniform(-1, 1)
    height = max(NETWORK_STRIDE, NETWORK_STRIDE * round(root * aspect**0.5 / NETWORK_STRIDE))
    width = max(NETWORK_STRIDE, NETWORK_STRIDE * round(root / aspect**0.5 / NETWORK_STRIDE))
    return height, width


def draw_view_size(
    recipe: Recipe, random: np.random.Generator, *, large_views: bool
) -> tuple[int, int]:
    """Draw the size of the next batch's views as the recipe says.

    Args:
        recipe: settings of the run.
        random: source of the choice.
        large_views: whether to draw large views, see `Trainer.large_views`.

    Returns:
        Height and width in pixels.
    """
    if recipe.sizes:
        return recipe.sizes[int(random.integers(len(recipe.sizes)))]
    return draw_size(random, recipe.large if large_views else recipe.small)


def train(
    data: Sequence[Path],
    folder: Path,
    recipe: Recipe,
    *,
    validation: Path | None = None,
    device: str = "auto",
    resume: bool = False,
    report_seconds: float = 120.0,
) -> Path:
    """Train the two survey networks.

    Writes checkpoint.pt, log.csv, validation.csv, log.png and sheet.png during training, and
    weights.safetensors with weights.json at the end. Leaves out images that the manifest marks
    licence_confidence = low.

    Args:
        data: folders of images, or packs.
        folder: folder of the run; created if it does not exist.
        recipe: settings of the run.
        validation: folder or pack of images to validate on; None for the last training batch.
        device: as in `choose_device`.
        resume: whether to continue from the folder's checkpoint.
        report_seconds: time between checkpoints and validations.

    Returns:
        The path of weights.safetensors.

    Raises:
        InputError: there are no images, a setting is out of range, there is no run to resume, or a
            new run would overwrite one.
        WeightsError: the model to start from has other networks than the run.
        ReadError: an image or the checkpoint cannot be read.
    """
    if recipe.minutes <= 0:
        raise InputError(f"minutes is {recipe.minutes}; expected more than 0")
    names = [("architecture", recipe.architecture, list(ARCHITECTURES))]
    names += [("term of the loss", name, list(TERMS)) for name in recipe.loss]
    for what, name, known in names:
        if name not in known:
            raise InputError(f"{what} {name!r} is unknown; expected {', '.join(known)}")
    if not recipe.loss:
        raise InputError(f"the loss has no terms; expected some of {', '.join(TERMS)}")
    chosen = choose_device(device)
    tune_allocator()
    if chosen.type == "cuda":
        # The search for kernels takes seconds per view size, which pays off for few sizes.
        torch.backends.cudnn.benchmark = bool(recipe.sizes)
    folder.mkdir(parents=True, exist_ok=True)
    trainer = Trainer(recipe, folder, chosen)
    trainer.begin(resume=resume)
    scenes = load_scenes(*data, free_only=True)
    validation_batch = _validation_batch(validation, chosen) if validation else None
    print(f"{len(scenes)} scenes, {chosen}, {recipe}", flush=True)

    try:
        _run(trainer, scenes, validation_batch, report_seconds)
    except KeyboardInterrupt:
        trainer.save()
        raise
    return export(trainer, len(scenes))


def _run(
    trainer: Trainer,
    scenes: list[HdrImage],
    validation_batch: Triplets | None,
    report_seconds: float,
) -> None:
    """Train until the time is up; save and validate every `report_seconds`."""
    recipe = trainer.recipe
    # A resumed run must not repeat the data it has seen.
    seed = recipe.seed * 1_000_003 + trainer.progress.step
    photographer = Photographer(scenes, seed, recipe.mix)
    scenes = [_to_device(scene, trainer.device) for scene in scenes]
    random = np.random.default_rng(seed)
    noise = torch.Generator(trainer.device).manual_seed(seed)
    reported = time.monotonic()
    log = StepLog(trainer.folder)

    def draw() -> tuple[Triplets, dict[str, int]]:
        height, width = draw_view_size(recipe, random, large_views=trainer.large_views)
        views = max(1, round(recipe.megapixels * 1e6 / (height * width * recipe.shots)))
        plans = [photographer.view(recipe.shots) for _ in range(views)]
        batch = render_triplets(scenes, plans, height, width, noise)
        return batch, {"height": height, "width": width}

    started = time.monotonic()
    batches = _prefetch(draw) if trainer.device.type == "cuda" else iter(draw, None)
    while trainer.fraction < 1:
        batch, size = next(batches)
        terms = trainer.step(batch)
        now = time.monotonic()
        trainer.progress.seconds += now - started
        started = now
        log.add({**asdict(trainer.progress), **size}, terms)
        if trainer.fraction == 1 or time.monotonic() - reported > report_seconds:
            reported = time.monotonic()
            last = log.flush()
            trainer.save()
            _report(trainer, validation_batch if validation_batch is not None else batch, last)
            started = time.monotonic()


def _prefetch(draw: Callable[[], Drawn]) -> Iterator[Drawn]:
    """Yield the results of `draw` in order; a second thread computes the next one meanwhile."""
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(draw)
        while True:
            drawn = waiting.result()
            waiting = pool.submit(draw)
            yield drawn


def export(trainer: Trainer, scenes: int) -> Path:
    """Write the averaged, folded networks as weights.safetensors and weights.json.

    Args:
        trainer: the run.
        scenes: number of images trained on, for the JSON file.

    Returns:
        The path of weights.safetensors.
    """
    path = trainer.folder / "weights.safetensors"
    folded = fold_normalisation(copy.deepcopy(trainer.average).cpu())
    facts: dict[str, Any] = {
        "recipe": asdict(trainer.recipe),
        "scenes": scenes,
        "progress": asdict(trainer.progress),
        "device": str(trainer.device),
        "torch": torch.__version__,
    }
    save_model(folded, path, facts, trainer.recipe.architecture)
    return path


def _to_device(scene: HdrImage, device: torch.device) -> HdrImage:
    return replace(scene, radiance=scene.radiance.to(device))


def _validation_batch(path: Path, device: torch.device) -> Triplets:
    """Return 24 shots, the same in every run, in the order under-, normally and over-exposed."""
    scenes = load_scenes(path)
    photographer = Photographer(scenes, 1234)
    scenes = [_to_device(scene, device) for scene in scenes]
    plans = []
    for i in range(24):
        stops = (-2.2, 0.0, 2.0)[i % 3]
        shot = photographer.shot(stops)
        plans.append(replace(photographer.view(0, i % len(scenes)), shots=(shot,)))
    noise = torch.Generator(device).manual_seed(1234)
    return render_triplets(scenes, plans, 256, 256, noise)


@torch.no_grad()
def _apply(trainer: Trainer, batch: Triplets) -> Estimate:
    """Run the averaged networks on a batch, eight pictures at a time."""
    ldr = batch.ldr.to(memory_format=torch.channels_last)
    parts = [trainer.average(piece) for piece in ldr.split(8)]
    return Estimate(torch.cat([p.y for p in parts]), torch.cat([p.corrected for p in parts]))


def _report(trainer: Trainer, batch: Triplets, terms: dict[str, float]) -> None:
    """Write PSNR and SSIM on the batch, the sheet and the plot."""
    estimate = _apply(trainer, batch)
    corrected = estimate.corrected.clamp(0, 1)
    error = ((corrected - batch.true_ldr) ** 2).mean((1, 2, 3))
    psnr = -10 * torch.log10(error)
    row = {
        "minutes": round(trainer.progress.seconds / 60, 2),
        "step": trainer.progress.step,
        "crops": trainer.progress.crops,
        "psnr": round(float(psnr.mean()), 3),
        "ssim": round(float(ssim(corrected, batch.true_ldr)), 4),
        "under": round(float(psnr[0::3].mean()), 2),
        "normal": round(float(psnr[1::3].mean()), 2),
        "over": round(float(psnr[2::3].mean()), 2),
        **{k: round(v, 4) for k, v in terms.items()},
    }
    append_row(trainer.folder / "validation.csv", row)
    print(row, flush=True)
    write_sheet(trainer.folder / "sheet.png", batch, estimate)
    write_plot(trainer.folder)
