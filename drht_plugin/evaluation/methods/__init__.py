"""The methods that DRHT is compared with, by name.

Correctors take and give display-encoded float32 H×W×3 of 0..1. Expanders take the same and give
scene-linear light ≥ 0 with 1.0 = the input's clip point. All check their input (InputError), leave
it unchanged and give the same result each time. They need the `evaluate` extra (DependencyError).

Each module's docstring names the paper, its parameters, and what was chosen where a paper leaves
the recipe open; `layers` holds the one recipe of the three smoothers (smf, l0s, djf).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from drht_plugin.evaluation.methods import basic, cape, expansion, fusion, layers, lime, wvm
from drht_plugin.evaluation.methods._entry import Method, corrector, expander

__all__ = ["CORRECTORS", "EXPANDERS"]

CORRECTORS: Mapping[str, Method] = MappingProxyType(
    {
        "identity": corrector(basic.identity),
        "auto-levels": corrector(basic.auto_levels),
        "gamma": corrector(basic.gamma),
        "clahe": corrector(basic.clahe),
        "lime": corrector(lime.lime),
        "fusion": corrector(fusion.fusion),
        "fusion-gamma": corrector(fusion.fusion_gamma),
        "cape": corrector(cape.cape),
        "wvm": corrector(wvm.wvm),
        "smf": corrector(layers.smf),
        "l0s": corrector(layers.l0s),
        "djf": corrector(layers.djf),
    }
)
"""LDR picture to LDR picture."""

EXPANDERS: Mapping[str, Method] = MappingProxyType(
    {
        "linear": expander(expansion.linear),
        "landis": expander(expansion.landis),
        "akyuz": expander(expansion.akyuz),
        "masia": expander(expansion.masia),
        "kovaleski-oliveira": expander(expansion.kovaleski_oliveira),
        "huo": expander(expansion.huo),
    }
)
"""LDR picture to HDR estimate."""
