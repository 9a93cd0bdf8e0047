"""`drht train`: both networks jointly, with checkpoints, a log and pictures of the progress."""

from __future__ import annotations

import copy
import csv
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
from drht_plugin.training.recipes import Recipe
from drht_plugin.training.scenes import load_scenes
from drht_plugin.training.triplets import Photographer, Triplets, render_triplets
from drht_plugin.virtual_camera import HdrImage

Drawn = TypeVar("Drawn")

_NEW_MOMENTS = 50
"""Steps over which a new optimiser comes to its full rate."""


@dataclass
class Progress:
    """How far a run is; saved in every checkpoint.

    fixed_at: the step at which the normalisation was fixed, or −1.
    """

    step: int = 0
    crops: int = 0
    seconds: float = 0.0
    fixed_at: int = -1


class Trainer(Run[Drht, Recipe, Progress]):
    """A run of the two survey networks."""

    def __init__(self, recipe: Recipe, folder: Path, device: torch.device) -> None:
        make = partial(Drht, ARCHITECTURES[recipe.architecture])
        super().__init__(make, recipe, Progress(), folder, device)
        if recipe.start:
            fold_normalisation(self.model)
            begin_from(load_model(recipe.start), self.model)
            self.average = copy.deepcopy(self.model)
            self.fix_normalisation(0)

    def prepare(self) -> None:
        """See `Run`: from some step on the normalisation is fixed."""
        if self.progress.fixed_at >= 0:
            self.fix_normalisation(self.progress.fixed_at)

    @property
    def grown(self) -> bool:
        """Whether few large views make a batch now, rather than many small ones."""
        return bool(self.recipe.start) or self.fraction >= self.recipe.grow

    def fix_normalisation(self, step: int) -> None:
        """Go on from the averaged networks with their statistics folded in, as at inference."""
        self.model.load_state_dict(self.average.state_dict())
        fold_normalisation(self.model)
        self.average = copy.deepcopy(self.model).requires_grad_(False)
        self.optimiser = self.make_optimiser()
        self.progress.fixed_at = step

    def make_optimiser(self) -> torch.optim.Optimizer:
        """See `Run`: with the recipe's decays."""
        recipe = self.recipe
        return torch.optim.AdamW(
            self.model.parameters(),
            recipe.learning_rate,
            betas=(0.9, recipe.second_moment),
            weight_decay=recipe.weight_decay,
            fused=self.device.type == "cuda",
        )

    def step(self, batch: Triplets) -> dict[str, Tensor]:
        """One optimiser step; the loss terms, on the device, which may still be at work."""
        recipe = self.recipe
        if self.grown and self.progress.fixed_at < 0:
            self.fix_normalisation(self.progress.step)
        rate = recipe.learning_rate * schedule(self.fraction, recipe.warm_up)
        if self.progress.fixed_at >= 0:
            # Adam's moments are new then.
            known = (self.progress.step - self.progress.fixed_at + 1) / _NEW_MOMENTS
            rate *= recipe.fixed_rate * min(1.0, known)
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
        self._follow()
        return {name: value.detach() for name, value in terms.items()}

    @torch.no_grad()
    def _follow(self) -> None:
        decay = min(self.recipe.averaging, self.progress.step / (self.progress.step + 9))
        mine = [t for t in self.average.state_dict().values() if t.is_floating_point()]
        theirs = [t for t in self.model.state_dict().values() if t.is_floating_point()]
        torch._foreach_lerp_(mine, theirs, 1 - decay)


def begin_from(start: Drht, network: Drht) -> None:
    """Give a folded network the weights of another, whose parts may be fewer: a gain stays 1.

    Raises:
        WeightsError: the networks differ in more than that.
    """
    mine, theirs = network.state_dict(), start.state_dict()
    alike = all(mine[k].shape == v.shape for k, v in theirs.items() if k in mine)
    added = {name.split(".")[1] for name in mine.keys() - theirs.keys()}
    if not alike or theirs.keys() - mine.keys() or added - {"gain"}:
        raise WeightsError("the model to start from is of other networks than the run's")
    network.load_state_dict(theirs, strict=False)


def schedule(fraction: float, warm_up: float) -> float:
    """Learning rate relative to its peak: linear warm-up, then a half cosine to zero."""
    if fraction < warm_up:
        return max(0.02, fraction / warm_up)
    return 0.5 * (1 + math.cos(math.pi * (fraction - warm_up) / (1 - warm_up)))


def draw_size(random: np.random.Generator, roots: tuple[int, int]) -> tuple[int, int]:
    """Height and width of a batch's views: aspects 1:2 to 2:1, multiples of the stride.

    roots: the range of the square root of their area.
    """
    root = random.uniform(*roots)
    aspect = 2 ** random.uniform(-1, 1)
    height = max(NETWORK_STRIDE, NETWORK_STRIDE * round(root * aspect**0.5 / NETWORK_STRIDE))
    width = max(NETWORK_STRIDE, NETWORK_STRIDE * round(root / aspect**0.5 / NETWORK_STRIDE))
    return height, width


def batch_size(recipe: Recipe, random: np.random.Generator, *, grown: bool) -> tuple[int, int]:
    """Height and width of the next batch's views."""
    if recipe.sizes:
        return recipe.sizes[int(random.integers(len(recipe.sizes)))]
    return draw_size(random, recipe.large if grown else recipe.small)


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
    """Train on the scenes of `data` (folders and packs) and write everything into `folder`.

    There: checkpoint.pt, log.csv, validation.csv, log.png and sheet.png, renewed every
    `report_seconds`, and at the end weights.safetensors with weights.json, whose path is
    returned. Images whose licence is unsure are left out.

    Raises:
        InputError: no scenes, a recipe out of range, or a run to resume that is not there.
        WeightsError: the model to start from is of other networks.
        ReadError: a scene or the checkpoint cannot be read.
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
        # Its search takes seconds for each size of views: worth it where there are few.
        torch.backends.cudnn.benchmark = bool(recipe.sizes)
    folder.mkdir(parents=True, exist_ok=True)
    trainer = Trainer(recipe, folder, chosen)
    trainer.begin(resume=resume)
    scenes = load_scenes(*data, free_only=True)
    watched = _validation_batch(validation, chosen) if validation else None
    print(f"{len(scenes)} scenes, {chosen}, {recipe}", flush=True)

    try:
        _run(trainer, scenes, watched, report_seconds)
    except KeyboardInterrupt:
        trainer.save()
        raise
    return export(trainer, len(scenes))


def _run(
    trainer: Trainer, scenes: list[HdrImage], watched: Triplets | None, report_seconds: float
) -> None:
    """Train until the budget is spent, saving and reporting every `report_seconds`."""
    recipe = trainer.recipe
    # Resumed runs draw on, rather than again.
    stream = recipe.seed * 1_000_003 + trainer.progress.step
    photographer = Photographer(scenes, stream, recipe.mix)
    scenes = [_on(scene, trainer.device) for scene in scenes]
    random = np.random.default_rng(stream)
    noise = torch.Generator(trainer.device).manual_seed(stream)
    reported = time.monotonic()
    log = StepLog(trainer.folder)

    def draw() -> tuple[Triplets, dict[str, int]]:
        height, width = batch_size(recipe, random, grown=trainer.grown)
        views = max(1, round(recipe.megapixels * 1e6 / (height * width * recipe.shots)))
        plans = [photographer.view(recipe.shots) for _ in range(views)]
        batch = render_triplets(scenes, plans, height, width, noise)
        return batch, {"height": height, "width": width}

    started = time.monotonic()
    batches = _ahead(draw) if trainer.device.type == "cuda" else iter(draw, None)
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
            _report(trainer, watched if watched is not None else batch, last)
            started = time.monotonic()


def _ahead(draw: Callable[[], Drawn]) -> Iterator[Drawn]:
    """What `draw` gives, in order, the next while the caller works on the last.

    A device of its own is fed by two threads faster than by one.
    """
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(draw)
        while True:
            drawn = waiting.result()
            waiting = pool.submit(draw)
            yield drawn


def export(trainer: Trainer, scenes: int) -> Path:
    """The averaged networks, folded, as weights.safetensors and weights.json."""
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


def _on(scene: HdrImage, device: torch.device) -> HdrImage:
    return replace(scene, radiance=scene.radiance.to(device))


def _validation_batch(path: Path, device: torch.device) -> Triplets:
    """24 fixed shots of fixed views, under, normal and over in turn."""
    scenes = load_scenes(path)
    photographer = Photographer(scenes, 1234)
    scenes = [_on(scene, device) for scene in scenes]
    plans = []
    for i in range(24):
        stops = (-2.2, 0.0, 2.0)[i % 3]
        shot = photographer.shot(stops)
        plans.append(replace(photographer.view(0, i % len(scenes)), shots=(shot,)))
    noise = torch.Generator(device).manual_seed(1234)
    return render_triplets(scenes, plans, 256, 256, noise)


@torch.no_grad()
def _apply(trainer: Trainer, batch: Triplets) -> Estimate:
    ldr = batch.ldr.to(memory_format=torch.channels_last)
    parts = [trainer.average(piece) for piece in ldr.split(8)]
    return Estimate(torch.cat([p.y for p in parts]), torch.cat([p.corrected for p in parts]))


def _report(trainer: Trainer, batch: Triplets, terms: dict[str, float]) -> None:
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
    _sheet(trainer.folder / "sheet.png", batch, estimate)
    _plot(trainer.folder)


def _sheet(path: Path, batch: Triplets, estimate: Estimate) -> None:
    """Input, T, true LDR, HDR estimate 3 EV down, true HDR 3 EV down; a row for each picture."""
    try:
        import cv2
    except ImportError:
        return

    def darker(radiance: Tensor) -> Tensor:
        return (radiance / 8).clamp(0, 1) ** (1 / 2.2)

    columns = [
        batch.ldr,
        estimate.corrected.clamp(0, 1),
        batch.true_ldr,
        darker(estimate.y.clamp_min(0) ** 2.2),
        darker(batch.true_hdr),
    ]
    rows = torch.cat([c[:12].float() for c in columns], 3).cpu().permute(0, 2, 3, 1)
    picture = (rows.flatten(0, 1).flip(-1) * 255).round().to(torch.uint8).numpy()
    cv2.imwrite(str(path), cv2.resize(picture, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA))


def _plot(folder: Path) -> None:
    try:
        import matplotlib as mpl
    except ImportError:
        return
    mpl.use("Agg")
    from matplotlib import pyplot as plt

    with (folder / "validation.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    minutes = [float(r["minutes"]) for r in rows]
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4))
    for name in ("psnr", "under", "normal", "over"):
        left.plot(minutes, [float(r[name]) for r in rows], label=name)
    for name in sorted(rows[-1].keys() & TERMS.keys()):
        right.plot(minutes, [float(r[name]) for r in rows], label=name)
    left.set(xlabel="minutes", ylabel="PSNR of T (dB)")
    right.set(xlabel="minutes", ylabel="loss", yscale="symlog")
    left.legend()
    right.legend()
    figure.savefig(folder / "log.png", dpi=80)
    plt.close(figure)
