"""Weights on disk, as safetensors with a JSON description.

Networks are stored in two files: `NAME.safetensors`, in half precision, and `NAME.json`, with the
architecture and the SHA-256 of the first. The model NAME consists of the two survey networks under
that name and, optionally, the detail network under `NAME-detail`.
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
"""Architecture of the detail network."""

Network = TypeVar("Network", bound=nn.Module)


def load_model(model: str | Path) -> Drht:
    """Load the two survey networks.

    Args:
        model: name of a shipped model or a .safetensors file.

    Returns:
        The networks in inference mode, float32, on the CPU.

    Raises:
        InputError: there is no such model.
        WeightsError: the weights are damaged, lack their description, or are of an unknown
            architecture.
    """
    known = {
        name: partial(_without_normalisation, layout) for name, layout in ARCHITECTURES.items()
    }
    return load_weights(locate(model), known).eval().requires_grad_(False)


def load_weights(path: Path, known: Mapping[str, Callable[[], Network]]) -> Network:
    """Load a network from a file.

    Args:
        path: a .safetensors file.
        known: functions that build a network, by the architectures that the file may have.

    Returns:
        The network, float32, on the CPU.

    Raises:
        WeightsError: the weights are damaged, lack their description, or are of an unknown
            architecture.
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
    # On the meta device, so that no initial values are drawn in vain.
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
    """Write networks in half precision, and their description beside them.

    Args:
        network: networks without normalisation (see `fold_normalisation`).
        path: .safetensors file to write.
        facts: more entries of the description (data, recipe, seed, …), as JSON values.
        architecture: name of the architecture.

    Raises:
        InputError: the networks still have normalisation.
    """
    state = {k: v.detach().half().contiguous().cpu() for k, v in network.state_dict().items()}
    if any(name.endswith("running_mean") for name in state):
        raise InputError(
            "the networks still have batch normalisation; expected networks after "
            "fold_normalisation"
        )
    data = save(state)
    description = {
        "architecture": architecture,
        "sha256": hashlib.sha256(data).hexdigest(),
        **facts,
    }
    path.write_bytes(data)
    path.with_suffix(".json").write_text(json.dumps(description, indent=2) + "\n")


def _without_normalisation(architecture: Architecture) -> Drht:
    """Build networks as `fold_normalisation` leaves them."""
    network = Drht(architecture)
    for module in network.modules():
        if isinstance(module, Block):
            module.norm = nn.Identity()
    return network
