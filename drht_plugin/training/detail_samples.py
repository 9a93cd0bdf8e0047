"""What the detail network is trained on: shots with their surveys, laid out as it sees them."""

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
from drht_plugin.engine.survey.noise import NoiseMeter
from drht_plugin.engine.survey.overview import overview
from drht_plugin.engine.survey.survey import Overviews, estimate, make_scene
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
"""Share of views that are sharp to the pixel: views of panoramas are interpolated, and soft."""

_DARK_AND_NOISY = 0.3
"""Share of shots that are: of other shots few have noise that is lifted until it shows."""

_MIX = Mix(photographs=0.4, renditions=0.9)
_SHARP_MIX = Mix(photographs=1.0, renditions=0.6)
"""Of soft and of sharp views: photographs hold the texture of the real world at the pixel."""

_MOSAIC, _SMEARED = 0.4, 0.2
"""Shares of shots whose noise a camera has interpolated, and has denoised."""

_GRAINY = 0.5
"""Share of views with grain of the scene's own: patches of it, where noise is everywhere."""

_FINE = 7
"""Side of the box that, three times over, parts detail from tone, in pixels: σ 3.5."""

_SHORTEST = 16
"""Least side of an overview that stands for that of a larger picture."""


class Sample(NamedTuple):
    """One picture, 2×2 pixels a place, float16.

    planes: 96×h×w, what the network sees; guided: 12×h×w, T in guided detail; target: 12×h×w, see
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
        mosaic=bool(random.random() < _MOSAIC),
        smeared=bool(random.random() < _SMEARED),
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

    def __init__(self, scenes: Sequence[HdrImage], runner: Runner, seed: int) -> None:
        self._scenes, self._runner = scenes, runner
        self.photographer = Photographer(scenes, seed, _MIX)
        # Panoramas as they lie in their files: they hold more pixels than any view of them.
        self._flat_scenes = [replace(scene, panorama=False) for scene in scenes]
        self._flat = Photographer(self._flat_scenes, seed, _SHARP_MIX)
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
        scenes: Sequence[HdrImage] | None = None,
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
        fine = light - means(light, 3)
        height, width = light.shape[-2:]
        texture = random.uniform(0, 2) * fine.clamp(-0.5, 0.5)
        if random.random() < _GRAINY:
            grain = torch.randn((1, 1, height, width), generator=self._noise)
            if random.random() < 0.5:
                grain = 2 * means(grain, 3)
            where = torch.rand((1, 1, 5, 5), generator=self._noise) ** 2
            where = F.interpolate(where, (height, width), mode="bilinear", align_corners=False)
            most = _log_uniform(random, 0.01, 0.25)
            texture = texture + most * where * grain
        radiance = (light + texture).exp().clamp(max=transfer.H_MAX)
        curve, sensor = cameras(shots, light.device)
        # Display codes go about with the square root of light.
        true_ldr = (triplets.true_ldr * (0.5 * texture).exp()).clamp(0, 1)
        return Triplets(
            virtual_camera.shoot(radiance, curve, sensor, self._noise),
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
            mosaic = virtual_camera.shoot(triplets.true_hdr[part], curve, raw, self._noise)
            coded = virtual_camera.jpeg(
                _resize(mosaic, size).clamp(0, 1), sensor.jpeg, sensor.halved
            )
            steps = torch.round(coded * 255) / 255
            ldr = torch.where(sensor.quantised.view(-1, 1, 1, 1), steps, coded)
        else:
            ldr = virtual_camera.shoot(radiance, curve, sensor, self._noise)
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
        spec = spec_of(coded)
        # The view stands for a larger picture: what is flat in its overview is flat.
        overviews = estimate(*overview(coded, spec), self._runner, spec, enlarged=False)
        if coarser > 1:
            overviews = _coarser(overviews, coarser)
        rows, columns = cut.ldr.shape[-2:]
        spec = replace(
            spec,
            height=max(round(height * enlarged), cut.top + rows),
            width=max(round(width * enlarged), cut.left + columns),
        )
        return _laid_out(make_scene(overviews, _noise_of(cut), spec), cut)


def _coarser(overviews: Overviews, factor: float) -> Overviews:
    """The overviews of a picture that is so many times larger than the one that was surveyed."""
    rows, columns = (max(_SHORTEST, round(side / factor)) for side in overviews.ldr.shape[:2])
    size = rows, columns
    light = _shrink(transfer.srgb_decode(overviews.ldr).astype(np.float32), size)
    return Overviews(
        transfer.srgb_encode(light).astype(np.float32),
        _shrink(overviews.y, size),
        _shrink(overviews.corrected, size),
        np.ones(size, np.float32),
    )


def _noise_of(cut: Cut) -> FloatArray:
    """The noise of a cut's pixels, which are those of the full-size picture."""
    pixels = _pixels(cut.ldr)
    meter = NoiseMeter(spec_of(pixels))
    overview(pixels, spec_of(pixels), meter=meter)
    return meter.curve()


def _laid_out(scene: Scene, cut: Cut) -> Sample:
    place = Window(cut.top, cut.left)
    pixels = _pixels(cut.ldr)
    guided = guided_tone(scene, pixels, place)
    clean = guided_tone(scene, _pixels(cut.clean.clamp(0, 1)), place)
    rows, columns = pixels.shape[:2]
    down, across = np.arange(cut.top, cut.top + rows), np.arange(cut.left, cut.left + columns)
    planes = np.empty(planes_shape(rows, columns), np.float32)
    network_planes(Tile(scene, pixels, guided, down, across), planes)
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
    return (true_ldr + means(clean - true_ldr, _FINE, times=3)).clamp(0, 1)


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


def means(planes: Tensor, side: int, times: int = 1) -> Tensor:
    """Means over squares of an odd side, of what there is of them; so many times over."""
    for _ in range(times):
        planes = virtual_camera.box_mean(planes, side)
    return planes


def _shrink(picture: FloatArray, size: tuple[int, int]) -> FloatArray:
    planes = torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1)))[None]
    return _pixels(F.adaptive_avg_pool2d(planes, size)[0])
