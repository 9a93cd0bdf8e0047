"""Checks of arguments that many calls have."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from drht_plugin.errors import InputError


def require_flag(name: str, value: Any) -> bool:
    """Check a switch and return it as a bool.

    Args:
        name: of the argument.
        value: any value. Words and numbers are refused, since "no" would count as yes.

    Raises:
        InputError: it is neither Python's nor numpy's True or False.
    """
    if not isinstance(value, (bool, np.bool_)):
        raise InputError(f"{name} is {value!r}; expected True or False")
    return bool(value)


def whole_number(value: Any) -> int | None:
    """Return Python's and numpy's integers as an int, and None for anything else."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        return None
    return int(value)


def require_whole(name: str, value: Any, least: int) -> int:
    """Check a whole number and return it as an int.

    Args:
        name: of the argument.
        value: any value.
        least: the least number that is accepted.

    Raises:
        InputError: it is no integer of Python or numpy from `least`.
    """
    whole = whole_number(value)
    if whole is None or whole < least:
        raise InputError(f"{name} is {value!r}; expected a whole number from {least}")
    return whole


def require_choice(name: str, value: Any, choices: Sequence[str]) -> None:
    """Refuse what is none of some words.

    Args:
        name: of the argument.
        value: any value.
        choices: the accepted words.

    Raises:
        InputError: lists the accepted words.
    """
    if not isinstance(value, str) or value not in choices:
        raise InputError(f"{name} is {value!r}; expected one of {', '.join(choices)}")
