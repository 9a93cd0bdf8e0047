"""Triplets (input LDR, true HDR, true LDR) by the virtual camera, a batch at a time.

What is drawn is a `Shot`: plain numbers, made on the CPU from a seed, so that the same seed
gives the same shots on every device. `render_triplets` turns shots into tensors.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from drht_plugin import camera
from drht_plugin.bridge.transfer import H_MAX
from drht_plugin.camera import Aim, Curve, Scene, Sensor
from drht_plugin.training.tonemap import fusion


@dataclass(frozen=True)
class Shot:
    """How one LDR picture is taken of a view.

    stops: EV relative to the metered exposure. exponent, middle, srgb: camera curve (see
    `camera.Curve`); shot_noise, read_noise, quantised, jpeg: see `camera.Sensor`;
    metered_highlights: expose for the brightest 2 % instead of the mean (a backlit scene);
    own_target: a well-exposed shot whose true LDR is itself, without its noise.
    """

    stops: float
    exponent: float
    middle: float
    srgb: bool
    shot_noise: float
    read_noise: float
    quantised: bool
    jpeg: int
    halved: bool = False
    metered_highlights: bool = False
    own_target: bool = False


@dataclass(frozen=True)
class ViewPlan:
    """One view of a scene, its look, and the shots taken of it.

    red, blue: white-balance gains; saturation: factor of the chroma. Both change the scene as
    such, input and truth alike.
    """

    scene: int
    aim: Aim
    red: float
    blue: float
    saturation: float
    shots: tuple[Shot, ...]


@dataclass(frozen=True)
class Triplets:
    """A batch of B×3×H×W pictures.

    ldr, true_ldr: display-encoded in 0..1; true_hdr: H = 1 at the input's clip point, at most
    `H_MAX`; source_clipped: B×1×H×W, 1 where the source is clipped.
    """

    ldr: Tensor
    true_hdr: Tensor
    true_ldr: Tensor
    source_clipped: Tensor


class Photographer:
    """Draws views and shots at random, deterministic by seed."""

    def __init__(self, scenes: Sequence[Scene], seed: int) -> None:
        self._random = np.random.default_rng(seed)
        self._scenes = scenes
        self._bright = [_bright_directions(scene) for scene in scenes]

    def view(self, shots: int, scene: int | None = None) -> ViewPlan:
        """A random view of a random (or the given) scene, with so many training shots."""
        random = self._random
        if scene is None:
            scene = int(random.integers(len(self._scenes)))
        return ViewPlan(
            scene=scene,
            aim=self._aim(scene),
            red=math.exp(random.normal(0, 0.1)),
            blue=math.exp(random.normal(0, 0.1)),
            saturation=random.uniform(0.8, 1.3),
            shots=tuple(self.shot() for _ in range(shots)),
        )

    def _aim(self, scene: int) -> Aim:
        random = self._random
        mirrored = bool(random.random() < 0.5)
        if not self._scenes[scene].panorama:
            return Aim(
                roll=random.normal(0, 0.03),
                x=random.random(),
                y=random.random(),
                zoom=random.uniform(0.45, 1.0),
                mirrored=mirrored,
            )
        yaw = random.uniform(-math.pi, math.pi)
        pitch = random.normal(0, 0.2)
        if random.random() < 0.5:
            directions = self._bright[scene]
            yaw, height = directions[random.integers(len(directions))]
            yaw += random.normal(0, 0.35)
            pitch = float(height) * random.uniform(0.2, 1.0) + random.normal(0, 0.2)
        return Aim(
            yaw=float(yaw),
            pitch=float(np.clip(pitch, -0.7, 0.8)),
            roll=random.normal(0, 0.03),
            field_of_view=math.radians(random.uniform(55, 105)),
            mirrored=mirrored,
        )

    def shot(self, stops: float | None = None) -> Shot:
        """A random shot; `stops` fixes its exposure."""
        random = self._random
        kind = random.random()
        own_target = highlights = False
        if stops is None:
            if kind < 0.14:
                own_target, stops = True, random.uniform(-0.4, 0.4)
            elif kind < 0.22:
                highlights, stops = True, random.uniform(-2.0, 1.5)
            elif kind < 0.52:
                stops = random.uniform(-5.0, -0.8)
            elif kind < 0.72:
                stops = random.uniform(-0.8, 0.8)
            else:
                stops = random.uniform(0.8, 4.0)
        return Shot(
            stops=stops,
            exponent=random.uniform(0.75, 0.9),
            middle=random.uniform(0.10, 0.15),
            srgb=bool(random.random() < 0.1),
            shot_noise=math.exp(random.uniform(math.log(1e-6), math.log(5e-4))),
            read_noise=math.exp(random.uniform(math.log(1e-4), math.log(2e-3))),
            quantised=bool(random.random() < 0.7),
            jpeg=int(random.integers(60, 97)) if random.random() < 0.25 else 0,
            metered_highlights=highlights,
            own_target=own_target,
        )


def _bright_directions(scene: Scene) -> np.ndarray:
    """Yaw and pitch of directions drawn by how far their light is above the median, n×2."""
    if not scene.panorama:
        return np.zeros((1, 2))
    light = camera.luminance(scene.radiance[:3].float())[None]
    light = F.adaptive_avg_pool2d(light, (32, 64))[0, 0]
    weight = torch.log2(1 + light / light.median().clamp_min(1e-6)) ** 2
    pitch = (0.5 - (torch.arange(32) + 0.5) / 32) * math.pi
    weight = weight * torch.cos(pitch).view(-1, 1) * (pitch > -0.5).view(-1, 1)
    count = np.floor(weight.numpy() / weight.sum().item() * 2000 + 0.5).astype(int)
    rows, columns = np.nonzero(count)
    repeats = count[rows, columns]
    yaw = ((columns + 0.5) / 64 - 0.5) * 2 * math.pi
    return np.repeat(np.stack([yaw, pitch.numpy()[rows]], 1), repeats, 0)


def render_triplets(
    scenes: Sequence[Scene],
    plans: Sequence[ViewPlan],
    height: int,
    width: int,
    generator: torch.Generator,
) -> Triplets:
    """Take every shot of every plan; the shots of a view share its true LDR.

    height, width: multiples of 8. The noise comes from `generator`, which lives on the
    scenes' device.
    """
    views = torch.stack([camera.view(scenes[p.scene], p.aim, height, width) for p in plans])
    radiance, clipped = views[:, :3].clamp_min(0), views[:, 3:]
    radiance = _look(radiance, plans)
    mapped = fusion(radiance)
    owner = [i for i, plan in enumerate(plans) for _ in plan.shots]
    shots = [shot for plan in plans for shot in plan.shots]
    index = torch.tensor(owner, device=radiance.device)

    def values(name: str, dtype: torch.dtype = torch.float32) -> Tensor:
        return torch.tensor([getattr(s, name) for s in shots], dtype=dtype, device=radiance.device)

    exposure = camera.metered_exposure(radiance)
    bright = torch.quantile(camera.luminance(radiance).flatten(1), 0.98, dim=1)
    highlights = torch.minimum(0.8 / bright.clamp_min(1e-6), exposure)
    metered = torch.where(
        values("metered_highlights", torch.bool), highlights[index], exposure[index]
    )
    exposed = radiance[index] * (metered * torch.exp2(values("stops"))).view(-1, 1, 1, 1)
    curve, sensor = cameras(shots, radiance.device)
    ldr = camera.shoot(exposed, curve, sensor, generator)
    own = values("own_target", torch.bool) & _well_exposed(exposed)
    target = torch.where(own.view(-1, 1, 1, 1), curve.encode(exposed), mapped[index])
    return Triplets(ldr, exposed.clamp(max=H_MAX), target, clipped[index])


def cameras(shots: Sequence[Shot], device: torch.device) -> tuple[Curve, Sensor]:
    """The camera curve and the sensor of each shot."""

    def values(name: str, dtype: torch.dtype = torch.float32) -> Tensor:
        return torch.tensor([getattr(s, name) for s in shots], dtype=dtype, device=device)

    curve = Curve(values("exponent"), values("middle"), values("srgb", torch.bool))
    sensor = Sensor(
        values("shot_noise"),
        values("read_noise"),
        values("quantised", torch.bool),
        values("jpeg"),
        values("halved", torch.bool),
    )
    return curve, sensor


def _look(radiance: Tensor, plans: Sequence[ViewPlan]) -> Tensor:
    gains = [[p.red, 1.0, p.blue] for p in plans]
    radiance = radiance * radiance.new_tensor(gains).view(-1, 3, 1, 1)
    saturation = radiance.new_tensor([p.saturation for p in plans]).view(-1, 1, 1, 1)
    light = camera.luminance(radiance)
    return (light + (radiance - light) * saturation).clamp_min(0)


def _well_exposed(exposed: Tensor) -> Tensor:
    """Whether a shot holds its scene: at most 1.5 % clipped and 10 % five stops below."""
    light = camera.luminance(exposed).flatten(1)
    return ((light > 1).float().mean(1) < 0.015) & ((light < 1 / 64).float().mean(1) < 0.1)
