"""`drht train-detail`: the detail network, on crops of shots with their surveys."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from drht_plugin import camera
from drht_plugin.bridge import transfer
from drht_plugin.bridge.layout import CELL, STRIDE
from drht_plugin.camera import Scene
from drht_plugin.engine.dequantise import dequantised
from drht_plugin.engine.detail import NONE_HIDDEN, network_planes, planes_shape
from drht_plugin.engine.grid import fit
from drht_plugin.engine.noise import NoiseMeter
from drht_plugin.engine.overview import overview
from drht_plugin.engine.pixels import kind_of
from drht_plugin.engine.render import Window, tone
from drht_plugin.engine.restraint import restrained
from drht_plugin.engine.scene import Scene as SurveyScene
from drht_plugin.errors import InputError
from drht_plugin.model.detail import DetailNetwork, detail_network
from drht_plugin.model.device import choose_device, tune_allocator
from drht_plugin.model.files import detail_of, locate
from drht_plugin.model.runner import Runner
from drht_plugin.model.weights import DETAIL_ARCHITECTURE, save_model
from drht_plugin.training.checkpoint import Run
from drht_plugin.training.loop import append_row, schedule
from drht_plugin.training.losses import ssim
from drht_plugin.training.scenes import load_scenes
from drht_plugin.training.triplets import (
    Photographer,
    Shot,
    Triplets,
    ViewPlan,
    cameras,
    render_triplets,
)

FloatArray = npt.NDArray[np.float32]

_EDGE = 16
"""Pixels at the border of a training crop that do not count: their surroundings are cut off."""

_FIRST = 32
"""Pictures in the pool before the first step."""

_WATCHED = 18
"""Pictures that validation looks at, under, normal and over in turn."""

_SHARP = 0.6
"""Share of views that are sharp to the pixel: views of panoramas are interpolated, and soft."""

_DARK_AND_NOISY = 0.4
"""Share of shots that are: of other shots few have noise that is lifted until it shows."""

_GRAINY = 0.5
"""Share of views with grain of the scene's own: patches of it, where noise is everywhere."""

_FINE = 7
"""Side of the box that, three times over, parts detail from tone, in pixels: σ 3.5."""

_SHORTEST = 16
"""Least side of an overview that stands for that of a larger picture."""


@dataclass(frozen=True)
class DetailRecipe:
    """Everything that decides what training gives; stored with the weights.

    minutes: budget, over all resumed runs. learning_rate: Adam's peak, after `warm_up` of the
    budget, then a cosine to zero. crop: side of a crop in pixels; batch: crops in a step. pool:
    pictures that crops are drawn from; fresh: steps in which one view (two pictures) is renewed.
    averaging: decay of the weights' moving average. start: a model whose detail network the run
    begins from, in place of fresh weights.
    """

    minutes: float = 60.0
    seed: int = 1
    learning_rate: float = 1.5e-3
    warm_up: float = 0.02
    crop: int = 192
    batch: int = 6
    pool: int = 160
    fresh: int = 2
    averaging: float = 0.998
    clip_gradient: float = 0.5
    start: str = ""


class Sample(NamedTuple):
    """One picture, 2×2 pixels a place, float16.

    planes: 72×h×w, what the network sees; guided: 12×h×w, T in guided detail; target: 12×h×w, see
    `target_of`; true_ldr: 12×h×w.
    """

    planes: Tensor
    guided: Tensor
    target: Tensor
    true_ldr: Tensor


class Cut(NamedTuple):
    """Pixels of a shot, 3×H×W display codes: as taken, without losses, and the true LDR.

    top, left: where they begin in the whole picture.
    """

    ldr: Tensor
    clean: Tensor
    true_ldr: Tensor
    top: int = 0
    left: int = 0


def harder(shot: Shot, random: np.random.Generator) -> Shot:
    """A shot as full-size pictures are: more often a JPEG, and noisier; many dark and noisy."""
    least = 50 if random.random() < 0.3 else 80
    jpeg = int(random.integers(least, 99)) if random.random() < 0.6 else 0
    shot = replace(
        shot,
        jpeg=jpeg,
        halved=bool(random.random() < 0.6),
        quantised=bool(random.random() < 0.85),
    )
    if random.random() < _DARK_AND_NOISY:
        return replace(
            shot,
            stops=random.uniform(-4.5, -1.0),
            jpeg=jpeg if random.random() < 0.4 else 0,
            metered_highlights=False,
            own_target=False,
            shot_noise=_log_uniform(random, 1e-5, 1e-3),
            read_noise=_log_uniform(random, 3e-4, 4e-3),
        )
    # Many shots have next to no noise, dark ones too: dark does not mean noisy.
    most_shot, most_read = (1e-2, 4e-3) if random.random() < 0.2 else (1e-3, 2e-3)
    if random.random() < 0.5:
        most_shot, most_read = 4e-6, 1.5e-4
    return replace(
        shot,
        shot_noise=_log_uniform(random, 1e-6, most_shot),
        read_noise=_log_uniform(random, 5e-5, most_read),
    )


def _log_uniform(random: np.random.Generator, least: float, most: float) -> float:
    return math.exp(random.uniform(math.log(least), math.log(most)))


class Sampler:
    """Pictures with their surveys, at up-factors of full size over overview from 1 to 32."""

    def __init__(self, scenes: Sequence[Scene], runner: Runner, seed: int) -> None:
        self._scenes, self._runner = scenes, runner
        self.photographer = Photographer(scenes, seed)
        # Panoramas as they lie in their files: they hold more pixels than any view of them.
        self._flat_scenes = [replace(scene, panorama=False) for scene in scenes]
        self._flat = Photographer(self._flat_scenes, seed)
        self._random = np.random.default_rng(seed)
        self._noise = torch.Generator().manual_seed(seed)

    def draw(self) -> list[Sample]:
        """Two shots of a random view; or of a whole image, made smaller, which is sharper."""
        random = self._random
        sharp = random.random() < _SHARP
        photographer = self._flat if sharp else self.photographer
        plan = photographer.view(2)
        plan = replace(plan, shots=tuple(harder(s, random) for s in plan.shots))
        aspect = 2 ** random.uniform(-0.7, 0.7)
        if sharp:
            zoom = random.uniform(0.75, 1)
            plan = replace(plan, aim=replace(plan.aim, zoom=zoom))
            rows, columns = self._flat_scenes[plan.scene].radiance.shape[1:]
            root = (rows * columns / 2) ** 0.5 * zoom / random.uniform(1.15, 2.2)
        else:
            root = random.uniform(224, 384)
        sides = (root * aspect**0.5, root / aspect**0.5)
        height, width = (32 * max(4, round(side / 32)) for side in sides)
        coarser = 2 ** random.uniform(0, 4) if random.random() < 0.6 else 1.0
        soft = not sharp and random.random() < 0.4
        enlarged = 2 ** random.uniform(0.2, 1.6) if soft else 1.0
        scenes = self._flat_scenes if sharp else self._scenes
        return self.picture(plan, (height, width), coarser, enlarged, scenes)

    def picture(
        self,
        plan: ViewPlan,
        size: tuple[int, int],
        coarser: float,
        enlarged: float,
        scenes: Sequence[Scene] | None = None,
    ) -> list[Sample]:
        """The shots of a view of `scenes`, the sampler's own unless given.

        coarser: how many times coarser the overview is than the view's own, as if the view were
        a part of a larger picture. enlarged: factor by which a part of the view is interpolated,
        as full-size pictures are soft.
        """
        triplets = render_triplets(scenes or self._scenes, [plan], *size, self._noise)
        triplets = self._textured(triplets, plan.shots)
        cuts = self._cuts(triplets, plan.shots, enlarged)
        return [
            self._sample(_pixels(whole), shot, cut, coarser, enlarged)
            for whole, shot, cut in zip(triplets.ldr, plan.shots, cuts, strict=True)
        ]

    def _textured(self, triplets: Triplets, shots: Sequence[Shot]) -> Triplets:
        """The same with finer texture, as photographs have it and compressed HDR images do not.

        What is finer than three pixels is raised, and grain is added to the scene itself: both
        are light, in the shot and in its clean form alike, not noise.
        """
        random, light = self._random, triplets.true_hdr.clamp_min(1e-5).log()
        fine = light - _box(light, 3)
        height, width = light.shape[-2:]
        texture = random.uniform(0, 2) * fine.clamp(-0.5, 0.5)
        if random.random() < _GRAINY:
            grain = torch.randn((1, 1, height, width), generator=self._noise)
            if random.random() < 0.5:
                grain = 2 * _box(grain, 3)
            where = torch.rand((1, 1, 5, 5), generator=self._noise) ** 2
            where = F.interpolate(where, (height, width), mode="bilinear", align_corners=False)
            most = _log_uniform(random, 0.01, 0.25)
            texture = texture + most * where * grain
        radiance = (light + texture).exp().clamp(max=transfer.H_MAX)
        curve, sensor = cameras(shots, light.device)
        # Display codes go about with the square root of light.
        true_ldr = (triplets.true_ldr * (0.5 * texture).exp()).clamp(0, 1)
        return Triplets(
            camera.shoot(radiance, curve, sensor, self._noise),
            radiance,
            true_ldr,
            triplets.source_clipped,
        )

    def _cuts(self, triplets: Triplets, shots: Sequence[Shot], enlarged: float) -> list[Cut]:
        """The shots, or parts of them, enlarged."""
        curve, sensor = cameras(shots, triplets.ldr.device)
        if enlarged == 1:
            clean = curve.encode(triplets.true_hdr)
            return [
                Cut(*parts) for parts in zip(triplets.ldr, clean, triplets.true_ldr, strict=True)
            ]
        height, width = triplets.ldr.shape[-2:]
        rows, columns = (16 * max(1, int(side / enlarged / 16)) for side in (height, width))
        top = int(self._random.integers(height - rows + 1))
        left = int(self._random.integers(width - columns + 1))
        size = tuple(16 * round(side * enlarged / 16) for side in (rows, columns))
        part = (..., slice(top, top + rows), slice(left, left + columns))
        radiance = _resize(triplets.true_hdr[part].clamp_min(1e-5).log(), size).exp()
        if self._random.random() < 0.5:
            # Noise of a mosaic, interpolated with the picture.
            raw = replace(sensor, jpeg=sensor.jpeg * 0, quantised=sensor.quantised & False)
            mosaic = camera.shoot(triplets.true_hdr[part], curve, raw, self._noise)
            coded = camera.jpeg(_resize(mosaic, size).clamp(0, 1), sensor.jpeg, sensor.halved)
            steps = torch.round(coded * 255) / 255
            ldr = torch.where(sensor.quantised.view(-1, 1, 1, 1), steps, coded)
        else:
            ldr = camera.shoot(radiance, curve, sensor, self._noise)
        true_ldr = _resize(triplets.true_ldr[part], size).clamp(0, 1)
        place = round(top * size[0] / rows), round(left * size[1] / columns)
        return [
            Cut(*parts, *place) for parts in zip(ldr, curve.encode(radiance), true_ldr, strict=True)
        ]

    def _sample(
        self, whole: FloatArray, shot: Shot, cut: Cut, coarser: float, enlarged: float
    ) -> Sample:
        """What the network sees of a cut, with the survey of the whole picture."""
        height, width = whole.shape[:2]
        coded = np.rint(whole * 255).astype(np.uint8) if shot.quantised else whole
        kind = kind_of(coded)
        ldr, weight = overview(coded, kind)
        if shot.quantised:
            ldr = dequantised(ldr, kind.coarse_codes, wrap=False)
        y, corrected = self._runner(ldr)
        corrected = restrained(ldr, corrected.clip(0, 1), weight, wrap=False)
        if coarser > 1:
            rows, columns = (max(_SHORTEST, round(side / coarser)) for side in ldr.shape[:2])
            size = rows, columns
            light = _shrink(transfer.srgb_decode(ldr).astype(np.float32), size)
            ldr = transfer.srgb_encode(light).astype(np.float32)
            y, corrected = _shrink(y, size), _shrink(corrected, size)
            weight = np.ones(size, np.float32)
        rows, columns = cut.ldr.shape[-2:]
        kind = replace(
            kind,
            height=max(round(height * enlarged), cut.top + rows),
            width=max(round(width * enlarged), cut.left + columns),
        )
        codes = kind.coarse_codes
        grid = fit(ldr, corrected, weight, gray=False, wrap=False, codes=codes)
        noise = _noise_of(cut)
        return _laid_out(SurveyScene(kind, False, ldr, y, corrected, weight, noise, grid), cut)


def _noise_of(cut: Cut) -> FloatArray:
    """The noise of a cut's pixels, which are those of the full-size picture."""
    pixels = _pixels(cut.ldr)
    meter = NoiseMeter(kind_of(pixels))
    overview(pixels, kind_of(pixels), meter=meter)
    return meter.curve()


def _laid_out(scene: SurveyScene, cut: Cut) -> Sample:
    place = Window(cut.top, cut.left)
    pixels = _pixels(cut.ldr)
    guided = tone(scene, pixels, place)
    clean = tone(scene, _pixels(cut.clean.clamp(0, 1)), place)
    rows, columns = pixels.shape[:2]
    planes = network_planes(
        scene,
        pixels,
        guided,
        np.arange(cut.top, cut.top + rows),
        np.arange(cut.left, cut.left + columns),
        NONE_HIDDEN,
        np.empty(planes_shape(rows, columns), np.float32),
    )
    made, lossless = (torch.from_numpy(p).permute(2, 0, 1)[None] for p in (guided, clean))
    true_ldr = cut.true_ldr[None]
    return Sample(
        torch.from_numpy(planes).permute(2, 0, 1).half(),
        *(to_places(p)[0].half() for p in (made, target_of(lossless, true_ldr), true_ldr)),
    )


def target_of(clean: Tensor, true_ldr: Tensor) -> Tensor:
    """What network detail aims at: the true LDR's detail in the tone of guided detail.

    Tone is the survey's: what a tile cannot know of it would drown what it can. Both B×3×H×W;
    clean is guided T of a shot without noise and coding losses.
    """
    change = clean - true_ldr
    for _ in range(3):
        change = _box(change, _FINE)
    return (true_ldr + change).clamp(0, 1)


def to_places(picture: Tensor) -> Tensor:
    """B×3×H×W pixels to B×12×(H/2)×(W/2), 2×2 pixels a place, as the network lays them out."""
    batch, colours, height, width = picture.shape
    split = picture.reshape(batch, colours, height // CELL, CELL, width // CELL, CELL)
    return split.permute(0, 3, 5, 1, 2, 4).reshape(batch, -1, height // CELL, width // CELL)


def to_pixels(places: Tensor) -> Tensor:
    """The inverse of `to_places`."""
    batch, _, rows, columns = places.shape
    split = places.reshape(batch, CELL, CELL, 3, rows, columns).permute(0, 3, 4, 1, 5, 2)
    return split.reshape(batch, 3, rows * CELL, columns * CELL)


def _pixels(planes: Tensor) -> FloatArray:
    return np.ascontiguousarray(planes.permute(1, 2, 0).numpy())


def _resize(planes: Tensor, size: tuple[int, ...]) -> Tensor:
    return F.interpolate(planes, size, mode="bicubic", align_corners=False)


def _box(planes: Tensor, side: int) -> Tensor:
    """Means over squares of an odd side, of what there is of them."""
    return F.avg_pool2d(planes, side, 1, side // 2, count_include_pad=False)


def _shrink(picture: FloatArray, size: tuple[int, int]) -> FloatArray:
    planes = torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1)))[None]
    return _pixels(F.adaptive_avg_pool2d(planes, size)[0])


def loss(corrected: Tensor, target: Tensor) -> Tensor:
    """Distance of B×3×H×W pictures, their gradients and their structure."""
    error = (corrected - target).abs().mean()
    gradients = torch.stack(
        [(corrected.diff(dim=d) - target.diff(dim=d)).abs().mean() for d in (-1, -2)]
    ).sum()
    return error + 0.25 * gradients + 0.2 * (1 - ssim(corrected, target))


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

    def step(self, batch: Sample) -> float:
        """One optimiser step on a batch of crops; the loss."""
        rate = self.recipe.learning_rate * schedule(self.fraction, self.recipe.warm_up)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        batch = Sample(*(part.to(self.device) for part in batch))
        with torch.autocast(self.device.type, torch.bfloat16):
            lacking = self.model(batch.planes.float().to(memory_format=torch.channels_last))
        inside = (..., slice(_EDGE, -_EDGE), slice(_EDGE, -_EDGE))
        corrected = to_pixels(batch.guided.float() + lacking)
        value = loss(corrected[inside], to_pixels(batch.target.float())[inside])
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
        return float(value.detach())


class Pool:
    """The pictures that crops are drawn from; the oldest make way."""

    def __init__(self, recipe: DetailRecipe, sampler: Sampler, seed: int) -> None:
        self._recipe, self._sampler = recipe, sampler
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
        fitting = [s for s in self._sampler.draw() if min(s.planes.shape[1:]) >= least]
        self._samples = (self._samples + fitting)[-self._recipe.pool :]

    def _crop(self, index: np.integer) -> Sample:
        sample = self._samples[index]
        side, step = self._recipe.crop // CELL, STRIDE // CELL
        top, left = (
            step * int(self._random.integers((n - side) // step + 1))
            for n in sample.planes.shape[1:]
        )
        return Sample(*(t[:, top : top + side, left : left + side] for t in sample))


def train_detail(
    data: Path,
    folder: Path,
    recipe: DetailRecipe,
    *,
    model: str = "default",
    validation: Path | None = None,
    device: str = "auto",
    resume: bool = False,
    report_seconds: float = 120.0,
) -> Path:
    """Train on the scenes of `data` (a folder or a pack), with the surveys of `model`.

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
    chosen = choose_device(device)
    tune_allocator()
    folder.mkdir(parents=True, exist_ok=True)
    trainer = DetailTrainer(recipe, folder, chosen)
    trainer.begin(resume=resume)
    runner = Runner(model, device)
    scenes = load_scenes(data, free_only=True)
    watched = list(_watched(validation, runner)) if validation else []
    print(f"{len(scenes)} scenes, {chosen}, {recipe}", flush=True)
    try:
        _run(trainer, Sampler(scenes, runner, _stream(trainer)), watched, report_seconds)
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
    trainer: DetailTrainer, sampler: Sampler, watched: Sequence[Sample], report_seconds: float
) -> None:
    """Train until the budget is spent, saving and reporting every `report_seconds`."""
    recipe = trainer.recipe
    pool = Pool(recipe, sampler, _stream(trainer))
    pool.fill(min(_FIRST, recipe.pool))
    reported = time.monotonic()
    while trainer.fraction < 1:
        started = time.monotonic()
        if trainer.progress.step % recipe.fresh == 0:
            pool.renew()
        value = trainer.step(pool.batch())
        trainer.progress.seconds += time.monotonic() - started
        append_row(trainer.folder / "log.csv", {**asdict(trainer.progress), "loss": value})
        if not math.isfinite(value):
            raise InputError(f"training diverged at step {trainer.progress.step}")
        if trainer.fraction == 1 or time.monotonic() - reported > report_seconds:
            reported = time.monotonic()
            trainer.save()
            if watched:
                _report(trainer, watched)


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
