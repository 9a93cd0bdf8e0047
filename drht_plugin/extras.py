"""Packages of this package's extras, imported when they are needed."""

from __future__ import annotations

import importlib
from typing import Any

from drht_plugin.errors import DependencyError


def import_extra(module: str, extra: str, user: str) -> Any:
    """Import a package of an extra.

    Args:
        module: name of the module.
        extra: of this package, which installs it.
        user: what needs it, in plain words and in the plural.

    Returns:
        The module.

    Raises:
        DependencyError: it is not installed, or does not start here.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise DependencyError(
            f"{user} need {module}, which cannot be loaded ({error}): "
            f"pip install 'drht-plugin[{extra}]'"
        ) from error
