"""ELU, the activation of all networks, with a fast path for bfloat16 on a CPU."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F


def elu_(x: Tensor) -> Tensor:
    """Apply ELU in place (Clevert et al. 2016): x if positive, e^x − 1 otherwise.

    At inference on a CPU, bfloat16 goes through a kernel of our own. The result is bit for bit
    torch's, in a fraction of the time; ELU takes a fifth of the networks' time otherwise.

    Args:
        x: tensor of any shape.

    Returns:
        `x`, changed.
    """
    flat = _flat(x)
    if flat is None:
        return F.elu(x, inplace=True)
    from drht_plugin.bridge import curves
    from drht_plugin.bridge.sharing import allowed_threads, limit_threads

    # PyTorch's threads still watch the cores for work; more of ours would wait for them.
    with limit_threads(max(allowed_threads() // 4, 1)):
        curves.elu_bfloat16(flat)
    return x


def _flat(x: Tensor) -> npt.NDArray[np.uint16] | None:
    """Return the tensor's memory as codes, or None if the kernel cannot be used."""
    # Where all else is done in tensors, numba is not loaded for this; the bits are the same.
    if "numba" not in sys.modules:
        return None
    if x.dtype != torch.bfloat16 or x.device.type != "cpu" or x.requires_grad:
        return None
    dense = x.is_contiguous() or x.is_contiguous(memory_format=torch.channels_last)
    if not dense or torch.is_grad_enabled():
        return None
    codes: npt.NDArray[Any] = x.as_strided((x.numel(),), (1,)).view(torch.int16).numpy()
    return codes.view(np.uint16)
