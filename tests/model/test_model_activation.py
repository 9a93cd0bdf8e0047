"""ELU, by a kernel of our own where that is quicker."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from drht_plugin.bridge import curves
from drht_plugin.model.activation import elu_


def every_value() -> torch.Tensor:
    """All bfloat16, infinities and NaNs among them, as 1×16×64×64."""
    codes = np.arange(65536, dtype=np.uint16).view(np.int16)
    return torch.from_numpy(codes.copy()).view(torch.bfloat16).reshape(1, 16, 64, 64)


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_every_value_is_torchs(memory_format: torch.memory_format) -> None:
    """Of every bfloat16, the result has the bits that torch gives, in place."""
    x = every_value().contiguous(memory_format=memory_format)
    with torch.inference_mode():
        expected = F.elu(x)
        given = x.clone(memory_format=torch.preserve_format)
        result = elu_(given)
    assert result is given
    known = ~expected.isnan()
    assert torch.equal(result[known], expected[known])
    assert bool(result[~known].isnan().all())


def test_only_what_it_is_for_takes_the_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    """Training, other precisions and views with gaps go through torch, and to the same values."""
    monkeypatch.setattr(curves, "elu_bfloat16", pytest.fail)
    x = every_value().nan_to_num(0.5, 3, -3)
    with torch.inference_mode():
        for other in (x.float(), x.half(), x[:, :, ::2]):
            expected = F.elu(other)
            assert torch.equal(elu_(other.clone() if other.is_contiguous() else other), expected)
    trained = x.float().bfloat16().requires_grad_()
    elu_(trained * 1).sum().backward()  # type: ignore[no-untyped-call]
    assert trained.grad is not None
