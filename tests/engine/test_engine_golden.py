"""The shipped weights give the results that were looked at; see `golden` for how to renew them."""

from __future__ import annotations

from pathlib import Path

import golden
import numpy as np
import pytest
import torch
from torch import nn

from drht_plugin import Corrector
from drht_plugin.model.detail_network import detail_network
from drht_plugin.model.device import inference_dtype
from drht_plugin.model.locate import detail_of
from drht_plugin.model.weights import DETAIL_ARCHITECTURE, load_model, save_model

FLOAT32 = {"tone": (0.03, 0.3), "detail": (0.02, 0.5)}
"""Mean and largest difference of block means, in 8-bit codes, where networks compute in float32.

Another BLAS or instruction set makes a hundredth of it; 1 % in the weights three times as much.
"""

BFLOAT16 = {"tone": (0.6, 6.0), "detail": (0.25, 2.0)}


def beyond(means: dict[str, golden.FloatArray], bounds: dict[str, tuple[float, float]]) -> set[str]:
    """The results that differ from their references by more than the bounds."""
    references = golden.references()
    assert means.keys() == references.keys()
    found = set()
    for name, reference in references.items():
        difference = np.abs(means[name] - reference)
        mean, largest = bounds["detail" if name.endswith(".detail") else "tone"]
        if not (difference.mean() <= mean and difference.max() <= largest):
            found.add(name)
    return found


def test_results_are_those_of_the_shipped_weights() -> None:
    """Guided and network detail of the example pictures are the committed ones, in float32."""
    with golden.in_float32():
        assert beyond(golden.results(Corrector(device="cpu")), FLOAT32) == set()


@pytest.mark.skipif(
    inference_dtype(torch.device("cpu")) == torch.float32, reason="this CPU computes in float32"
)
def test_bfloat16_gives_much_the_same() -> None:
    """Where networks compute in bfloat16, results are near the committed ones of float32."""
    assert beyond(golden.results(Corrector(device="cpu")), BFLOAT16) == set()


def test_another_models_results_are_beyond_the_bounds(tmp_path: Path) -> None:
    """With weights that differ by 1 %, every result differs by more than the bounds allow.

    Detail is compared by what it adds to tone: with another survey it may stay as it was.
    """
    model = tmp_path / "near.safetensors"
    survey = load_model("default")
    detail = detail_network("default")
    save_model(survey, model, {})
    save_model(_near(detail), detail_of(model), {}, DETAIL_ARCHITECTURE)
    with golden.in_float32():
        of_detail = beyond(golden.results(Corrector(model=model, device="cpu")), FLOAT32)
    assert of_detail == {f"{name}.detail" for name in golden.DETAILED}

    save_model(_near(survey), model, {})
    with golden.in_float32():
        of_both = beyond(golden.results(Corrector(model=model, device="cpu")), FLOAT32)
    assert of_both >= set(golden.NAMES)


def _near(network: nn.Module) -> nn.Module:
    """The network with each weight changed by about 1 %."""
    random = torch.Generator().manual_seed(1)
    for weight in network.parameters():
        weight.data *= 1 + 0.01 * torch.randn(weight.shape, generator=random)
    return network
