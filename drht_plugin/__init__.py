"""Recover over- and under-exposed pictures with Deep Reciprocating HDR Transformation.

The public names are loaded when first used: importing the package is quick.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from drht_plugin._version import __version__ as __version__

if TYPE_CHECKING:
    from drht_plugin.colour.cicp import Cicp
    from drht_plugin.colour.spaces import Profile
    from drht_plugin.engine.correct import correct, estimate_hdr, survey
    from drht_plugin.engine.corrector import Corrector
    from drht_plugin.engine.pixels import ImageSpec
    from drht_plugin.engine.progress import ProgressCallback
    from drht_plugin.engine.render.guided import render
    from drht_plugin.engine.scene import Scene
    from drht_plugin.engine.source import Reducible, Sink, Source
    from drht_plugin.engine.strength import Strength
    from drht_plugin.engine.tone_grid import ToneGrid
    from drht_plugin.errors import (
        Cancelled,
        ClusterError,
        DependencyError,
        DeviceError,
        DrhtError,
        DrhtWarning,
        FileError,
        ForkError,
        InputError,
        ReadError,
        WeightsError,
        WriteError,
    )
    from drht_plugin.file_correction import FileReport, correct_file
    from drht_plugin.geometry import Region, Window

__all__ = [
    "Cancelled",
    "Cicp",
    "ClusterError",
    "Corrector",
    "DependencyError",
    "DeviceError",
    "DrhtError",
    "DrhtWarning",
    "FileError",
    "FileReport",
    "ForkError",
    "ImageSpec",
    "InputError",
    "Profile",
    "ProgressCallback",
    "ReadError",
    "Reducible",
    "Region",
    "Scene",
    "Sink",
    "Source",
    "Strength",
    "ToneGrid",
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
    "drht_plugin.calls": (
        "correct",
        "estimate_hdr",
        "survey",
    ),
    "drht_plugin.colour.cicp": ("Cicp",),
    "drht_plugin.colour.spaces": ("Profile",),
    "drht_plugin.engine.corrector": ("Corrector",),
    "drht_plugin.engine.pixels": ("ImageSpec",),
    "drht_plugin.engine.progress": ("ProgressCallback",),
    "drht_plugin.engine.render.guided": ("render",),
    "drht_plugin.engine.scene": ("Scene",),
    "drht_plugin.engine.source": (
        "Reducible",
        "Sink",
        "Source",
    ),
    "drht_plugin.engine.strength": ("Strength",),
    "drht_plugin.engine.tone_grid": ("ToneGrid",),
    "drht_plugin.errors": (
        "Cancelled",
        "ClusterError",
        "DependencyError",
        "DeviceError",
        "DrhtError",
        "DrhtWarning",
        "FileError",
        "ForkError",
        "InputError",
        "ReadError",
        "WeightsError",
        "WriteError",
    ),
    "drht_plugin.file_correction": (
        "FileReport",
        "correct_file",
    ),
    "drht_plugin.geometry": (
        "Region",
        "Window",
    ),
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
