"""Recover over- and under-exposed pictures with Deep Reciprocating HDR Transformation.

The public names are loaded when first used: importing the package is quick.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from drht_plugin._version import __version__ as __version__

if TYPE_CHECKING:
    from drht_plugin.colour.cicp import Cicp
    from drht_plugin.engine.correct import Corrector, correct, estimate_hdr, survey
    from drht_plugin.engine.render import Strength, Window, render
    from drht_plugin.engine.scene import Scene
    from drht_plugin.errors import (
        Cancelled,
        DependencyError,
        DrhtError,
        DrhtWarning,
        FileError,
        InputError,
        ReadError,
        WeightsError,
        WriteError,
    )
    from drht_plugin.files import FileReport, correct_file

__all__ = [
    "Cancelled",
    "Cicp",
    "Corrector",
    "DependencyError",
    "DrhtError",
    "DrhtWarning",
    "FileError",
    "FileReport",
    "InputError",
    "ReadError",
    "Scene",
    "Strength",
    "WeightsError",
    "Window",
    "WriteError",
    "correct",
    "correct_file",
    "estimate_hdr",
    "render",
    "survey",
]

_HOMES = {
    "drht_plugin.colour.cicp": ("Cicp",),
    "drht_plugin.engine.correct": ("Corrector", "correct", "estimate_hdr", "survey"),
    "drht_plugin.errors": (
        "Cancelled",
        "DependencyError",
        "DrhtError",
        "DrhtWarning",
        "FileError",
        "InputError",
        "ReadError",
        "WeightsError",
        "WriteError",
    ),
    "drht_plugin.files": ("FileReport", "correct_file"),
    "drht_plugin.engine.render": ("Strength", "Window", "render"),
    "drht_plugin.engine.scene": ("Scene",),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOME_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
