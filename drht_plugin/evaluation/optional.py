"""Packages that come with the `evaluate` extra, imported when first needed."""

from __future__ import annotations

import importlib
from typing import Any

from drht_plugin.errors import DependencyError


def need(module: str) -> Any:
    """The module by name, such as `cv2` or `scipy.fft`.

    Raises:
        DependencyError: it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise DependencyError(
            f"the compared methods need {module}: pip install drht-plugin[evaluate]"
        ) from error
