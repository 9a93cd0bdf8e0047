"""Plan how an image is rendered, once per call, before any pixel is read."""

from __future__ import annotations

from dataclasses import dataclass, replace

from drht_plugin.arguments import require_choice
from drht_plugin.engine.bands import BandPlan, plan_bands
from drht_plugin.engine.pixels import ImageSpec
from drht_plugin.engine.render.guided_bands import guided_demand, radiance_demand
from drht_plugin.engine.render.network.network_bands import fitting_tile, network_demand
from drht_plugin.engine.render.network.windows import TILE, require_tile
from drht_plugin.engine.scene import Scene
from drht_plugin.engine.strength import FULL, Strength, require_strength

DETAILS = ("auto", "guided", "network")
"""Accepted values of `detail`."""

AUTO = "guided"
"""Detail that "auto" stands for on the CPU.

Network detail is closer to the truth, above all where noise is lifted (see docs/experiments.md).
But there it takes fifty times as long, which is too long for a default."""

NOISY = 2.0
"""Lifted noise from which on network detail helps, in codes of 255."""

_BAND_PIXELS = 1 << 22
"""Pixels of a band of an array: enough to keep all threads busy, few enough for progress to
move."""


@dataclass(frozen=True)
class RenderPlan:
    """How an image is rendered.

    Attributes:
        detail: "guided" or "network".
        tile: side of the tiles that the detail network sees, in pixels; None in guided detail.
        bands: how the rows are split.
    """

    detail: str
    tile: int | None
    bands: BandPlan

    def from_row(self, start: int) -> RenderPlan:
        """Return the plan of the remaining bands when the rows above `start` are done.

        Args:
            start: first row that is not done; rounded down to a multiple of the bands' stride.
        """
        return replace(self, bands=self.bands.from_row(start))


def require_detail(detail: str) -> None:
    """Refuse an unknown detail.

    Args:
        detail: any value.

    Raises:
        InputError: lists the accepted values.
    """
    require_choice("detail", detail, DETAILS)


def resolve_detail(detail: str, scene: Scene | None = None, strength: Strength = FULL) -> str:
    """Return "guided" or "network".

    Args:
        detail: one of `DETAILS`. "auto" stands for network detail where noise of `NOISY` codes or
            more is lifted, and otherwise for `AUTO`.
        scene: the image's scene; None where "auto" is `AUTO` in any case.
        strength: how much of the correction is applied.

    Raises:
        InputError: an unknown detail, or no `Strength`.
    """
    require_detail(detail)
    require_strength(strength)
    if detail != "auto":
        return detail
    return "network" if scene is not None and lifts_noise(scene, strength) else AUTO


def lifts_noise(scene: Scene, strength: Strength = FULL) -> bool:
    """Return whether a correction lifts noise of `NOISY` codes or more.

    Args:
        scene: the image's scene.
        strength: how much of the correction is applied.
    """
    lifted = 255 * scene.lifted_noise * strength.strength * strength.shadows
    return lifted >= NOISY and not scene.left_alone


def plan_stream(
    spec: ImageSpec,
    *,
    detail: str = "auto",
    orientation: int = 1,
    memory: int | str | None = None,
    tile: int | None = None,
    largest: int = TILE,
) -> RenderPlan:
    """Plan the rendering of a source, in bands that fit the memory.

    Args:
        spec: the stored image's spec.
        detail: one of `DETAILS`.
        orientation: how the image is stored, 1 to 8 as in EXIF.
        memory: for the pixels in flight: bytes, or a text such as "512M" or "2G"; None takes the
            default of the detail.
        tile: in guided detail, rows of a band; in network detail, side of a tile in pixels. None
            takes what the memory allows.
        largest: side of the largest tile that None may take.

    Returns:
        The plan of the whole image.

    Raises:
        InputError: an unknown detail, or an impossible memory or tile.
    """
    if resolve_detail(detail) == "guided":
        bands = plan_bands(spec, guided_demand(spec), memory=memory, tile=tile)
        return RenderPlan("guided", None, bands)
    side = fitting_tile(spec, memory, largest) if tile is None else require_tile(tile)
    demand = network_demand(spec, side, orientation)
    bands = plan_bands(spec, demand, memory=memory, tile=demand.stride)
    return RenderPlan("network", side, bands)


def plan_array(
    spec: ImageSpec,
    *,
    detail: str = "auto",
    orientation: int = 1,
    tile: int | None = None,
    largest: int = TILE,
) -> RenderPlan:
    """Plan the rendering of an image that is held in memory.

    Args:
        spec: the stored image's spec.
        detail: one of `DETAILS`.
        orientation: how the image is stored, 1 to 8 as in EXIF.
        tile: as in `plan_stream`; None takes a size that suits arrays.
        largest: as in `plan_stream`.

    Returns:
        The plan of the whole image.

    Raises:
        InputError: an unknown detail or an impossible tile.
    """
    if tile is None and resolve_detail(detail) == "guided":
        tile = _band_rows(spec)
    return plan_stream(spec, detail=detail, orientation=orientation, tile=tile, largest=largest)


def plan_radiance(spec: ImageSpec, *, memory: int | str | None = None) -> BandPlan:
    """Plan the rendering of the HDR estimate, in bands that fit the memory.

    Args:
        spec: the stored image's spec.
        memory: for the pixels in flight: bytes, or a text such as "512M" or "2G".

    Raises:
        InputError: a memory that is no such number, or too small for a row.
    """
    return plan_bands(spec, radiance_demand(spec), memory=memory)


def plan_radiance_array(spec: ImageSpec) -> BandPlan:
    """Plan the rendering of the HDR estimate of an image that is held in memory.

    Args:
        spec: the stored image's spec.
    """
    return plan_bands(spec, radiance_demand(spec), tile=_band_rows(spec))


def _band_rows(spec: ImageSpec) -> int:
    """Return the rows of a band of an array."""
    return max(1, _BAND_PIXELS // spec.width)
