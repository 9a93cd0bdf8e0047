"""The virtual camera: HDR scenes to views, exposures and LDR shots.

Used for training, evaluation and examples. Everything works on batches of torch tensors, on the
CPU or a GPU, and is deterministic by the generator given. Radiance is scene-linear, BT.709
primaries, in a unit that is free for each scene; after `expose` it is H, with H = 1 at the
camera's clip point.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from drht_plugin.bridge.transfer import SRGB_LINEAR_END

LUMINANCE = (0.2126, 0.7152, 0.0722)
"""BT.709 weights of linear R, G, B."""


def luminance(radiance: Tensor) -> Tensor:
    """…×3×H×W linear light to …×1×H×W luminance."""
    weights = radiance.new_tensor(LUMINANCE).view(3, 1, 1)
    return (radiance * weights).sum(-3, keepdim=True)


def sent(values: Any, device: torch.device) -> Tensor:
    """Numbers or a tensor on a device, without waiting until it has them."""
    return torch.as_tensor(values).to(device, non_blocking=True)


@dataclass(frozen=True)
class Scene:
    """An HDR image to take pictures of.

    radiance: 4×H×W float tensor: linear RGB ≥ 0, and 1 where the source itself is clipped.
    panorama: equirectangular, horizontally periodic, first row = zenith; else a photograph.
    rendition: a photograph that was exposed well: 1.0 is its white, and as it is, it is a good
    picture of its scene.
    """

    name: str
    radiance: Tensor
    panorama: bool
    rendition: bool = False


@dataclass(frozen=True)
class Aim:
    """Where a view looks. Angles in radians; x, y and zoom concern photographs.

    x, y: centre in 0..1 of the image; zoom: the view's height as a share of the largest that fits.
    """

    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0
    field_of_view: float = math.pi / 2
    x: float = 0.5
    y: float = 0.5
    zoom: float = 1.0
    mirrored: bool = False


def view(scene: Scene, aim: Aim, height: int, width: int) -> Tensor:
    """What the camera sees: 4×height×width linear radiance and clip mask; see `views`."""
    return views([scene], [aim], height, width)[0]


def views(scenes: Sequence[Scene], aims: Sequence[Aim], height: int, width: int) -> Tensor:
    """What the camera sees of each scene: B×4×height×width linear radiance and clip mask.

    Panoramas are projected gnomonically, `field_of_view` across the view's longer side.
    Each pixel is the mean of 2×2 bilinear samples. Scenes lie on one device. On the CPU, a view
    whose sides are multiples of 8 has the same bits whichever batch it is in.
    """
    device = scenes[0].radiance.device
    result = torch.empty(len(scenes), 4, height, width, device=device)
    for which in _alike(scenes):
        chosen, aimed = [scenes[i] for i in which], [aims[i] for i in which]
        lay_out = _gnomonic if chosen[0].panorama else _crop
        grid = lay_out(chosen[0], aimed, 2 * height, 2 * width)
        mirrored = sent([aim.mirrored for aim in aimed], device).view(-1, 1, 1, 1)
        grid = torch.where(mirrored, grid.flip(2), grid)
        source = torch.stack([scene.radiance for scene in chosen])
        if chosen[0].panorama:
            source = torch.cat([source[..., -1:], source, source[..., :1]], -1)
        samples = F.grid_sample(source.float(), grid, "bilinear", "border", align_corners=False)
        result[sent(which, device)] = F.avg_pool2d(samples, 2)
    return result


def _alike(scenes: Sequence[Scene]) -> list[list[int]]:
    """Indices of scenes of one kind and size, which are looked at together."""
    groups: dict[tuple[bool, torch.Size], list[int]] = {}
    for index, scene in enumerate(scenes):
        groups.setdefault((scene.panorama, scene.radiance.shape), []).append(index)
    return list(groups.values())


def _plane(height: int, width: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Pixel centres with the longer side spanning −1..1."""
    longer = max(height, width)
    y = (torch.arange(height, device=device) + 0.5 - height / 2) * (2 / longer)
    x = (torch.arange(width, device=device) + 0.5 - width / 2) * (2 / longer)
    return y.view(-1, 1).expand(height, width), x.view(1, -1).expand(height, width)


def _each(rows: list[tuple[float, ...]], device: torch.device) -> list[Tensor]:
    """Numbers of each view, as tensors B×1×1 that apply to its plane."""
    return [column.view(-1, 1, 1) for column in sent(rows, device).unbind(1)]


def _gnomonic(scene: Scene, aims: Sequence[Aim], height: int, width: int) -> Tensor:
    y, x = _plane(height, width, scene.radiance.device)
    reach, roll_cos, roll_sin, pitch_cos, pitch_sin, yaw = _each(
        [
            (
                math.tan(a.field_of_view / 2),
                math.cos(a.roll),
                math.sin(a.roll),
                math.cos(a.pitch),
                math.sin(a.pitch),
                a.yaw,
            )
            for a in aims
        ],
        scene.radiance.device,
    )
    right, up = x * reach, -y * reach
    right, up = right * roll_cos - up * roll_sin, right * roll_sin + up * roll_cos
    forward, up = pitch_cos - up * pitch_sin, pitch_sin + up * pitch_cos
    longitude = torch.atan2(right, forward) + yaw
    latitude = torch.atan2(up, torch.hypot(right, forward))
    columns = scene.radiance.shape[-1]
    turn = torch.remainder(longitude / (2 * math.pi) + 0.5, 1.0)
    # One column was added on each side for the wrap.
    u = (turn * columns + 1) * (2 / (columns + 2)) - 1
    v = -latitude * (2 / math.pi)
    return torch.stack([u, v], -1)


def _crop(scene: Scene, aims: Sequence[Aim], height: int, width: int) -> Tensor:
    rows, columns = scene.radiance.shape[-2:]
    y, x = _plane(height, width, scene.radiance.device)
    longer = max(height, width)

    def numbers(aim: Aim) -> tuple[float, ...]:
        cos, sin = math.cos(aim.roll), math.sin(aim.roll)
        bound_w = (width * abs(cos) + height * abs(sin)) / longer
        bound_h = (width * abs(sin) + height * abs(cos)) / longer
        scale = min(columns / bound_w, rows / bound_h) * aim.zoom
        centre_u = (2 * aim.x - 1) * (1 - bound_w * scale / columns)
        centre_v = (2 * aim.y - 1) * (1 - bound_h * scale / rows)
        return cos, sin, scale, centre_u, centre_v

    cos, sin, scale, centre_u, centre_v = _each([numbers(a) for a in aims], y.device)
    u = (x * cos - y * sin) * scale / columns + centre_u
    v = (x * sin + y * cos) * scale / rows + centre_v
    return torch.stack([u, v], -1)


def metered_exposure(radiance: Tensor, mean: float = 0.2) -> Tensor:
    """The factor that brings the mean of min(luminance, 1) to `mean`, as a camera's meter does.

    B×3×H×W linear radiance to B factors, to 1 % accuracy.
    """
    light = F.adaptive_avg_pool2d(luminance(radiance), 64).flatten(1)
    light = light / light.median(1, keepdim=True).values.clamp_min(1e-9)
    low = torch.full_like(light[:, 0], -20.0)
    high = torch.full_like(light[:, 0], 20.0)
    for _ in range(14):
        middle = (low + high) / 2
        bright = (light * torch.exp2(middle)[:, None]).clamp(max=1).mean(1) > mean
        low, high = torch.where(bright, low, middle), torch.where(bright, middle, high)
    median = luminance(radiance)
    median = F.adaptive_avg_pool2d(median, 64).flatten(1).median(1).values.clamp_min(1e-9)
    return torch.exp2((low + high) / 2) / median


@dataclass(frozen=True)
class Curve:
    """Camera curves of a batch: coded = (1 + s)·H^n / (H^n + s), 1 at the clip point.

    A Naka–Rushton curve with toe `exponent` n and `middle`, the radiance coded as 0.5 (measured
    cameras: 0.10 to 0.15; the sRGB curve: 0.216). Where `srgb` is set, the sRGB curve instead.
    Each is a tensor of B values.
    """

    exponent: Tensor
    middle: Tensor
    srgb: Tensor

    def encode(self, radiance: Tensor) -> Tensor:
        """B×3×H×W radiance in 0..1 to display codes in 0..1."""
        n = self.exponent.view(-1, 1, 1, 1)
        h = self.middle.view(-1, 1, 1, 1) ** n
        s = 0.5 * h / (0.5 - h)
        power = radiance.clamp(0, 1) ** n
        own = (1 + s) * power / (power + s)
        return torch.where(self.srgb.view(-1, 1, 1, 1), srgb_encode(radiance.clamp(0, 1)), own)


def srgb_encode(linear: Tensor) -> Tensor:
    """Linear light ≥ 0 to display codes (IEC 61966-2-1)."""
    return torch.where(
        linear <= SRGB_LINEAR_END,
        linear * 12.92,
        1.055 * linear.clamp_min(1e-9) ** (1 / 2.4) - 0.055,
    )


@dataclass(frozen=True)
class Sensor:
    """Noise and coding of a batch; each is a tensor of B values.

    shot, read: variance of the noise in H is shot·H + read²; quantised: 8-bit steps;
    jpeg: quality 1..100, or 0 for none; halved: its chroma at half the resolution. These two
    decide what is computed: where they lie on the CPU, no device is waited for.
    mosaic: noise of a colour filter array, interpolated with the picture; smeared: denoised by the
    camera, which leaves blotches of colour. None for none.
    """

    shot: Tensor
    read: Tensor
    quantised: Tensor
    jpeg: Tensor
    halved: Tensor | None = None
    mosaic: Tensor | None = None
    smeared: Tensor | None = None


def shoot(radiance: Tensor, curve: Curve, sensor: Sensor, generator: torch.Generator) -> Tensor:
    """Radiance H (B×3×H×W, 1 = clip point) to the LDR picture, display-encoded in 0..1."""
    clipped = radiance.clamp(0, 2)
    variance = sensor.shot.view(-1, 1, 1, 1) * clipped + sensor.read.view(-1, 1, 1, 1) ** 2
    noise = torch.randn(radiance.shape, generator=generator, device=radiance.device)
    noise = _shaped(noise * variance.sqrt(), sensor)
    coded = curve.encode(clipped + noise)
    coded = jpeg(coded, sensor.jpeg, sensor.halved)
    steps = torch.round(coded * 255) / 255
    return torch.where(sensor.quantised.view(-1, 1, 1, 1), steps, coded)


def _shaped(noise: Tensor, sensor: Sensor) -> Tensor:
    """Noise of single pixels, as a mosaic's interpolation and a camera's denoising leave it."""
    if sensor.mosaic is not None:
        noise = torch.where(sensor.mosaic.view(-1, 1, 1, 1), _demosaiced(noise), noise)
    if sensor.smeared is not None:
        light = luminance(noise)
        # Luma keeps its grain in part; colour is what varies over several pixels.
        colour = 2 * box_mean(noise - light, 5)
        smooth = 0.5 * (light + box_mean(light, 3)) + colour
        noise = torch.where(sensor.smeared.view(-1, 1, 1, 1), smooth, noise)
    return noise


def box_mean(planes: Tensor, side: int) -> Tensor:
    """Means over squares of an odd side, of what there is of them; B×C×H×W."""
    return F.avg_pool2d(planes, side, 1, side // 2, count_include_pad=False)


def _demosaiced(planes: Tensor) -> Tensor:
    """B×3×H×W seen through an RGGB colour filter array, interpolated bilinearly."""
    height, width = planes.shape[-2:]
    rows = torch.arange(height, device=planes.device).view(-1, 1) % 2
    columns = torch.arange(width, device=planes.device).view(1, -1) % 2
    red, blue = (rows + columns) == 0, (rows + columns) == 2
    sites = torch.stack([red, ~red & ~blue, blue]).to(planes.dtype)[None]
    near = planes.new_tensor([[1, 2, 1], [2, 4, 2], [1, 2, 1]]).view(1, 1, 3, 3)
    near = near.expand(3, 1, 3, 3)
    known = F.conv2d(sites, near, padding=1, groups=3)
    return F.conv2d(planes * sites, near, padding=1, groups=3) / known


_JPEG_LUMA = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)
_JPEG_CHROMA = (
    (17, 18, 24, 47),
    (18, 21, 26, 66),
    (24, 26, 56, 99),
    (47, 66, 99, 99),
)  # and 99 beyond
_YCBCR = ((0.299, 0.587, 0.114), (-0.168736, -0.331264, 0.5), (0.5, -0.418688, -0.081312))


def jpeg(coded: Tensor, quality: Tensor, halved: Tensor | None = None) -> Tensor:
    """The loss of a baseline JPEG (ITU-T T.81, Annex K tables).

    B×3×H×W codes in 0..1, sides multiples of 8; `quality` has B values, 0 leaves as it is. Where
    `halved`, chroma is stored at half the resolution (sides then multiples of 16).
    """
    chosen = torch.nonzero(quality > 0).flatten()
    if not len(chosen):
        return coded
    device = coded.device
    if halved is not None:
        half = sent(torch.nonzero(halved[chosen.to(halved.device)]).flatten(), device)
    q = sent(quality[chosen], device).view(-1, 1, 1, 1, 1, 1)
    chosen = sent(chosen, device)
    picture = coded[chosen]
    scale = torch.where(q < 50, 5000 / q, 200 - 2 * q) / 100
    luma = coded.new_tensor(_JPEG_LUMA)
    chroma = F.pad(coded.new_tensor(_JPEG_CHROMA), (0, 4, 0, 4), value=99.0)
    table = torch.stack([luma, chroma, chroma]).view(1, 3, 1, 8, 1, 8)
    table = (table * scale).clamp(1, 255).round() / 255
    k = torch.arange(8, device=coded.device, dtype=coded.dtype)
    dct = torch.cos((2 * k[None] + 1) * k[:, None] * math.pi / 16) * 0.5
    dct[0] *= math.sqrt(0.5)

    def coarse(planes: Tensor, table: Tensor) -> Tensor:
        """Planes B×C×H×W, their 8×8 blocks quantised by tables (B or 1)×C×1×8×1×8."""
        batch, channels, height, width = planes.shape
        blocks = planes.reshape(batch, channels, height // 8, 8, width // 8, 8)
        spectrum = torch.einsum("ui,bcyixj,vj->bcyuxv", dct, blocks, dct)
        spectrum = torch.round(spectrum / table) * table
        return torch.einsum("ui,bcyuxv,vj->bcyixj", dct, spectrum, dct).reshape(planes.shape)

    to_ycc = torch.tensor(_YCBCR)
    ycc, back = sent(to_ycc, device), sent(torch.linalg.inv(to_ycc), device)
    planes = torch.einsum("ij,bjhw->bihw", ycc, picture)
    planes[:, 0] -= 0.5
    whole = coarse(planes, table)
    if halved is not None and len(half):
        small = coarse(F.avg_pool2d(planes[half, 1:], 2), table[half, 1:])
        size = planes.shape[-2:]
        whole[half, 1:] = F.interpolate(small, size, mode="bilinear", align_corners=False)
    planes = whole
    planes[:, 0] += 0.5
    result = coded.clone()
    result[chosen] = torch.einsum("ij,bjhw->bihw", back, planes).clamp(0, 1)
    return result
