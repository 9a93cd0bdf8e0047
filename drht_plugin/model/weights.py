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
from drht_plugin.storage import read_json_object

DETAIL_ARCHITECTURE = "drht-detail-3"
"""Architecture of the detail network."""

_MOST_BYTES = 1 << 30
"""Size of the largest weights that are read; those of the known architectures have far less."""

_DTYPES = (torch.float16, torch.bfloat16, torch.float32)

Network = TypeVar("Network", bound=nn.Module)


def load_model(model: str | Path) -> Drht:
    """Load the two survey networks.

    Args:
        model: name of a shipped model or a .safetensors file.

    Returns:
        The networks in inference mode, float32, on the CPU.

    Raises:
        InputError: there is no such model.
        WeightsError: the weights are damaged, lack their description, are of an unknown
            architecture, or have NaN or infinite values.
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
        WeightsError: the weights are damaged, lack their description, are of an unknown
            architecture, or have NaN or infinite values.
    """
    try:
        description = read_json_object(path.with_suffix(".json"))
        declared, digest = str(description["architecture"]), description["sha256"]
    except (OSError, ValueError, KeyError) as error:
        raise WeightsError(
            f"{path}: its description {path.stem}.json cannot be read ({error})"
        ) from error
    data = _read_bounded(path)
    if hashlib.sha256(data).hexdigest() != digest:
        raise WeightsError(
            f"{path}: damaged: its SHA-256 differs from the one in {path.stem}.json; "
            "install the package again"
        )
    if declared not in known:
        raise WeightsError(f"{path}: made for {declared}; this version runs {', '.join(known)}")
    # On the meta device, so that no initial values are drawn in vain.
    with torch.device("meta"):
        network = known[declared]()
    tensors = _parse_tensors(path, data)
    try:
        network.load_state_dict(tensors, assign=True)
    except RuntimeError as error:
        raise WeightsError(f"{path}: does not hold the tensors of {declared}") from error
    return network


def _read_bounded(path: Path) -> bytes:
    try:
        with open(path, "rb") as file:
            data = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read: {error.strerror or error}") from error
    if len(data) > _MOST_BYTES:
        raise WeightsError(f"{path}: has more than {_MOST_BYTES} bytes, the most that is read")
    return data


def _parse_tensors(path: Path, data: bytes) -> dict[str, torch.Tensor]:
    """Return the tensors of a safetensors file as float32; refuse what cannot be weights."""
    try:
        stored = load(data)
    except (SafetensorError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise WeightsError(f"{path}: is not a safetensors file, or is damaged ({error})") from error
    for name, tensor in stored.items():
        if tensor.dtype not in _DTYPES:
            accepted = ", ".join(str(dtype).removeprefix("torch.") for dtype in _DTYPES)
            raise WeightsError(
                f"{path}: tensor {name!r} is {str(tensor.dtype).removeprefix('torch.')}; "
                f"expected one of {accepted}"
            )
    values = {name: tensor.float() for name, tensor in stored.items()}
    for name, tensor in values.items():
        # A sum is finite only if its terms are, and takes a tenth of the time of looking at each.
        if not tensor.sum().isfinite():
            raise WeightsError(f"{path}: tensor {name!r} has NaN or infinite values")
    return values


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
