"""Correct pictures in libvips pipelines, lazily.

The public names are loaded when first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from drht_plugin.libvips.lazy import run
    from drht_plugin.vips._correct import correct, survey
    from drht_plugin.vips._operation import register
    from drht_plugin.vips._write import write

__all__ = ["correct", "register", "run", "survey", "write"]

_HOME_OF = {
    "correct": "drht_plugin.vips._correct",
    "register": "drht_plugin.vips._operation",
    "run": "drht_plugin.libvips.lazy",
    "survey": "drht_plugin.vips._correct",
    "write": "drht_plugin.vips._write",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOME_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
