"""The methods that are compared: drht in its modes, and others from the literature."""

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
"""drht with default settings; reports show its pictures."""

_MODES = {OURS: "auto", "drht-network": "network"}  # method → detail


@dataclass(frozen=True)
class Lineup:
    """Methods by name.

    Attributes:
        correctors: methods that return an H×W×3 display picture in 0..1.
        expanders: methods that return an H×W×3 HDR estimate, 1.0 at the input's clip point.
    """

    correctors: Mapping[str, Method]
    expanders: Mapping[str, Method]


def method_names() -> list[str]:
    """Return the name of every method, in the order of the tables."""
    return list(dict.fromkeys([*_MODES, *CORRECTORS, *EXPANDERS]))


def make_lineup(names: Sequence[str], model: str, device: str) -> Lineup:
    """Return methods by name; the networks are loaded when they are first used.

    Args:
        names: names of methods, see `method_names`.
        model: model of drht, as for `Corrector`.
        device: device of drht, as for `Corrector`.

    Returns:
        The correctors and the expanders among them.
    """
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
