"""Where a model's weights lie; without torch, so that a name can be checked at once."""

from __future__ import annotations

from pathlib import Path

from drht_plugin.errors import InputError

_DETAIL = "-detail"

_SHIPPED = Path(__file__).parent / "weights"


def locate(model: str | Path) -> Path:
    """The .safetensors file of a shipped model's name or of a path.

    Raises:
        InputError: neither a shipped model nor an existing .safetensors file.
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
    """Where the detail network of a model lies, which is `weights`; may not exist."""
    return weights.with_name(f"{weights.stem}{_DETAIL}.safetensors")
