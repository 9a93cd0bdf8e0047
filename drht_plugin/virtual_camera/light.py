"""Luminance and box means of tensors, and their transfer to a device."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from drht_plugin.bridge.transfer import LUMA_WEIGHTS


def luminance(radiance: Tensor) -> Tensor:
    """Return the luminance of linear light.

    Args:
        radiance: …×3×H×W, BT.709 primaries.

    Returns:
        …×1×H×W.
    """
    weights = radiance.new_tensor(LUMA_WEIGHTS).view(3, 1, 1)
    return (radiance * weights).sum(-3, keepdim=True)


def to_device(values: Any, device: torch.device) -> Tensor:
    """Copy numbers or a tensor to a device without waiting for the copy to finish.

    Args:
        values: anything that `torch.as_tensor` accepts.
        device: the device.

    Returns:
        The tensor on the device.
    """
    return torch.as_tensor(values).to(device, non_blocking=True)


def box_mean(planes: Tensor, side: int) -> Tensor:
    """Apply a box filter; at the border, average the pixels that exist.

    Args:
        planes: B×C×H×W.
        side: side of the box in pixels, odd.

    Returns:
        B×C×H×W.
    """
    return F.avg_pool2d(planes, side, 1, side // 2, count_include_pad=False)
