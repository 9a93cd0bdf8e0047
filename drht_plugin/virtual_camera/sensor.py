"""A camera's sensor: noise, demosaicking, denoising, and coding of the picture."""

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
    """Noise and coding of a batch; each attribute is a tensor of B values.

    `jpeg` and `subsampled` decide what is computed; keep them on the CPU, so that it does not have
    to wait for the device.

    Attributes:
        shot: shot noise; the variance of the noise in H is shot·H + read².
        read: read noise, standard deviation in H.
        quantised: bool, whether codes are rounded to 8 bits.
        jpeg: JPEG quality 1..100, or 0 for none.
        subsampled: bool, whether the JPEG's chroma has half the resolution; None for none.
        mosaic: bool, whether the noise was demosaicked with the picture; None for none.
        denoised: bool, whether the camera denoised, which leaves blotches of colour; None for none.
    """

    shot: Tensor
    read: Tensor
    quantised: Tensor
    jpeg: Tensor
    subsampled: Tensor | None = None
    mosaic: Tensor | None = None
    denoised: Tensor | None = None


def shoot(radiance: Tensor, curve: Curve, sensor: Sensor, generator: torch.Generator) -> Tensor:
    """Take LDR pictures: add noise, encode, compress and quantise.

    Args:
        radiance: B×3×H×W radiance H, 1 at the clip point.
        curve: response curves.
        sensor: noise and coding.
        generator: source of the noise, on the device of `radiance`.

    Returns:
        B×3×H×W display codes in 0..1.
    """
    clipped = radiance.clamp(0, 2)
    variance = sensor.shot.view(-1, 1, 1, 1) * clipped + sensor.read.view(-1, 1, 1, 1) ** 2
    noise = torch.randn(radiance.shape, generator=generator, device=radiance.device)
    noise = _shaped(noise * variance.sqrt(), sensor)
    coded = curve.encode(clipped + noise)
    coded = jpeg(coded, sensor.jpeg, sensor.subsampled)
    steps = torch.round(coded * 255) / 255
    return torch.where(sensor.quantised.view(-1, 1, 1, 1), steps, coded)


def _shaped(noise: Tensor, sensor: Sensor) -> Tensor:
    """Filter white noise as demosaicking and the camera's denoising do."""
    if sensor.mosaic is not None:
        noise = torch.where(sensor.mosaic.view(-1, 1, 1, 1), _demosaiced(noise), noise)
    if sensor.denoised is not None:
        light = luminance(noise)
        # Denoising keeps some grain in luma; in colour only slow variations remain.
        colour = 2 * box_mean(noise - light, 5)
        smooth = 0.5 * (light + box_mean(light, 3)) + colour
        noise = torch.where(sensor.denoised.view(-1, 1, 1, 1), smooth, noise)
    return noise


def _demosaiced(planes: Tensor) -> Tensor:
    """Sample B×3×H×W planes through an RGGB colour filter array and interpolate bilinearly."""
    height, width = planes.shape[-2:]
    rows = torch.arange(height, device=planes.device).view(-1, 1) % 2
    columns = torch.arange(width, device=planes.device).view(1, -1) % 2
    red, blue = (rows + columns) == 0, (rows + columns) == 2
    sites = torch.stack([red, ~red & ~blue, blue]).to(planes.dtype)[None]
    near = planes.new_tensor([[1, 2, 1], [2, 4, 2], [1, 2, 1]]).view(1, 1, 3, 3)
    near = near.expand(3, 1, 3, 3)
    known = F.conv2d(sites, near, padding=1, groups=3)
    return F.conv2d(planes * sites, near, padding=1, groups=3) / known
