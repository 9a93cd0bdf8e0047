"""Packages of the extra `evaluate`, imported when they are needed."""

from __future__ import annotations

from typing import Any

from drht_plugin.extras import import_extra


def import_optional(module: str, extra: str = "evaluate") -> Any:
    """Import a module of the extra `evaluate`, or of another.

    Args:
        module: name of the module, such as `cv2` or `scipy.fft`.
        extra: of this package, which installs it.

    Returns:
        The module.

    Raises:
        DependencyError: it is not installed.
    """
    return import_extra(module, extra, "metrics and compared methods")
