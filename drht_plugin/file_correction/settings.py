"""What the caller of `correct_file` asks for."""

from __future__ import annotations

import os
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

from drht_plugin.arguments import require_flag, whole_number
from drht_plugin.engine.strength import Strength
from drht_plugin.errors import InputError
from drht_plugin.io import Bits, Damaged


@dataclass(frozen=True)
class FileSettings:
    """Arguments of `correct_file`; see there.

    Raises:
        InputError: a switch, quality or background of another type; `hdr` is no .exr, or another
            file of the call.
    """

    source: Path
    target: Path
    hdr: Path | None
    ultra_hdr: bool | None
    detail: str
    transfer: str | None
    wrap: bool
    bits: Bits | None
    background: str | None
    quality: int | None
    memory: int | str | None
    resume: bool
    damaged: Damaged
    layer: str | None
    strength: Strength

    def __post_init__(self) -> None:
        """Check switches and other types, and the estimate's name."""
        flags = {"wrap": self.wrap, "resume": self.resume}
        if self.ultra_hdr is not None:
            flags["ultra_hdr"] = self.ultra_hdr
        for name, value in flags.items():
            object.__setattr__(self, name, require_flag(name, value))
        if self.quality is not None and whole_number(self.quality) is None:
            raise InputError(f"quality is {self.quality!r}; expected a whole number, 1 to 100")
        if self.background is not None and not isinstance(self.background, str):
            raise InputError(f"background is {self.background!r}; expected a colour in words")
        hdr = self.hdr
        if hdr is None:
            return
        if hdr.suffix.lower() != ".exr":
            raise InputError(f"the HDR estimate's file is {hdr}; expected a name ending in .exr")
        for name, path in (("source", self.source), ("target", self.target)):
            same = os.path.realpath(hdr) == os.path.realpath(path)
            if same or (hdr.exists() and path.exists() and hdr.samefile(path)):
                raise InputError(f"the HDR estimate's file is {hdr}, which is the {name}")

    def identity(self, transfer: str) -> dict[str, Any]:
        """Return what decides the rows of a result, but for the picture and the model.

        Args:
            transfer: what was taken for the picture.
        """
        return {
            "settings": [*astuple(self.strength), self.detail, transfer, self.wrap],
            "damaged": self.damaged,
            "layer": self.layer,
            "memory": self.memory,  # decides the tile size of network detail
        }
