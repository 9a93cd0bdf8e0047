"""Sums over tensors of light: luminance, means, and how they get to a device."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from drht_plugin.bridge.transfer import LUMA_WEIGHTS


def luminance(radiance: Tensor) -> Tensor:
    """…×3×H×W linear light to …×1×H×W luminance."""
    weights = radiance.new_tensor(LUMA_WEIGHTS).view(3, 1, 1)
    return (radiance * weights).sum(-3, keepdim=True)


def sent(values: Any, device: torch.device) -> Tensor:
    """Numbers or a tensor on a device, without waiting until it has them."""
    return torch.as_tensor(values).to(device, non_blocking=True)


def box_mean(planes: Tensor, side: int) -> Tensor:
    """Means over squares of an odd side, of what there is of them; B×C×H×W."""
    return F.avg_pool2d(planes, side, 1, side // 2, count_include_pad=False)
