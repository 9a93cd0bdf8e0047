"""Loss terms of the joint training by name; a recipe gives each term that it uses a weight.

All tensors are B×3×H×W float32. Where the HDR source itself is clipped, the truth is unknown:
such pixels are ignored for the HDR estimate and count less for T.
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
"""Weight, in losses of T, of pixels that are clipped in the source."""

_MSE_FLOOR = 2e-4
"""Mean squared error below which a picture counts as correct (about 37 dB)."""

_HUE = 0.06
"""Distance in display codes (0..1) beyond which two colours count as different."""


def losses(estimate: Estimate, truth: Triplets, weights: Mapping[str, float]) -> dict[str, Tensor]:
    """Return the weighted loss terms of a batch.

    Args:
        estimate: output of the networks.
        truth: the batch.
        weights: weight of each term by its name in `TERMS`.

    Returns:
        Scalar tensors by name; training minimises their sum.
    """
    return {name: weight * TERMS[name](estimate, truth) for name, weight in weights.items()}


def _hdr(estimate: Estimate, truth: Triplets) -> Tensor:
    """Return |y − α·H^γ| (after Yang et al. 2018, eq. 1)."""
    return ((estimate.y - _true_y(truth)).abs() * _known(truth)).mean()


def _hdr_log(estimate: Estimate, truth: Triplets) -> Tensor:
    """Return |log y − log(α·H^γ)|."""
    return ((_log(estimate.y) - _log(_true_y(truth))).abs() * _known(truth)).mean()


def _hdr_clipped(estimate: Estimate, truth: Triplets) -> Tensor:
    """Return the error in EV where the input is clipped.

    Too dark costs more: it shows as a grey patch, while too bright shows as the input's white.
    """
    stops = (_log(estimate.y) - _log(_true_y(truth))) / (transfer.GAMMA * math.log(2))
    uneven = torch.where(stops < 0, -1.6 * stops, 0.6 * stops)
    return (uneven * _clipped(truth) * _known(truth)).mean()


def _hdr_squared(estimate: Estimate, truth: Triplets) -> Tensor:
    """Return (y − α·H^γ)² (Yang et al. 2018, eq. 1)."""
    return F.mse_loss(estimate.y, _true_y(truth))


def _ldr(estimate: Estimate, truth: Triplets) -> Tensor:
    """Return |T − true LDR| (after eq. 3); where the input is clipped, too dark costs double."""
    error = estimate.corrected - truth.true_ldr
    clipped = _clipped(truth)
    uneven = torch.where(error < 0, 1.6, 0.8) * clipped + (1 - clipped)
    return (error.abs() * uneven * _trusted(truth)).mean()


def _ldr_squared(estimate: Estimate, truth: Triplets) -> Tensor:
    """Return (T − true LDR)² (Yang et al. 2018, eq. 3)."""
    return F.mse_loss(estimate.corrected, truth.true_ldr)


def _log_mse(estimate: Estimate, truth: Triplets) -> Tensor:
    """Return the logarithm of each picture's mean squared error, which corresponds to its PSNR."""
    squares = (estimate.corrected - truth.true_ldr).square() * _trusted(truth)
    return torch.log(squares.mean((1, 2, 3)) + _MSE_FLOOR).mean()


def _structure(estimate: Estimate, truth: Triplets) -> Tensor:
    """Return 1 − SSIM of T."""
    return 1 - ssim(estimate.corrected, truth.true_ldr)


def _coarse_structure(estimate: Estimate, truth: Triplets) -> Tensor:
    """Return 1 − SSIM of T at a quarter of the size."""
    return 1 - ssim(F.avg_pool2d(estimate.corrected, 4), F.avg_pool2d(truth.true_ldr, 4))


def _gradients(estimate: Estimate, truth: Triplets) -> Tensor:
    """Return the error of T's differences between neighbouring pixels."""
    t, wanted = estimate.corrected, truth.true_ldr
    return torch.stack([(t.diff(dim=d) - wanted.diff(dim=d)).abs().mean() for d in (-1, -2)]).sum()


def _likely_colour(estimate: Estimate, truth: Triplets) -> Tensor:
    """Return the share of T's colours that differ from the truth, where the input is clipped.

    Beyond `_HUE`, all distances cost the same (Welsch's function). So the most likely colour costs
    least, whereas a plain distance would favour the mean of all plausible colours.
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
"""Loss terms by the names that recipes use."""


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
    """Return the mean SSIM with a 7×7 box window, a fast approximation for training.

    Args:
        test: B×3×H×W in 0..1.
        reference: B×3×H×W in 0..1.

    Returns:
        Scalar tensor, at most 1.
    """
    c1, c2 = 0.01**2, 0.03**2
    stack = torch.cat([test, reference, test * test, reference * reference, test * reference], 1)
    mean_t, mean_r, tt, rr, tr = _inner_means(stack, 7).split(3, 1)
    var_t, var_r, cov = tt - mean_t**2, rr - mean_r**2, tr - mean_t * mean_r
    luma = (2 * mean_t * mean_r + c1) / (mean_t**2 + mean_r**2 + c1)
    return (luma * (2 * cov + c2) / (var_t + var_r + c2)).mean()


def _inner_means(planes: Tensor, side: int) -> Tensor:
    """Return box means at the positions where the box lies inside the planes."""
    if planes.is_cuda:
        return F.avg_pool2d(F.avg_pool2d(planes, (side, 1), 1), (1, side), 1)
    # Ten times as fast on a CPU, where convolutions are not rounded to TF32.
    count = planes.shape[1]
    planes = planes.contiguous(memory_format=torch.channels_last)
    line = planes.new_full((count, 1, 1, side), 1 / side)
    return F.conv2d(F.conv2d(planes, line.mT, groups=count), line, groups=count)
