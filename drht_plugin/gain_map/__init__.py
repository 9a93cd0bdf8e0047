"""Gain maps: from a corrected picture to its HDR estimate, and of the source."""

from drht_plugin.gain_map.light import Tee
from drht_plugin.gain_map.maker import GainMapMaker, gets_map, maker_for, not_kept
from drht_plugin.gain_map.source_light import SourceLight, source_light

__all__ = [
    "GainMapMaker",
    "SourceLight",
    "Tee",
    "gets_map",
    "maker_for",
    "not_kept",
    "source_light",
]
