"""Training samples of the detail network: shots with their surveys, as input planes and targets."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from drht_plugin import virtual_camera
from drht_plugin.bridge import transfer
from drht_plugin.bridge.sizes import CELL
from drht_plugin.engine.pixels import spec_of
from drht_plugin.engine.render.guided import guided_tone
from drht_plugin.engine.render.network.tile import Tile, network_planes, planes_shape
from drht_plugin.engine.scene import Scene
from drht_plugin.engine.survey.make import Overviews, estimate, make_scene
from drht_plugin.engine.survey.noise import NoiseMeter
from drht_plugin.engine.survey.overview import overview
from drht_plugin.geometry import Window
from drht_plugin.model.runner import Runner
from drht_plugin.training.triplets import (
    Mix,
    Photographer,
    Shot,
    Triplets,
    ViewPlan,
    cameras,
    render_triplets,
)
from drht_plugin.virtual_camera import HdrImage

FloatArray = npt.NDArray[np.float32]

_SHARP = 0.7
"""Share of views that are sharp to the pixel; views of panoramas are interpolated, so soft."""

_DARK_AND_NOISY = 0.3
"""Share of dark and noisy shots; few of the others have noise that shows once it is lifted."""

_MIX = Mix(photographs=0.4, renditions=0.9)
_SHARP_MIX = Mix(photographs=1.0, renditions=0.6)
"""Mixes of soft and of sharp views; photographs have real-world texture at the pixel scale."""

_MOSAIC, _DENOISED = 0.4, 0.2
"""Shares of shots whose noise was demosaicked, and whose noise was denoised, by the camera."""

_GRAINY = 0.5
"""Share of views whose scene itself has grain, in patches; sensor noise is everywhere."""

_FINE = 7
"""Side in pixels of the box filter that, applied three times (σ 3.5), separates detail and tone."""

_SHORTEST = 16
"""Smallest side in pixels of an overview that is reduced to stand for a larger picture's."""


class Sample(NamedTuple):
    """One picture as the network sees it, in cells of 2×2 pixels, float16.

    Attributes:
        planes: 96×h×w, input of the network.
        guided: 12×h×w, T in guided detail.
        target: 12×h×w, see `detail_target`.
        true_ldr: 12×h×w, display codes in 0..1.
    """

    planes: Tensor
    guided: Tensor
    target: Tensor
    true_ldr: Tensor


class Crop(NamedTuple):
    """A part of a shot, or all of it.

    Attributes:
        ldr: 3×H×W display codes in 0..1, as taken.
        clean: 3×H×W display codes without noise and coding losses.
        true_ldr: 3×H×W display codes in 0..1 of the true LDR.
        top: first row in the whole picture.
        left: first column in the whole picture.
    """

    ldr: Tensor
    clean: Tensor
    true_ldr: Tensor
    top: int = 0
    left: int = 0


def degrade_shot(shot: Shot, random: np.random.Generator) -> Shot:
    """Make a shot more like full-size pictures: more often JPEG, noisier, and often dark.

    Args:
        shot: the shot.
        random: source of the choices.

    Returns:
        The degraded shot.
    """
    least = 50 if random.random() < 0.3 else 80
    jpeg = int(random.integers(least, 99)) if random.random() < 0.6 else 0
    shot = replace(
        shot,
        jpeg=jpeg,
        subsampled=bool(random.random() < 0.6),
        quantised=bool(random.random() < 0.85),
        mosaic=bool(random.random() < _MOSAIC),
        denoised=bool(random.random() < _DENOISED),
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
    # Many shots are nearly free of noise, dark ones too, so that dark does not imply noisy.
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
    """Renders pictures with their surveys; the picture is 1 to 32 times as large as its overview.

    Args:
        scenes: images to take views of.
        runner: networks of the survey.
        seed: seed for views and noise.
    """

    def __init__(self, scenes: Sequence[HdrImage], runner: Runner, seed: int) -> None:
        self._scenes, self._runner = scenes, runner
        self.photographer = Photographer(scenes, seed, _MIX)
        # Panoramas are used unprojected too, because they hold more pixels than any view of them.
        self._flat_scenes = [replace(scene, panorama=False) for scene in scenes]
        self._flat = Photographer(self._flat_scenes, seed, _SHARP_MIX)
        self._random = np.random.default_rng(seed)
        self._noise = torch.Generator().manual_seed(seed)

    def draw(self) -> list[Sample]:
        """Render two shots of a random view or, which is sharper, of a whole reduced image.

        Returns:
            One sample per shot.
        """
        random = self._random
        sharp = random.random() < _SHARP
        photographer = self._flat if sharp else self.photographer
        plan = photographer.view(2)
        plan = replace(plan, shots=tuple(degrade_shot(s, random) for s in plan.shots))
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
        scenes: Sequence[HdrImage] | None = None,
    ) -> list[Sample]:
        """Render the shots of one view.

        Args:
            plan: the view and its shots.
            size: height and width in pixels.
            coarser: factor by which the overview is reduced, as if the view were part of a larger
                picture; 1 or more.
            enlarged: factor by which a part of the view is enlarged, because full-size pictures
                are soft; 1 or more.
            scenes: images that `plan.scene` indexes; None for the sampler's own.

        Returns:
            One sample per shot.
        """
        triplets = render_triplets(scenes or self._scenes, [plan], *size, self._noise)
        triplets = self._textured(triplets, plan.shots)
        crops = self._crops(triplets, plan.shots, enlarged)
        return [
            self._sample(_pixels(whole), shot, crop, coarser, enlarged)
            for whole, shot, crop in zip(triplets.ldr, plan.shots, crops, strict=True)
        ]

    def _textured(self, triplets: Triplets, shots: Sequence[Shot]) -> Triplets:
        """Add fine texture, which photographs have and compressed HDR images lack.

        Amplifies structures finer than three pixels and adds grain to the scene. Both belong to
        the scene, not to the noise: they appear in the shot and in its clean form.
        """
        random, light = self._random, triplets.true_hdr.clamp_min(1e-5).log()
        fine = light - repeated_box_mean(light, 3)
        height, width = light.shape[-2:]
        texture = random.uniform(0, 2) * fine.clamp(-0.5, 0.5)
        if random.random() < _GRAINY:
            grain = torch.randn((1, 1, height, width), generator=self._noise)
            if random.random() < 0.5:
                grain = 2 * repeated_box_mean(grain, 3)
            where = torch.rand((1, 1, 5, 5), generator=self._noise) ** 2
            where = F.interpolate(where, (height, width), mode="bilinear", align_corners=False)
            most = _log_uniform(random, 0.01, 0.25)
            texture = texture + most * where * grain
        radiance = (light + texture).exp().clamp(max=transfer.H_MAX)
        curve, sensor = cameras(shots, light.device)
        # Display codes are roughly the square root of light.
        true_ldr = (triplets.true_ldr * (0.5 * texture).exp()).clamp(0, 1)
        return Triplets(
            virtual_camera.shoot(radiance, curve, sensor, self._noise),
            radiance,
            true_ldr,
            triplets.source_clipped,
        )

    def _crops(self, triplets: Triplets, shots: Sequence[Shot], enlarged: float) -> list[Crop]:
        """Return the whole shots, or enlarged parts of them."""
        curve, sensor = cameras(shots, triplets.ldr.device)
        if enlarged == 1:
            clean = curve.encode(triplets.true_hdr)
            return [
                Crop(*parts) for parts in zip(triplets.ldr, clean, triplets.true_ldr, strict=True)
            ]
        height, width = triplets.ldr.shape[-2:]
        rows, columns = (16 * max(1, int(side / enlarged / 16)) for side in (height, width))
        top = int(self._random.integers(height - rows + 1))
        left = int(self._random.integers(width - columns + 1))
        size = tuple(16 * round(side * enlarged / 16) for side in (rows, columns))
        part = (..., slice(top, top + rows), slice(left, left + columns))
        radiance = _resize(triplets.true_hdr[part].clamp_min(1e-5).log(), size).exp()
        if self._random.random() < 0.5:
            # Noise that was interpolated together with the picture.
            raw = replace(sensor, jpeg=sensor.jpeg * 0, quantised=sensor.quantised & False)
            mosaic = virtual_camera.shoot(triplets.true_hdr[part], curve, raw, self._noise)
            coded = virtual_camera.jpeg(
                _resize(mosaic, size).clamp(0, 1), sensor.jpeg, sensor.subsampled
            )
            steps = torch.round(coded * 255) / 255
            ldr = torch.where(sensor.quantised.view(-1, 1, 1, 1), steps, coded)
        else:
            ldr = virtual_camera.shoot(radiance, curve, sensor, self._noise)
        true_ldr = _resize(triplets.true_ldr[part], size).clamp(0, 1)
        place = round(top * size[0] / rows), round(left * size[1] / columns)
        return [
            Crop(*parts, *place)
            for parts in zip(ldr, curve.encode(radiance), true_ldr, strict=True)
        ]

    def _sample(
        self, whole: FloatArray, shot: Shot, crop: Crop, coarser: float, enlarged: float
    ) -> Sample:
        """Return the sample of a crop, with the survey of the whole picture."""
        height, width = whole.shape[:2]
        coded = np.rint(whole * 255).astype(np.uint8) if shot.quantised else whole
        spec = spec_of(coded)
        # The view stands for a larger picture, so its overview is not an enlarged one.
        overviews = estimate(*overview(coded, spec), self._runner, spec, enlarged=False)
        if coarser > 1:
            overviews = _coarser(overviews, coarser)
        rows, columns = crop.ldr.shape[-2:]
        spec = replace(
            spec,
            height=max(round(height * enlarged), crop.top + rows),
            width=max(round(width * enlarged), crop.left + columns),
        )
        return _make_sample(make_scene(overviews, _noise_of(crop), spec), crop)


def _coarser(overviews: Overviews, factor: float) -> Overviews:
    """Reduce the overviews to those of a picture `factor` times as large."""
    rows, columns = (max(_SHORTEST, round(side / factor)) for side in overviews.ldr.shape[:2])
    size = rows, columns
    light = _shrink(transfer.srgb_decode(overviews.ldr).astype(np.float32), size)
    return Overviews(
        transfer.srgb_encode(light).astype(np.float32),
        _shrink(overviews.y, size),
        _shrink(overviews.corrected, size),
        np.ones(size, np.float32),
    )


def _noise_of(crop: Crop) -> FloatArray:
    """Measure the noise curve of a crop, whose pixels are those of the full-size picture."""
    pixels = _pixels(crop.ldr)
    meter = NoiseMeter(spec_of(pixels))
    overview(pixels, spec_of(pixels), meter=meter)
    return meter.curve()


def _make_sample(scene: Scene, crop: Crop) -> Sample:
    """Render a crop in guided detail and lay it out for the network."""
    place = Window(crop.top, crop.left)
    pixels = _pixels(crop.ldr)
    guided = guided_tone(scene, pixels, place)
    clean = guided_tone(scene, _pixels(crop.clean.clamp(0, 1)), place)
    rows, columns = pixels.shape[:2]
    down, across = np.arange(crop.top, crop.top + rows), np.arange(crop.left, crop.left + columns)
    planes = np.empty(planes_shape(rows, columns), np.float32)
    network_planes(Tile(scene, pixels, guided, down, across), planes)
    made, lossless = (torch.from_numpy(p).permute(2, 0, 1)[None] for p in (guided, clean))
    true_ldr = crop.true_ldr[None]
    return Sample(
        torch.from_numpy(planes).permute(2, 0, 1).half(),
        *(to_cells(p)[0].half() for p in (made, detail_target(lossless, true_ldr), true_ldr)),
    )


def detail_target(clean: Tensor, true_ldr: Tensor) -> Tensor:
    """Return the target of network detail: the true LDR's detail in the tone of guided detail.

    Tone is decided by the survey. A tile cannot know it, and errors of tone would outweigh the
    detail that it can learn.

    Args:
        clean: B×3×H×W, guided T of the shot without noise and coding losses, 0..1.
        true_ldr: B×3×H×W, the true LDR, 0..1.

    Returns:
        B×3×H×W target in 0..1.
    """
    return (true_ldr + repeated_box_mean(clean - true_ldr, _FINE, times=3)).clamp(0, 1)


def to_cells(picture: Tensor) -> Tensor:
    """Group 2×2 pixels into the channels of one cell, in the network's order.

    Args:
        picture: B×3×H×W, even H and W.

    Returns:
        B×12×(H/2)×(W/2).
    """
    batch, colours, height, width = picture.shape
    split = picture.reshape(batch, colours, height // CELL, CELL, width // CELL, CELL)
    return split.permute(0, 3, 5, 1, 2, 4).reshape(batch, -1, height // CELL, width // CELL)


def to_pixels(cells: Tensor) -> Tensor:
    """Undo `to_cells`.

    Args:
        cells: B×12×h×w.

    Returns:
        B×3×2h×2w.
    """
    batch, _, rows, columns = cells.shape
    split = cells.reshape(batch, CELL, CELL, 3, rows, columns).permute(0, 3, 4, 1, 5, 2)
    return split.reshape(batch, 3, rows * CELL, columns * CELL)


def _pixels(planes: Tensor) -> FloatArray:
    return np.ascontiguousarray(planes.permute(1, 2, 0).numpy())


def _resize(planes: Tensor, size: tuple[int, ...]) -> Tensor:
    return F.interpolate(planes, size, mode="bicubic", align_corners=False)


def repeated_box_mean(planes: Tensor, side: int, times: int = 1) -> Tensor:
    """Apply a box filter repeatedly; at the border, average the pixels that exist.

    Args:
        planes: B×C×H×W.
        side: side of the box in pixels, odd.
        times: number of passes.

    Returns:
        B×C×H×W.
    """
    for _ in range(times):
        planes = virtual_camera.box_mean(planes, side)
    return planes


def _shrink(picture: FloatArray, size: tuple[int, int]) -> FloatArray:
    planes = torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1)))[None]
    return _pixels(F.adaptive_avg_pool2d(planes, size)[0])
