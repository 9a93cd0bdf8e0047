"""Names of devices, checked without importing torch."""

from __future__ import annotations

import re
from typing import Any

from drht_plugin.errors import InputError

DEVICES = "auto, cpu, cuda, cuda:N or mps, or several with commas between them"
"""Accepted devices, in words."""

_DEVICE = re.compile(r"(auto|cpu|cuda|mps)(:[0-9]+)?")


def require_device(device: Any) -> None:
    """Refuse what names no device.

    Args:
        device: as in `device.choose_devices`. Whether the machine has it is not looked at.

    Raises:
        InputError: says what was given and what is accepted.
    """
    names = device.split(",") if isinstance(device, str) else [""]
    if not all(_DEVICE.fullmatch(name.strip()) for name in names):
        raise InputError(f"device {device!r} is unknown; expected {DEVICES}")
