"""What a task needs beside pixels."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from drht_plugin.colour.spaces import Profile
from drht_plugin.engine.bands import WindowRenderer
from drht_plugin.engine.corrector import Corrector
from drht_plugin.engine.weigh import shared_correctors
from drht_plugin.orientation import require_orientation


@dataclass(frozen=True)
class Settings:
    """What a task needs beside pixels, small enough to be sent with it.

    Attributes:
        model, device, backend: of `Corrector`.
        transfer, orientation, profile, wrap: of `drht_plugin.survey`.

    Raises:
        InputError: one of them is not accepted, as far as can be told without the image and the
            machine that works.
    """

    model: str | Path
    device: str
    backend: str
    transfer: str = "srgb"
    orientation: int = 1
    profile: Profile | None = None
    wrap: bool = False

    def __post_init__(self) -> None:
        Corrector(model=self.model, device=self.device, backend=self.backend)  # refuses others
        object.__setattr__(self, "model", str(self.model))  # the same task for a path and its text
        whole = require_orientation(self.orientation, wrap=self.wrap)
        object.__setattr__(self, "orientation", whole)
        object.__setattr__(self, "wrap", bool(self.wrap))

    def corrector(self, pixels: int, detail: str = "guided") -> Corrector:
        """Return this process's corrector, whose networks are loaded once."""
        return shared_correctors(self.model, self.device, None, self.backend).for_work(
            pixels, detail
        )


@lru_cache(maxsize=4)
def shared_renderer(corrector: Corrector, detail: str, tile: int) -> WindowRenderer:
    """Return a corrector's renderer of windows, made once in each process; see `Corrector`."""
    return corrector.window_renderer(detail, tile)
