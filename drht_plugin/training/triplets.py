"""Triplets (input LDR, true HDR, true LDR) by the virtual camera, a batch at a time.

What is drawn is a `Shot`: plain numbers, made on the CPU from a seed, so that the same seed
gives the same shots on every device. `render_triplets` turns shots into tensors.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from drht_plugin import virtual_camera
from drht_plugin.bridge.transfer import H_MAX
from drht_plugin.training.pages import draw_page
from drht_plugin.training.tonemap import fusion
from drht_plugin.virtual_camera import Aim, Curve, HdrImage, Sensor


@dataclass(frozen=True)
class Shot:
    """How one LDR picture is taken of a view.

    stops: EV relative to the metered exposure. exponent, middle, srgb: camera curve (see
    `camera.Curve`); shot_noise, read_noise, quantised, jpeg: see `camera.Sensor`;
    metered_highlights: expose for the brightest 2 % instead of the mean (a backlit scene);
    as_it_is: the exposure that the scene's own rendition has, instead of a metered one;
    own_target: a well-exposed shot whose true LDR is itself, without its noise;
    mosaic, smeared: see `camera.Sensor`.
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
    as_it_is: bool = False
    own_target: bool = False
    mosaic: bool = False
    smeared: bool = False


@dataclass(frozen=True)
class ViewPlan:
    """One view of a scene, its look, and the shots taken of it.

    red, blue: white-balance gains; saturation: factor of the chroma; contrast: exponent of the
    light around its median; light: EV of light added in so many squares, row after row, smoothly,
    or empty; page: seed of a page that the view is an inset of, see `pages`, or −1. All change
    the scene as such, input and truth alike; a page has its own looks only.
    """

    scene: int
    aim: Aim
    red: float
    blue: float
    saturation: float
    shots: tuple[Shot, ...]
    contrast: float = 1.0
    light: tuple[float, ...] = ()
    page: int = -1


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


@dataclass(frozen=True)
class Mix:
    """What a training draws beside plain views of its scenes; shares in 0..1.

    photographs: of the views, of photographs, where there are any; negative: as many as there are.
    renditions: of those, of well-exposed photographs (`HdrImage.rendition`).
    pages: of the views of these, made pages or objects before white.
    kept: of their other shots, exposed as they are, whose true LDR is themselves.
    turned: views on their side or upside down. contrast: standard deviation of its exponent.
    lit: views with a smooth light of their own, of up to 1.2 EV.
    """

    photographs: float = -1.0
    renditions: float = 0.0
    pages: float = 0.0
    kept: float = 0.0
    turned: float = 0.0
    contrast: float = 0.0
    lit: float = 0.0


PLAIN = Mix()
"""Views of all scenes alike, as the evaluation draws them."""


class Photographer:
    """Draws views and shots at random, deterministic by seed.

    What `mix` adds is drawn from numbers of its own: plain views stay what they are without it.
    """

    def __init__(self, scenes: Sequence[HdrImage], seed: int, mix: Mix = PLAIN) -> None:
        self._random = np.random.default_rng(seed)
        self._more = np.random.default_rng([seed, 1])
        self._scenes, self._mix = scenes, mix
        self._bright = [_bright_directions(scene) for scene in scenes]
        kinds = [(scene.panorama, scene.rendition) for scene in scenes]
        self._panoramas, self._photographs, self._renditions = (
            [i for i, kind in enumerate(kinds) if kind == wanted]
            for wanted in ((True, False), (False, False), (False, True))
        )

    def view(self, shots: int, scene: int | None = None) -> ViewPlan:
        """A random view of a random (or the given) scene, with so many training shots."""
        random = self._random
        if scene is None:
            scene = self._scene()
        plan = ViewPlan(
            scene=scene,
            aim=self._aim(scene),
            red=math.exp(random.normal(0, 0.1)),
            blue=math.exp(random.normal(0, 0.1)),
            saturation=random.uniform(0.8, 1.3),
            shots=tuple(self.shot() for _ in range(shots)),
        )
        return plan if self._mix == PLAIN else self._mixed(plan)

    def _scene(self) -> int:
        mix, more = self._mix, self._more
        if mix.photographs < 0:
            return int(self._random.integers(len(self._scenes)))
        # Without scenes of a kind, those that there are stand in.
        of_photographs = self._photographs + self._renditions
        if more.random() >= mix.photographs or not of_photographs:
            choice = self._panoramas or of_photographs
        elif more.random() < mix.renditions:
            choice = self._renditions or of_photographs
        else:
            choice = self._photographs or of_photographs
        return choice[int(more.integers(len(choice)))]

    def _mixed(self, plan: ViewPlan) -> ViewPlan:
        """A plain view with what the mix adds to it."""
        mix, more = self._mix, self._more
        aim, shots = plan.aim, plan.shots
        if more.random() < mix.turned:
            quarters = int(more.choice((1, 1, 3, 3, 2)))
            aim = replace(aim, roll=aim.roll + quarters * math.pi / 2)
        contrast = float(np.clip(more.normal(1, mix.contrast), 0.8, 1.25))
        light: tuple[float, ...] = ()
        if more.random() < mix.lit:
            most = more.uniform(0, 1.2)
            light = tuple(float(v) for v in more.uniform(-most, most, _LIGHTS * _LIGHTS))
        plan = replace(plan, aim=aim, contrast=contrast, light=light)
        if not self._scenes[plan.scene].rendition:
            return plan
        # A developed photograph is as colourful as it should be.
        plan = replace(plan, saturation=more.uniform(0.8, 1.08))
        if more.random() < mix.pages:
            shots = tuple(self._page_shot(shot) for shot in shots)
            return replace(plan, page=int(more.integers(1 << 31)), shots=shots)
        return replace(plan, shots=tuple(self._kept(shot) for shot in shots))

    def _page_shot(self, shot: Shot) -> Shot:
        kind, more = self._more.random(), self._more
        stops = 0.0
        if kind >= 0.6:
            stops = more.uniform(-3, -0.5) if kind < 0.8 else more.uniform(0.3, 1.5)
        return replace(shot, stops=stops, as_it_is=True, own_target=False, metered_highlights=False)

    def _kept(self, shot: Shot) -> Shot:
        if self._more.random() >= self._mix.kept:
            return shot
        stops = float(self._more.normal(0, 0.12))
        return replace(shot, stops=stops, as_it_is=True, own_target=True, metered_highlights=False)

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


_LIGHTS = 4
"""Squares of a view's own light, each way."""


def _bright_directions(scene: HdrImage) -> np.ndarray:
    """Yaw and pitch of directions drawn by how far their light is above the median, n×2."""
    if not scene.panorama:
        return np.zeros((1, 2))
    light = virtual_camera.luminance(scene.radiance[:3].float())[None]
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
    scenes: Sequence[HdrImage],
    plans: Sequence[ViewPlan],
    height: int,
    width: int,
    generator: torch.Generator,
) -> Triplets:
    """Take every shot of every plan; the shots of a view share its true LDR.

    height, width: multiples of 8. The noise comes from `generator`, which lives on the
    scenes' device. All views are worked on at once; what decides what is computed is known
    beforehand, so that no device is waited for.
    """
    seen = virtual_camera.views(
        [scenes[p.scene] for p in plans], [p.aim for p in plans], height, width
    )
    radiance, clipped = seen[:, :3].clamp_min(0), seen[:, 3:]
    device = radiance.device
    radiance = _look(radiance, plans)
    paged = [i for i, plan in enumerate(plans) if plan.page >= 0]
    for i in paged:
        ground, mask = (
            virtual_camera.sent(t, device) for t in draw_page(plans[i].page, height, width)
        )
        radiance[i] = ground * (1 - mask) + seen[i, :3].clamp(0, 1) * mask
        clipped[i] = 0
    mapped = fusion(radiance)
    owner = [i for i, plan in enumerate(plans) for _ in plan.shots]
    shots = [shot for plan in plans for shot in plan.shots]
    index = virtual_camera.sent(owner, device)

    def flags(values: Iterable[bool]) -> Tensor:
        return virtual_camera.sent(list(values), device)

    exposure = virtual_camera.metered_exposure(radiance)
    bright = torch.quantile(virtual_camera.luminance(radiance).flatten(1), 0.98, dim=1)
    highlights = torch.minimum(0.8 / bright.clamp_min(1e-6), exposure)
    metered = torch.where(
        flags(s.metered_highlights for s in shots), highlights[index], exposure[index]
    )
    kept = flags(s.as_it_is for s in shots)
    metered = torch.where(kept, torch.ones_like(metered), metered)
    stops = torch.exp2(virtual_camera.sent([s.stops for s in shots], device))
    exposed = radiance[index] * (metered * stops).view(-1, 1, 1, 1)
    curve, sensor = cameras(shots, device)
    ldr = virtual_camera.shoot(exposed, curve, sensor, generator)
    own = flags(s.own_target for s in shots) & (kept | _well_exposed(exposed))
    target = torch.where(own.view(-1, 1, 1, 1), curve.encode(exposed), mapped[index])
    of_page = flags(plans[i].page >= 0 for i in owner).view(-1, 1, 1, 1)
    if paged:
        target = torch.where(of_page, curve.encode(radiance[index]), target)
    return Triplets(ldr, exposed.clamp(max=H_MAX), target, clipped[index])


def cameras(shots: Sequence[Shot], device: torch.device) -> tuple[Curve, Sensor]:
    """The camera curve and the sensor of each shot."""

    def values(name: str, dtype: torch.dtype = torch.float32) -> Tensor:
        return torch.tensor([getattr(s, name) for s in shots], dtype=dtype)

    def flags(name: str) -> Tensor | None:
        """None where there are none, so that they cost nothing."""
        given = values(name, torch.bool)
        return virtual_camera.sent(given, device) if bool(given.any()) else None

    curve = Curve(
        exponent=virtual_camera.sent(values("exponent"), device),
        middle=virtual_camera.sent(values("middle"), device),
        srgb=virtual_camera.sent(values("srgb", torch.bool), device),
    )
    sensor = Sensor(
        shot=virtual_camera.sent(values("shot_noise"), device),
        read=virtual_camera.sent(values("read_noise"), device),
        quantised=virtual_camera.sent(values("quantised", torch.bool), device),
        # These two stay on the CPU, see `camera.Sensor`.
        jpeg=values("jpeg"),
        halved=values("halved", torch.bool),
        mosaic=flags("mosaic"),
        smeared=flags("smeared"),
    )
    return curve, sensor


def _look(radiance: Tensor, plans: Sequence[ViewPlan]) -> Tensor:
    device = radiance.device
    gains = virtual_camera.sent([[p.red, 1.0, p.blue] for p in plans], device)
    radiance = radiance * gains.view(-1, 3, 1, 1)
    saturation = virtual_camera.sent([p.saturation for p in plans], device).view(-1, 1, 1, 1)
    light = virtual_camera.luminance(radiance)
    radiance = (light + (radiance - light) * saturation).clamp_min(0)
    if any(p.contrast != 1 for p in plans):
        exponent = virtual_camera.sent([p.contrast - 1 for p in plans], device).view(-1, 1, 1, 1)
        light = virtual_camera.luminance(radiance)
        middle = light.flatten(1).median(1).values.view(-1, 1, 1, 1).clamp_min(1e-6)
        # Within six EV of the middle; beyond, light is scaled alike.
        radiance = radiance * (light / middle).clamp(1 / 64, 64) ** exponent
    if any(p.light for p in plans):
        none = (0.0,) * (_LIGHTS * _LIGHTS)
        squares = virtual_camera.sent([p.light or none for p in plans], device)
        squares = squares.view(-1, 1, _LIGHTS, _LIGHTS)
        stops = F.interpolate(squares, radiance.shape[-2:], mode="bicubic", align_corners=False)
        radiance = radiance * torch.exp2(stops)
    return radiance


def _well_exposed(exposed: Tensor) -> Tensor:
    """Whether a shot holds its scene: at most 1.5 % clipped and 10 % five stops below."""
    light = virtual_camera.luminance(exposed).flatten(1)
    return ((light > 1).float().mean(1) < 0.015) & ((light < 1 / 64).float().mean(1) < 0.1)
