"""Weights on disk: safetensors with a checksum beside it, for networks without normalisation.

Networks are two files: `NAME.safetensors` (half precision) and `NAME.json`, which names the
architecture and the SHA-256 of the first. A model NAME is the two networks of the survey, and
`NAME-detail`, the network of network detail, where there is one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import nn

from drht_plugin.errors import InputError, WeightsError
from drht_plugin.model.locate import locate
from drht_plugin.model.networks import ARCHITECTURES, SHIPPED, Architecture, Block, Drht

DETAIL_ARCHITECTURE = "drht-detail-3"
"""The network of network detail."""

Network = TypeVar("Network", bound=nn.Module)


def load_model(model: str | Path) -> Drht:
    """The networks of a shipped model or a file, in inference mode, float32, on the CPU.

    Raises:
        InputError: no such model.
        WeightsError: damaged, without its description, or of another architecture.
    """
    known = {
        name: partial(_without_normalisation, layout) for name, layout in ARCHITECTURES.items()
    }
    return load_weights(locate(model), known).eval().requires_grad_(False)


def load_weights(path: Path, known: Mapping[str, Callable[[], Network]]) -> Network:
    """A network with the weights of a file.

    known: what makes the network of each architecture that may be in the file.

    Raises:
        WeightsError: damaged, without its description, or of another architecture.
    """
    try:
        data = path.read_bytes()
        description = json.loads(path.with_suffix(".json").read_text())
        declared, digest = description["architecture"], description["sha256"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise WeightsError(f"{path}: its description {path.stem}.json cannot be read") from error
    if hashlib.sha256(data).hexdigest() != digest:
        raise WeightsError(
            f"{path}: damaged: its SHA-256 differs from the one in {path.stem}.json; "
            "install the package again"
        )
    if str(declared) not in known:
        raise WeightsError(f"{path}: made for {declared}; this version runs {', '.join(known)}")
    # Without values of its own, which would be drawn for nothing.
    with torch.device("meta"):
        network = known[declared]()
    try:
        network.load_state_dict({k: v.float() for k, v in load(data).items()}, assign=True)
    except (SafetensorError, RuntimeError) as error:
        raise WeightsError(f"{path}: does not hold the tensors of {declared}") from error
    return network


def save_model(
    network: nn.Module, path: Path, facts: Mapping[str, Any], architecture: str = SHIPPED
) -> None:
    """Write folded networks as half precision, with their description beside them.

    facts: what else the description says (data, recipe, seed, …), JSON values.
    """
    state = {k: v.detach().half().contiguous().cpu() for k, v in network.state_dict().items()}
    if any(name.endswith("running_mean") for name in state):
        raise InputError("weights are saved after fold_normalisation; these still have statistics")
    data = save(state)
    description = {
        "architecture": architecture,
        "sha256": hashlib.sha256(data).hexdigest(),
        **facts,
    }
    path.write_bytes(data)
    path.with_suffix(".json").write_text(json.dumps(description, indent=2) + "\n")


def _without_normalisation(architecture: Architecture) -> Drht:
    network = Drht(architecture)
    for module in network.modules():
        if isinstance(module, Block):
            module.norm = nn.Identity()
    return network
