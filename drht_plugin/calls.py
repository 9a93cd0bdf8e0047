"""The calls on arrays as the package offers them: dask arrays stay lazy."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from inspect import signature
from typing import Any

from drht_plugin.engine import correct as engine
from drht_plugin.engine.strength import Controls
from drht_plugin.errors import InputError


def _lazy_for_dask(function: Callable[..., Any]) -> Callable[..., Any]:
    """Let a call on arrays take dask arrays, for which it is the one of `drht_plugin.dask`."""

    @wraps(function)
    def call(image: Any, **options: Any) -> Any:
        dask = sys.modules.get("dask.array")
        if dask is None or not isinstance(image, dask.Array):
            return function(image, **options)
        from drht_plugin import dask as lazy

        made = getattr(lazy, function.__name__)
        known = {*signature(made).parameters, *Controls.__annotations__}
        unknown = sorted(options.keys() - known)
        if unknown:
            raise InputError(
                f"{', '.join(unknown)} is given with a dask array, whose result is lazy; expected "
                "it without"
            )
        return made(image, **options)

    call.__module__ = __name__  # where pickle finds it
    return call


correct = _lazy_for_dask(engine.correct)
estimate_hdr = _lazy_for_dask(engine.estimate_hdr)
survey = _lazy_for_dask(engine.survey)
