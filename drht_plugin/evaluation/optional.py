"""Packages of the extra `evaluate`, imported when they are needed."""

from __future__ import annotations

import importlib
from typing import Any

from drht_plugin.errors import DependencyError


def import_optional(module: str) -> Any:
    """Import a module of the extra `evaluate`.

    Args:
        module: name of the module, such as `cv2` or `scipy.fft`.

    Returns:
        The module.

    Raises:
        DependencyError: it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise DependencyError(
            f"the compared methods need {module}: pip install drht-plugin[evaluate]"
        ) from error
