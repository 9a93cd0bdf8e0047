"""Triplets (input LDR, true HDR, true LDR), rendered by the virtual camera in batches.

Views and shots are plain numbers, drawn on the CPU from a seed, so that a seed gives the same
shots on every device. `render_triplets` turns them into tensors.
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
    """How one LDR picture of a view is taken.

    Attributes:
        stops: EV relative to the metered exposure.
        exponent: see `virtual_camera.Curve`, as for `middle` and `srgb`.
        middle: see `exponent`.
        srgb: see `exponent`.
        shot_noise: see `virtual_camera.Sensor.shot`.
        read_noise: see `virtual_camera.Sensor.read`.
        quantised: see `virtual_camera.Sensor`, as for the remaining traits of the sensor.
        jpeg: JPEG quality 1..100, or 0 for none.
        subsampled: whether the JPEG's chroma has half the resolution.
        metered_highlights: expose for the brightest 2 % instead of the mean (a backlit scene).
        as_it_is: use the exposure of the photograph itself instead of a metered one.
        own_target: if the shot is well exposed, it is its own true LDR, without its noise.
        mosaic: whether the noise was demosaicked.
        denoised: whether the camera denoised the shot.
    """

    stops: float
    exponent: float
    middle: float
    srgb: bool
    shot_noise: float
    read_noise: float
    quantised: bool
    jpeg: int
    subsampled: bool = False
    metered_highlights: bool = False
    as_it_is: bool = False
    own_target: bool = False
    mosaic: bool = False
    denoised: bool = False


@dataclass(frozen=True)
class ViewPlan:
    """One view of a scene, its look, and the shots taken of it.

    The look changes the scene itself, so input and truth alike. Pages are not affected by it.

    Attributes:
        scene: index of the scene.
        aim: where the camera looks.
        red: white-balance gain of the red channel.
        blue: white-balance gain of the blue channel.
        saturation: factor of the chroma.
        shots: the shots.
        contrast: exponent of the light, relative to its median.
        light: EV of added light on a grid of 4×4 squares, row by row, interpolated smoothly; or
            empty.
        page: seed of a page that the view is placed on, see `pages`; −1 for none.
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
    """A batch of pictures, float32.

    Attributes:
        ldr: B×3×H×W input, display-encoded in 0..1.
        true_hdr: B×3×H×W radiance H, 1 at the input's clip point, at most `H_MAX`.
        true_ldr: B×3×H×W target, display-encoded in 0..1.
        source_clipped: B×1×H×W, 1 where the source is clipped.
    """

    ldr: Tensor
    true_hdr: Tensor
    true_ldr: Tensor
    source_clipped: Tensor


@dataclass(frozen=True)
class Mix:
    """Which views a training draws; shares in 0..1.

    Attributes:
        photographs: share of views of photographs rather than panoramas, if there are any;
            negative to draw all scenes with equal probability.
        renditions: share of well-exposed ones (`HdrImage.rendition`) among photographs.
        pages: share of these that are placed on a page or a plain background.
        kept: share of the other shots of these that keep the photograph's exposure and are their
            own true LDR.
        turned: share of views on their side or upside down.
        contrast: standard deviation of the exponent of the light.
        lit: share of views with smooth additional light of up to 1.2 EV.
    """

    photographs: float = -1.0
    renditions: float = 0.0
    pages: float = 0.0
    kept: float = 0.0
    turned: float = 0.0
    contrast: float = 0.0
    lit: float = 0.0


PLAIN = Mix()
"""Unmodified views of all scenes with equal probability, as in the evaluation."""


class Photographer:
    """Draws random views and shots, the same for the same seed.

    What `mix` adds has a random generator of its own, so that it does not change the plain views.

    Args:
        scenes: images to take views of.
        seed: seed of the generators.
        mix: which views to draw.
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
        """Draw a view.

        Args:
            shots: number of random shots of it.
            scene: index of the scene; None for a random one.

        Returns:
            The view with its shots.
        """
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
        return plan if self._mix == PLAIN else self._add_variety(plan)

    def _scene(self) -> int:
        mix, more = self._mix, self._more
        if mix.photographs < 0:
            return int(self._random.integers(len(self._scenes)))
        # If there are no scenes of the drawn kind, take another kind.
        of_photographs = self._photographs + self._renditions
        if more.random() >= mix.photographs or not of_photographs:
            choice = self._panoramas or of_photographs
        elif more.random() < mix.renditions:
            choice = self._renditions or of_photographs
        else:
            choice = self._photographs or of_photographs
        return choice[int(more.integers(len(choice)))]

    def _add_variety(self, plan: ViewPlan) -> ViewPlan:
        """Add what the mix asks for to a plain view."""
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
        # The colours of a finished photograph need less variation.
        plan = replace(plan, saturation=more.uniform(0.8, 1.08))
        if more.random() < mix.pages:
            shots = tuple(self._page_shot(shot) for shot in shots)
            return replace(plan, page=int(more.integers(1 << 31)), shots=shots)
        return replace(plan, shots=tuple(self._own_exposure(shot) for shot in shots))

    def _page_shot(self, shot: Shot) -> Shot:
        kind, more = self._more.random(), self._more
        stops = 0.0
        if kind >= 0.6:
            stops = more.uniform(-3, -0.5) if kind < 0.8 else more.uniform(0.3, 1.5)
        return replace(shot, stops=stops, as_it_is=True, own_target=False, metered_highlights=False)

    def _own_exposure(self, shot: Shot) -> Shot:
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
        """Draw a shot.

        Args:
            stops: EV relative to the metered exposure; None for a random one.

        Returns:
            The shot.
        """
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
"""Squares per side of the grid of additional light."""


def _bright_directions(scene: HdrImage) -> np.ndarray:
    """Return n×2 yaw and pitch, where directions brighter than the median are more frequent."""
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
    """Render every shot of every view; the shots of a view share its true LDR.

    All views are rendered at once, and nothing that was computed decides what to compute next, so
    that the CPU never waits for the device.

    Args:
        scenes: images that `ViewPlan.scene` indexes, on one device.
        plans: the views.
        height: height in pixels, a multiple of 8.
        width: width in pixels, a multiple of 8.
        generator: source of the noise, on the scenes' device.

    Returns:
        The triplets of all shots, view by view.
    """
    planes = virtual_camera.views(
        [scenes[p.scene] for p in plans], [p.aim for p in plans], height, width
    )
    radiance, clipped = planes[:, :3].clamp_min(0), planes[:, 3:]
    device = radiance.device
    radiance = _look(radiance, plans)
    paged = [i for i, plan in enumerate(plans) if plan.page >= 0]
    for i in paged:
        ground, mask = (
            virtual_camera.to_device(t, device) for t in draw_page(plans[i].page, height, width)
        )
        radiance[i] = ground * (1 - mask) + planes[i, :3].clamp(0, 1) * mask
        clipped[i] = 0
    mapped = fusion(radiance)
    owner = [i for i, plan in enumerate(plans) for _ in plan.shots]
    shots = [shot for plan in plans for shot in plan.shots]
    index = virtual_camera.to_device(owner, device)

    def flags(values: Iterable[bool]) -> Tensor:
        return virtual_camera.to_device(list(values), device)

    exposure = virtual_camera.metered_exposure(radiance)
    bright = torch.quantile(virtual_camera.luminance(radiance).flatten(1), 0.98, dim=1)
    highlights = torch.minimum(0.8 / bright.clamp_min(1e-6), exposure)
    metered = torch.where(
        flags(s.metered_highlights for s in shots), highlights[index], exposure[index]
    )
    unmetered = flags(s.as_it_is for s in shots)
    metered = torch.where(unmetered, torch.ones_like(metered), metered)
    stops = torch.exp2(virtual_camera.to_device([s.stops for s in shots], device))
    exposed = radiance[index] * (metered * stops).view(-1, 1, 1, 1)
    curve, sensor = cameras(shots, device)
    ldr = virtual_camera.shoot(exposed, curve, sensor, generator)
    own = flags(s.own_target for s in shots) & (unmetered | _well_exposed(exposed))
    target = torch.where(own.view(-1, 1, 1, 1), curve.encode(exposed), mapped[index])
    of_page = flags(plans[i].page >= 0 for i in owner).view(-1, 1, 1, 1)
    if paged:
        target = torch.where(of_page, curve.encode(radiance[index]), target)
    return Triplets(ldr, exposed.clamp(max=H_MAX), target, clipped[index])


def cameras(shots: Sequence[Shot], device: torch.device) -> tuple[Curve, Sensor]:
    """Collect the camera curves and sensors of shots into tensors.

    Args:
        shots: the shots.
        device: where the tensors go, except those that stay on the CPU (see `Sensor`).

    Returns:
        The curves and the sensors, with a value per shot.
    """

    def values(name: str, dtype: torch.dtype = torch.float32) -> Tensor:
        return torch.tensor([getattr(s, name) for s in shots], dtype=dtype)

    def flags(name: str) -> Tensor | None:
        """Return None if no shot has the trait, so that it costs nothing."""
        given = values(name, torch.bool)
        return virtual_camera.to_device(given, device) if bool(given.any()) else None

    curve = Curve(
        exponent=virtual_camera.to_device(values("exponent"), device),
        middle=virtual_camera.to_device(values("middle"), device),
        srgb=virtual_camera.to_device(values("srgb", torch.bool), device),
    )
    sensor = Sensor(
        shot=virtual_camera.to_device(values("shot_noise"), device),
        read=virtual_camera.to_device(values("read_noise"), device),
        quantised=virtual_camera.to_device(values("quantised", torch.bool), device),
        # These two stay on the CPU, see `Sensor`.
        jpeg=values("jpeg"),
        subsampled=values("subsampled", torch.bool),
        mosaic=flags("mosaic"),
        denoised=flags("denoised"),
    )
    return curve, sensor


def _look(radiance: Tensor, plans: Sequence[ViewPlan]) -> Tensor:
    """Apply white balance, saturation, contrast and additional light."""
    device = radiance.device
    gains = virtual_camera.to_device([[p.red, 1.0, p.blue] for p in plans], device)
    radiance = radiance * gains.view(-1, 3, 1, 1)
    saturation = virtual_camera.to_device([p.saturation for p in plans], device).view(-1, 1, 1, 1)
    light = virtual_camera.luminance(radiance)
    radiance = (light + (radiance - light) * saturation).clamp_min(0)
    if any(p.contrast != 1 for p in plans):
        exponent = virtual_camera.to_device([p.contrast - 1 for p in plans], device).view(
            -1, 1, 1, 1
        )
        light = virtual_camera.luminance(radiance)
        middle = light.flatten(1).median(1).values.view(-1, 1, 1, 1).clamp_min(1e-6)
        # Beyond six EV from the middle, the gain stays constant.
        radiance = radiance * (light / middle).clamp(1 / 64, 64) ** exponent
    if any(p.light for p in plans):
        none = (0.0,) * (_LIGHTS * _LIGHTS)
        squares = virtual_camera.to_device([p.light or none for p in plans], device)
        squares = squares.view(-1, 1, _LIGHTS, _LIGHTS)
        stops = F.interpolate(squares, radiance.shape[-2:], mode="bicubic", align_corners=False)
        radiance = radiance * torch.exp2(stops)
    return radiance


def _well_exposed(exposed: Tensor) -> Tensor:
    """Return which shots have less than 1.5 % clipped and less than 10 % six stops below that."""
    light = virtual_camera.luminance(exposed).flatten(1)
    return ((light > 1).float().mean(1) < 0.015) & ((light < 1 / 64).float().mean(1) < 0.1)
