"""A camera's sensor: noise, its traces of interpolation and denoising, and coding."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from drht_plugin.virtual_camera.exposure import Curve
from drht_plugin.virtual_camera.jpeg_loss import jpeg
from drht_plugin.virtual_camera.light import box_mean, luminance


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
