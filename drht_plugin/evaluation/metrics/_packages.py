"""Packages that only some installations have, imported when they are first needed."""

from __future__ import annotations

import importlib
from typing import Any

from ...errors import DependencyError


def load(module: str, extra: str = "evaluate") -> Any:
    """Import a module of an optional package, or say which extra brings it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise DependencyError(
            f"{module} cannot be loaded ({error}); install it with: "
            f"pip install 'drht-plugin[{extra}]'"
        ) from error
