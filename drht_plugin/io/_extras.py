"""Packages that only some formats need, imported when a file of one is opened."""

from __future__ import annotations

import importlib
from typing import Any

from drht_plugin.errors import DependencyError


def import_extra(module: str, extra: str, kind: str) -> Any:
    """Import a package of an extra.

    Args:
        module: name of the module.
        extra: of this package, which installs it.
        kind: of files that need it, in plain words.

    Returns:
        The module.

    Raises:
        DependencyError: it is not installed, or does not start here.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise DependencyError(
            f"{kind} files need {module}: pip install 'drht-plugin[{extra}]'"
        ) from error
