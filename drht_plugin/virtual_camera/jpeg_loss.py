"""Loss of baseline JPEG compression, on tensors."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from drht_plugin.virtual_camera.light import to_device

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


def jpeg(coded: Tensor, quality: Tensor, subsampled: Tensor | None = None) -> Tensor:
    """Simulate the loss of baseline JPEG compression (ITU-T T.81, tables of Annex K).

    Args:
        coded: B×3×H×W display codes in 0..1; H and W are multiples of 8, or of 16 with subsampled
            chroma.
        quality: B values in 1..100, or 0 to leave the picture unchanged.
        subsampled: B bools, whether chroma has half the resolution; None for none.

    Returns:
        B×3×H×W display codes in 0..1.
    """
    chosen = torch.nonzero(quality > 0).flatten()
    if not len(chosen):
        return coded
    device = coded.device
    if subsampled is not None:
        half = to_device(torch.nonzero(subsampled[chosen.to(subsampled.device)]).flatten(), device)
    q = to_device(quality[chosen], device).view(-1, 1, 1, 1, 1, 1)
    chosen = to_device(chosen, device)
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
        """Quantise the 8×8 blocks of B×C×H×W planes by tables of (B or 1)×C×1×8×1×8."""
        batch, channels, height, width = planes.shape
        blocks = planes.reshape(batch, channels, height // 8, 8, width // 8, 8)
        spectrum = torch.einsum("ui,bcyixj,vj->bcyuxv", dct, blocks, dct)
        spectrum = torch.round(spectrum / table) * table
        return torch.einsum("ui,bcyuxv,vj->bcyixj", dct, spectrum, dct).reshape(planes.shape)

    to_ycc = torch.tensor(_YCBCR)
    ycc, back = to_device(to_ycc, device), to_device(torch.linalg.inv(to_ycc), device)
    planes = torch.einsum("ij,bjhw->bihw", ycc, picture)
    planes[:, 0] -= 0.5
    whole = coarse(planes, table)
    if subsampled is not None and len(half):
        small = coarse(F.avg_pool2d(planes[half, 1:], 2), table[half, 1:])
        size = planes.shape[-2:]
        whole[half, 1:] = F.interpolate(small, size, mode="bilinear", align_corners=False)
    planes = whole
    planes[:, 0] += 0.5
    result = coded.clone()
    result[chosen] = torch.einsum("ij,bjhw->bihw", back, planes).clamp(0, 1)
    return result
