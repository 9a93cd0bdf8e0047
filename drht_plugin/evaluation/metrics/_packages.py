"""Optional packages, imported when they are needed."""

from __future__ import annotations

import importlib
from typing import Any

from ...errors import DependencyError


def import_optional(module: str, extra: str = "evaluate") -> Any:
    """Import a module of an optional package.

    Args:
        module: name of the module.
        extra: extra of drht-plugin that installs it.

    Returns:
        The module.

    Raises:
        DependencyError: it cannot be imported.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise DependencyError(
            f"{module} cannot be loaded ({error}); install it with: "
            f"pip install 'drht-plugin[{extra}]'"
        ) from error
