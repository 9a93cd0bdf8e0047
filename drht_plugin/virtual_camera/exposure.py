"""Exposure metering, and a camera's response curve from radiance to display codes."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from drht_plugin.bridge.transfer import SRGB_LINEAR_END
from drht_plugin.virtual_camera.light import luminance


def metered_exposure(radiance: Tensor, mean: float = 0.2) -> Tensor:
    """Return the exposure that a camera's meter would choose.

    It is the factor that brings the mean of min(luminance, 1) to `mean`.

    Args:
        radiance: B×3×H×W linear radiance.
        mean: wanted mean, 0..1.

    Returns:
        B factors, accurate to 1 %.
    """
    light = F.adaptive_avg_pool2d(luminance(radiance), 64).flatten(1)
    light = light / light.median(1, keepdim=True).values.clamp_min(1e-9)
    low = torch.full_like(light[:, 0], -20.0)
    high = torch.full_like(light[:, 0], 20.0)
    for _ in range(14):
        middle = (low + high) / 2
        bright = (light * torch.exp2(middle)[:, None]).clamp(max=1).mean(1) > mean
        low, high = torch.where(bright, low, middle), torch.where(bright, middle, high)
    cells = F.adaptive_avg_pool2d(luminance(radiance), 64).flatten(1)
    median = cells.median(1).values.clamp_min(1e-9)
    return torch.exp2((low + high) / 2) / median


@dataclass(frozen=True)
class Curve:
    """Camera response curves of a batch: code = (1 + s)·H^n / (H^n + s), which is 1 for H = 1.

    This is a Naka–Rushton curve. Each attribute is a tensor of B values.

    Attributes:
        exponent: n, which shapes the toe.
        middle: radiance H that is coded as 0.5 (measured cameras: 0.10 to 0.15; the sRGB curve:
            0.216); it determines s.
        srgb: bool, whether to use the sRGB curve instead.
    """

    exponent: Tensor
    middle: Tensor
    srgb: Tensor

    def encode(self, radiance: Tensor) -> Tensor:
        """Encode radiance as display codes.

        Args:
            radiance: B×3×H×W radiance H; values outside 0..1 are clipped.

        Returns:
            B×3×H×W display codes in 0..1.
        """
        n = self.exponent.view(-1, 1, 1, 1)
        h = self.middle.view(-1, 1, 1, 1) ** n
        s = 0.5 * h / (0.5 - h)
        power = radiance.clamp(0, 1) ** n
        own = (1 + s) * power / (power + s)
        return torch.where(self.srgb.view(-1, 1, 1, 1), display_codes(radiance.clamp(0, 1)), own)


def display_codes(linear: Tensor) -> Tensor:
    """Encode linear light with the sRGB curve (IEC 61966-2-1).

    Args:
        linear: linear light, 0 or more, of any shape.

    Returns:
        Display codes of the same shape; 1 for 1.
    """
    return torch.where(
        linear <= SRGB_LINEAR_END,
        linear * 12.92,
        1.055 * linear.clamp_min(1e-9) ** (1 / 2.4) - 0.055,
    )
