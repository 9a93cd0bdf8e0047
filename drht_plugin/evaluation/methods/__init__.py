"""The methods that DRHT is compared with, by name.

Correctors map a display-encoded float32 H×W×3 picture in 0..1 to another. Expanders map it to
scene-linear light, 0 or more, with 1.0 at the input's clip point. All check their input
(InputError), leave it unchanged and are deterministic. They need the extra `evaluate`
(DependencyError).

Each module's docstring names the paper, its parameters, and the choices made where the paper leaves
something open. `layers` has the recipe that the three smoothers smf, l0s and djf share.
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
"""Methods from an LDR picture to an LDR picture, by name."""

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
"""Methods from an LDR picture to an HDR estimate, by name."""
