"""What is compared: the product in each of its modes, and the methods of the field."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from drht_plugin.evaluation.datasets import FloatArray, Item, unit
from drht_plugin.evaluation.methods import CORRECTORS, EXPANDERS

if TYPE_CHECKING:
    from drht_plugin.engine.corrector import Corrector

Method = Callable[[Item], FloatArray]

OURS = "drht"
"""The product as it comes; its pictures are the ones that reports show."""

_MODES = {OURS: "auto", "drht-network": "network"}  # method → detail


@dataclass(frozen=True)
class Lineup:
    """Correctors give a display picture in 0..1, expanders an HDR estimate, 1.0 = clip."""

    correctors: Mapping[str, Method]
    expanders: Mapping[str, Method]


def method_names() -> list[str]:
    """Every method's name once, in the order of the tables."""
    return list(dict.fromkeys([*_MODES, *CORRECTORS, *EXPANDERS]))


def lineup(names: Sequence[str], model: str, device: str) -> Lineup:
    """The methods by name; networks are loaded when first used."""
    from drht_plugin.engine.corrector import Corrector

    ours = Corrector(model=model, device=device, threads=1)
    correctors = {
        **{name: _mode(ours, detail) for name, detail in _MODES.items()},
        **{name: _of_picture(method) for name, method in CORRECTORS.items()},
    }
    expanders = {
        OURS: lambda item: ours.estimate_hdr(item.ldr, wrap=item.wrap),
        **{name: _of_picture(method) for name, method in EXPANDERS.items()},
    }
    return Lineup(
        {n: correctors[n] for n in names if n in correctors},
        {n: expanders[n] for n in names if n in expanders},
    )


def _mode(corrector: Corrector, detail: str) -> Method:
    return lambda item: unit(corrector.correct(item.ldr, detail=detail, wrap=item.wrap))


def _of_picture(method: Callable[[FloatArray], FloatArray]) -> Method:
    return lambda item: np.asarray(method(item.picture), np.float32)
