"""True-LDR operators: the display picture that the second network learns to give for a scene.

Each maps B×3×H×W linear radiance of any scale to B×3×H×W display codes in 0..1, on any device.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from drht_plugin.camera import luminance, metered_exposure, srgb_encode


def _box(x: Tensor, radius: int) -> Tensor:
    """Mean over a (2r+1)² window, clipped at the borders, by separable running sums."""
    for axis in (-1, -2):
        length = x.shape[axis]
        total = torch.cumsum(x.double(), axis)
        total = torch.cat([torch.zeros_like(total.narrow(axis, 0, 1)), total], axis)
        at = torch.arange(length, device=x.device)
        stop, start = (at + radius + 1).clamp(max=length), (at - radius).clamp(min=0)
        shape = [1] * x.dim()
        shape[axis] = length
        count = (stop - start).view(shape)
        x = ((total.index_select(axis, stop) - total.index_select(axis, start)) / count).float()
    return x


def guided_base(log_light: Tensor, radius: int, epsilon: float) -> Tensor:
    """Self-guided filter (He, Sun, Tang 2010) of B×1×H×W log2 luminance; ε in stops²."""
    mean = _box(log_light, radius)
    variance = (_box(log_light * log_light, radius) - mean * mean).clamp_min(0)
    gain = variance / (variance + epsilon)
    offset = mean - gain * mean
    return _box(gain, radius) * log_light + _box(offset, radius)


def base_detail(
    radiance: Tensor,
    *,
    stops: float = 5.0,
    detail: float = 1.15,
    saturation: float = 0.95,
    mean: float = 0.24,
    contrast: float = 0.4,
) -> Tensor:
    """Base/detail tone mapping (Durand & Dorsey 2002) with a guided filter on log2 luminance.

    The base is compressed to `stops` where it spans more, never expanded; details are kept and
    raised a little; the result is exposed like a metered photograph, rolled off at the top, and
    given a mild S-curve. A scene that spans less than `stops` comes out as a plain photograph.
    """
    light = luminance(radiance)
    floor = light.flatten(1).median(1).values.clamp_min(1e-6).view(-1, 1, 1, 1) * 2.0**-12
    log_light = torch.log2(light.clamp_min(0) + floor)
    radius = max(2, round(0.06 * (radiance.shape[-1] * radiance.shape[-2]) ** 0.5))
    base = guided_base(log_light, radius, 0.5)
    quantiles = torch.quantile(base.flatten(1), base.new_tensor([0.01, 0.5, 0.995]), dim=1)
    low, middle, high = (q.view(-1, 1, 1, 1) for q in quantiles)
    scale = (stops / (high - low).clamp_min(1e-3)).clamp(max=1.0)
    mapped = (base - middle) * scale + (log_light - base) * (1 + (detail - 1) * (1 - scale))
    target = torch.exp2(mapped)
    ratio = (radiance.clamp_min(0) + floor) / (light + floor)
    strength = torch.where(scale < 1, saturation + (1 - saturation) * scale, torch.ones_like(scale))
    picture = target * ratio.clamp(1e-4, 1e4) ** strength
    picture = picture * metered_exposure(picture, mean).view(-1, 1, 1, 1)
    coded = srgb_encode(shoulder(picture))
    s_curve = coded * coded * (3 - 2 * coded)
    return coded + contrast * (s_curve - coded)


def shoulder(linear: Tensor, start: float = 0.5, white: float = 4.0) -> Tensor:
    """Linear up to `start`, then a smooth roll-off (slope 1 at `start`) that meets 1 at `white`."""
    over = (linear - start).clamp(0, white - start)
    room = 1 - start
    a = 1 / room - 1 / (white - start)
    return torch.where(linear > start, start + over / (1 + a * over), linear).clamp(0, 1)


def _pyramid_down(x: Tensor) -> Tensor:
    kernel = x.new_tensor([1.0, 4, 6, 4, 1]) / 16
    channels = x.shape[1]
    x = F.pad(x, (2, 2, 2, 2), "replicate")
    x = F.conv2d(x, kernel.view(1, 1, 1, 5).expand(channels, 1, 1, 5), None, (1, 2), 0, 1, channels)
    return F.conv2d(
        x, kernel.view(1, 1, 5, 1).expand(channels, 1, 5, 1), None, (2, 1), 0, 1, channels
    )


def _pyramid_up(x: Tensor, size: torch.Size) -> Tensor:
    return F.interpolate(x, size[-2:], mode="bilinear", align_corners=False)


def fusion(
    radiance: Tensor,
    *,
    stops: tuple[float, ...] = (-6, -4.5, -3, -1.5, 0, 1.5, 3),
    mean: float = 0.2,
    sigma: float = 0.2,
) -> Tensor:
    """Exposure fusion (Mertens, Kautz, Van Reeth 2007) of a bracket of virtual shots.

    `stops` are the exposures around the metered one. Contrast, saturation and well-exposedness
    weigh alike, as in the paper.
    """
    exposure = metered_exposure(radiance, mean).view(-1, 1, 1, 1)
    batch, _, height, width = radiance.shape
    linear = radiance * exposure
    shots = torch.stack([(linear * 2.0**stop).clamp(0, 1) for stop in stops], 1).flatten(0, 1)
    shots = shots ** (1 / 2.2)
    gray = shots.mean(1, keepdim=True)
    kernel = gray.new_tensor([[0, 1, 0], [1, -4, 1], [0, 1, 0]]).view(1, 1, 3, 3)
    contrast = F.conv2d(F.pad(gray, (1, 1, 1, 1), "replicate"), kernel).abs()
    saturation = shots.std(1, keepdim=True, unbiased=False)
    well = torch.exp(-((shots - 0.5) ** 2).sum(1, keepdim=True) / (2 * sigma**2))
    weights = (contrast * saturation * well + 1e-12).view(batch, -1, 1, height, width)
    weights = (weights / weights.sum(1, keepdim=True)).flatten(0, 1)
    levels = max(1, int(torch.tensor(min(height, width)).log2()) - 2)
    result: list[Tensor] = []
    for level in range(levels):
        last = level == levels - 1
        smaller = shots if last else _pyramid_down(shots)
        laplacian = shots if last else shots - _pyramid_up(smaller, shots.shape)
        term = (laplacian * weights).view(batch, -1, 3, *shots.shape[-2:]).sum(1)
        result.append(term)
        if not last:
            shots, weights = smaller, _pyramid_down(weights)
    picture = result.pop()
    while result:
        detail = result.pop()
        picture = _pyramid_up(picture, detail.shape) + detail
    return picture.clamp(0, 1)
