"""Paths of a model's weights. Does not import torch, so that a name is checked quickly."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from drht_plugin.errors import InputError

_DETAIL = "-detail"

_SHIPPED = Path(__file__).parent / "weights"


def require_model(model: Any) -> None:
    """Refuse what is neither a shipped model nor a path of weights, which need not be there yet.

    Args:
        model: as in `locate`.

    Raises:
        InputError: says what was given and what is accepted.
    """
    if not isinstance(model, (str, os.PathLike)) or not isinstance(os.fspath(model), str):
        raise InputError(
            f"model is {model!r}; expected the name of a shipped model, or the path of a "
            ".safetensors file"
        )
    if Path(model).suffix != ".safetensors":
        locate(model)


def locate(model: str | os.PathLike[str]) -> Path:
    """Return the .safetensors file of a model.

    Args:
        model: name of a shipped model, or path of a .safetensors file.

    Returns:
        The path of the file.

    Raises:
        InputError: it is neither a shipped model nor an existing .safetensors file.
    """
    found = sorted(p.stem for p in _SHIPPED.glob("*.safetensors"))
    shipped = [name for name in found if not name.endswith(_DETAIL)]
    if str(model) in shipped:
        return _SHIPPED / f"{model}.safetensors"
    path = Path(model)
    if path.suffix == ".safetensors" and path.is_file():
        return path
    raise InputError(
        f"model {str(model)!r} is neither shipped ({', '.join(shipped) or 'none'}) "
        "nor an existing .safetensors file"
    )


def detail_of(weights: Path) -> Path:
    """Return the path of a model's detail network, which may not exist.

    Args:
        weights: path of the model.
    """
    return weights.with_name(f"{weights.stem}{_DETAIL}.safetensors")
