"""How an image is rendered, decided once a call, before any of its pixels is read."""

from __future__ import annotations

from dataclasses import dataclass, replace

from drht_plugin.engine.bands import BandPlan, plan_bands
from drht_plugin.engine.pixels import ImageSpec
from drht_plugin.engine.render.bands import guided_demand, radiance_demand
from drht_plugin.engine.render.network.bands import fitting_tile, network_demand
from drht_plugin.errors import InputError

DETAILS = ("auto", "guided", "network")

AUTO = "guided"
"""What "auto" takes: network detail is closer to the truth, most of all where noise is lifted (see
docs/experiments.md), at fifty times the time, which nobody is to wait for unasked."""

_BAND_PIXELS = 1 << 22
"""Pixels of a band of an array: enough for all threads, small enough for progress to move."""


@dataclass(frozen=True)
class RenderPlan:
    """How an image is rendered.

    Attributes:
        detail: "guided" or "network".
        tile: side of what the detail network sees at once, in pixels; None in guided detail.
        bands: how the rows are parted.
    """

    detail: str
    tile: int | None
    bands: BandPlan

    def from_row(self, start: int) -> RenderPlan:
        """Return the plan of what is left when the rows above `start` are done."""
        return replace(self, bands=self.bands.from_row(start))


def require_detail(detail: str) -> None:
    """Refuse an unknown detail.

    Raises:
        InputError: names the accepted ones.
    """
    if detail not in DETAILS:
        raise InputError(f"detail is {detail!r}; expected one of {', '.join(DETAILS)}")


def resolve_detail(detail: str) -> str:
    """Return "guided" or "network"; "auto" is `AUTO`.

    Raises:
        InputError: an unknown detail.
    """
    require_detail(detail)
    return AUTO if detail == "auto" else detail


def plan_stream(
    spec: ImageSpec,
    *,
    detail: str = "auto",
    orientation: int = 1,
    memory: int | str | None = None,
    tile: int | None = None,
) -> RenderPlan:
    """Plan the rendering of a source by bands that fit the memory.

    Args:
        spec: of the image as stored.
        detail: one of `DETAILS`.
        orientation: how the image is stored, as in EXIF.
        memory, tile: see `Corrector.stream`.

    Raises:
        InputError: an unknown detail, or a memory or tile that cannot be.
    """
    if resolve_detail(detail) == "guided":
        bands = plan_bands(spec, guided_demand(spec), memory=memory, tile=tile)
        return RenderPlan("guided", None, bands)
    side = fitting_tile(spec, memory) if tile is None else tile
    demand = network_demand(spec, side, orientation)
    bands = plan_bands(spec, demand, memory=memory, tile=demand.stride)
    return RenderPlan("network", side, bands)


def plan_array(
    spec: ImageSpec, *, detail: str = "auto", orientation: int = 1, tile: int | None = None
) -> RenderPlan:
    """Plan the rendering of an image that is held in memory; arguments as of `plan_stream`.

    Raises:
        InputError: an unknown detail or an impossible tile.
    """
    if tile is None and resolve_detail(detail) == "guided":
        tile = _band_rows(spec)
    return plan_stream(spec, detail=detail, orientation=orientation, tile=tile)


def plan_radiance(spec: ImageSpec, *, memory: int | str | None = None) -> BandPlan:
    """Plan the rendering of the HDR estimate by bands that fit the memory.

    Raises:
        InputError: a memory that is too small.
    """
    return plan_bands(spec, radiance_demand(spec), memory=memory)


def plan_radiance_array(spec: ImageSpec) -> BandPlan:
    """Plan the rendering of the HDR estimate of an image that is held in memory."""
    return plan_bands(spec, radiance_demand(spec), tile=_band_rows(spec))


def _band_rows(spec: ImageSpec) -> int:
    return max(1, _BAND_PIXELS // spec.width)
