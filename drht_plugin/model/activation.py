"""ELU, the activation of every network here, and a faster way to it in bfloat16 on a CPU."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F


def elu_(x: Tensor) -> Tensor:
    """ELU in place (Clevert et al. 2016): x where positive, e^x − 1 elsewhere.

    bfloat16 has 65536 values, so at inference on a CPU the result is looked up: bit for bit
    torch's own, in a quarter of its time, which is a fifth of what the networks take.
    """
    flat = _flat(x)
    if flat is None:
        return F.elu(x, inplace=True)
    from drht_plugin.bridge import curves

    curves.look_up(flat, _table())
    return x


def _flat(x: Tensor) -> npt.NDArray[np.uint16] | None:
    """The memory of a tensor whose activations are looked up; None for others."""
    if x.dtype != torch.bfloat16 or x.device.type != "cpu" or x.requires_grad:
        return None
    dense = x.is_contiguous() or x.is_contiguous(memory_format=torch.channels_last)
    if not dense or torch.is_grad_enabled():
        return None
    codes: npt.NDArray[Any] = x.as_strided((x.numel(),), (1,)).view(torch.int16).numpy()
    return codes.view(np.uint16)


@lru_cache(maxsize=1)
def _table() -> npt.NDArray[np.uint16]:
    """ELU of every bfloat16, by its bits."""
    codes = torch.from_numpy(np.arange(65536, dtype=np.uint16).view(np.int16))
    with torch.inference_mode():
        table: npt.NDArray[Any] = F.elu(codes.view(torch.bfloat16)).view(torch.int16).numpy()
    return table.view(np.uint16)
