"""What a task needs beside pixels."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from drht_plugin.colour.spaces import Profile
from drht_plugin.engine.bands import WindowRenderer
from drht_plugin.engine.corrector import Corrector
from drht_plugin.engine.weigh import shared_correctors


@dataclass(frozen=True)
class Settings:
    """What a task needs beside pixels, small enough to be sent with it.

    Attributes:
        model, device, backend: of `Corrector`.
        transfer, orientation, profile, wrap: of `drht_plugin.survey`.
    """

    model: str
    device: str
    backend: str
    transfer: str = "srgb"
    orientation: int = 1
    profile: Profile | None = None
    wrap: bool = False

    def corrector(self, pixels: int, detail: str = "guided") -> Corrector:
        """Return this process's corrector, whose networks are loaded once."""
        return shared_correctors(self.model, self.device, None, self.backend).for_work(
            pixels, detail
        )


@lru_cache(maxsize=4)
def shared_renderer(corrector: Corrector, detail: str, tile: int) -> WindowRenderer:
    """Return a corrector's renderer of windows, made once in each process; see `Corrector`."""
    return corrector.window_renderer(detail, tile)
