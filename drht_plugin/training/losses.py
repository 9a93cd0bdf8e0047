"""Losses of the joint training: terms by name, of which a recipe takes some, each with a weight.

All tensors are B×3×H×W float32. Pixels clipped in the HDR source do not count for the HDR
estimate, and less for T: what is there is not known.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

from drht_plugin import virtual_camera
from drht_plugin.bridge import transfer
from drht_plugin.model.networks import Estimate
from drht_plugin.training.triplets import Triplets

Term = Callable[[Estimate, Triplets], Tensor]

_CLIPPED_CODE = 0.99
_Y_FLOOR = 1e-3
_SOURCE_CLIPPED = 0.01
_UNKNOWN = 0.4
"""Weight in T of places that are clipped in the source."""

_MSE_FLOOR = 2e-4
"""Mean squared error below which a picture is right: about 37 dB."""

_HUE = 0.06
"""Distance of colours, in display codes, beyond which one is another colour."""


def losses(estimate: Estimate, truth: Triplets, weights: Mapping[str, float]) -> dict[str, Tensor]:
    """The weighted terms of one batch by name; their sum is minimised."""
    return {name: weight * TERMS[name](estimate, truth) for name, weight in weights.items()}


def _hdr(estimate: Estimate, truth: Triplets) -> Tensor:
    """|y − α·H^γ| (after Yang et al. 2018, eq. 1)."""
    return ((estimate.y - _true_y(truth)).abs() * _known(truth)).mean()


def _hdr_log(estimate: Estimate, truth: Triplets) -> Tensor:
    """The same of log y."""
    return ((_log(estimate.y) - _log(_true_y(truth))).abs() * _known(truth)).mean()


def _hdr_clipped(estimate: Estimate, truth: Triplets) -> Tensor:
    """Error in EV of what the input clipped.

    Too dark shows as a grey patch, too bright as the white that the input had.
    """
    stops = (_log(estimate.y) - _log(_true_y(truth))) / (transfer.GAMMA * math.log(2))
    uneven = torch.where(stops < 0, -1.6 * stops, 0.6 * stops)
    return (uneven * _clipped(truth) * _known(truth)).mean()


def _hdr_squared(estimate: Estimate, truth: Triplets) -> Tensor:
    """(y − α·H^γ)², the paper's (eq. 1)."""
    return F.mse_loss(estimate.y, _true_y(truth))


def _ldr(estimate: Estimate, truth: Triplets) -> Tensor:
    """|T − true LDR| (after eq. 3); where the input is clipped, too dark costs twice too bright."""
    error = estimate.corrected - truth.true_ldr
    clipped = _clipped(truth)
    uneven = torch.where(error < 0, 1.6, 0.8) * clipped + (1 - clipped)
    return (error.abs() * uneven * _trusted(truth)).mean()


def _ldr_squared(estimate: Estimate, truth: Triplets) -> Tensor:
    """(T − true LDR)², the paper's (eq. 3)."""
    return F.mse_loss(estimate.corrected, truth.true_ldr)


def _log_mse(estimate: Estimate, truth: Triplets) -> Tensor:
    """Logarithm of each picture's mean squared error, which is its PSNR."""
    squares = (estimate.corrected - truth.true_ldr).square() * _trusted(truth)
    return torch.log(squares.mean((1, 2, 3)) + _MSE_FLOOR).mean()


def _structure(estimate: Estimate, truth: Triplets) -> Tensor:
    """1 − SSIM of T."""
    return 1 - ssim(estimate.corrected, truth.true_ldr)


def _coarse_structure(estimate: Estimate, truth: Triplets) -> Tensor:
    """1 − SSIM of T at a quarter of the size."""
    return 1 - ssim(F.avg_pool2d(estimate.corrected, 4), F.avg_pool2d(truth.true_ldr, 4))


def _gradients(estimate: Estimate, truth: Triplets) -> Tensor:
    """Difference of T's steps from pixel to pixel."""
    t, wanted = estimate.corrected, truth.true_ldr
    return torch.stack([(t.diff(dim=d) - wanted.diff(dim=d)).abs().mean() for d in (-1, -2)]).sum()


def _likely_colour(estimate: Estimate, truth: Triplets) -> Tensor:
    """How many of T's colours, where the input is clipped, are another colour than the truth's.

    Colours far apart cost the same, so that the most likely one of all plausible colours costs
    least, where a distance would ask for their mean (Welsch's function).
    """
    off = _chroma(estimate.corrected) - _chroma(truth.true_ldr)
    other = 1 - torch.exp(off.square().sum(1, keepdim=True) / (-2 * _HUE**2))
    known = truth.source_clipped <= _SOURCE_CLIPPED
    whole = (truth.ldr.amin(1, keepdim=True) >= _CLIPPED_CODE) & known
    return (other * whole).mean()


TERMS: dict[str, Term] = {
    "hdr": _hdr,
    "hdr-log": _hdr_log,
    "hdr-clipped": _hdr_clipped,
    "hdr-squared": _hdr_squared,
    "ldr": _ldr,
    "ldr-squared": _ldr_squared,
    "log-mse": _log_mse,
    "structure": _structure,
    "coarse-structure": _coarse_structure,
    "gradients": _gradients,
    "likely-colour": _likely_colour,
}
"""By the names that recipes have for them."""


def _true_y(truth: Triplets) -> Tensor:
    return transfer.ALPHA * truth.true_hdr**transfer.GAMMA


def _known(truth: Triplets) -> Tensor:
    return 1 - (truth.source_clipped > _SOURCE_CLIPPED).float()


def _trusted(truth: Triplets) -> Tensor:
    return torch.where(truth.source_clipped > _SOURCE_CLIPPED, _UNKNOWN, 1.0)


def _clipped(truth: Triplets) -> Tensor:
    return (truth.ldr >= _CLIPPED_CODE).float()


def _chroma(codes: Tensor) -> Tensor:
    return codes - virtual_camera.luminance(codes)


def _log(y: Tensor) -> Tensor:
    return torch.log(y.clamp_min(0) + _Y_FLOOR**transfer.GAMMA)


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
