"""Losses of the joint training; all tensors B×3×H×W float32."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from drht_plugin.bridge import transfer
from drht_plugin.model.networks import Estimate
from drht_plugin.training.triplets import Triplets

_CLIPPED_CODE = 0.99
_Y_FLOOR = 1e-3


@dataclass(frozen=True)
class Losses:
    """Terms of one batch.

    hdr compares y with α·H^γ (Yang et al. 2018, eq. 1); clip is the log2
    error of what the input clipped; ldr compares T with the true LDR (eq. 3).
    """

    hdr: Tensor
    clip: Tensor
    ldr: Tensor

    @property
    def total(self) -> Tensor:
        """The sum that is minimised."""
        return self.hdr + self.clip + self.ldr


def losses(estimate: Estimate, truth: Triplets) -> Losses:
    """The terms for one batch; pixels clipped in the HDR source do not count for the HDR."""
    known = 1 - (truth.source_clipped > 0.01).float()
    true_y = transfer.ALPHA * truth.true_hdr**transfer.GAMMA
    difference = (estimate.y - true_y).abs()
    log = (_log(estimate.y) - _log(true_y)).abs()
    hdr = 0.5 * ((difference + 0.1 * log) * known).mean()

    clipped = (truth.ldr >= _CLIPPED_CODE).float() * known
    stops = (_log(estimate.y) - _log(true_y)) / (transfer.GAMMA * 0.6931)
    # Too dark shows as a grey patch, too bright as the white that the input had: here and in T.
    uneven = torch.where(stops < 0, -1.6 * stops, 0.6 * stops)
    clip = 0.15 * (uneven * clipped).mean()

    error = estimate.corrected - truth.true_ldr
    weight = torch.where(error < 0, 1.6, 0.8) * clipped + (1 - clipped)
    ldr = (error.abs() * weight).mean() + 0.4 * (1 - ssim(estimate.corrected, truth.true_ldr))
    return Losses(hdr, clip, ldr)


def squared_losses(estimate: Estimate, truth: Triplets) -> Losses:
    """The paper's: mean squared errors of y and T, without weights (Yang et al. 2018)."""
    true_y = transfer.ALPHA * truth.true_hdr**transfer.GAMMA
    hdr = F.mse_loss(estimate.y, true_y)
    return Losses(hdr, torch.zeros_like(hdr), F.mse_loss(estimate.corrected, truth.true_ldr))


LOSSES = {"weighted": losses, "squared": squared_losses}
"""By the names that recipes have for them."""


def _log(y: Tensor) -> Tensor:
    return torch.log(y.clamp_min(0) + _Y_FLOOR ** (1 / 2.2))


def ssim(test: Tensor, reference: Tensor) -> Tensor:
    """Mean SSIM of B×3×H×W pictures in 0..1, 7×7 box window: a fast stand-in for training."""
    c1, c2 = 0.01**2, 0.03**2
    stack = torch.cat([test, reference, test * test, reference * reference, test * reference], 1)
    mean_t, mean_r, tt, rr, tr = _inner_means(stack, 7).split(3, 1)
    var_t, var_r, cov = tt - mean_t**2, rr - mean_r**2, tr - mean_t * mean_r
    luma = (2 * mean_t * mean_r + c1) / (mean_t**2 + mean_r**2 + c1)
    return (luma * (2 * cov + c2) / (var_t + var_r + c2)).mean()


def _inner_means(planes: Tensor, side: int) -> Tensor:
    """Means over squares that lie inside the planes."""
    if planes.is_cuda:
        return F.avg_pool2d(F.avg_pool2d(planes, (side, 1), 1), (1, side), 1)
    # On a CPU, where convolutions do not round to TF32, this takes a tenth of the time.
    count = planes.shape[1]
    planes = planes.contiguous(memory_format=torch.channels_last)
    line = planes.new_full((count, 1, 1, side), 1 / side)
    return F.conv2d(F.conv2d(planes, line.mT, groups=count), line, groups=count)
