"""Make a picture's gain map from the rows of the picture and of its HDR estimate."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from drht_plugin.colour.spaces import SRGB, ColourSpace, space_of
from drht_plugin.engine.pixels import ImageSpec, spec_of
from drht_plugin.engine.source import Source
from drht_plugin.errors import InputError
from drht_plugin.gain_map.design import design
from drht_plugin.gain_map.light import (
    MeanLuminance,
    luminance_of,
    opacity_of,
    radiance_luminance,
)
from drht_plugin.io import (
    GAIN_MAP,
    MAP_LABELS,
    GainMap,
    PictureFile,
    PictureLike,
    is_jpeg_name,
    stated_profile,
)

_BAND_BYTES = 8 << 20


class GainMapMaker:
    """Collects the light of a corrected picture and of its HDR estimate, at the map's size.

    It takes some 100 MB for the largest maps, whatever the picture's size. See
    `io.metadata.gain_map.MapMaker`.

    Args:
        source: the source's spec.
        base: spec of the picture that is written, uint8.
        space: colour space of its codes.
        wrap: whether columns are periodic.
        known: largest gain in stops of the light that is given, where it is known; None for an
            estimate.

    Attributes:
        radiance: sink of the HDR estimate's rows, R×W×3 float32, scene-linear.
        well_exposed: whether the picture is left alone, to be set before the map is made.
        stops: the headroom that the map needs, once it is made.
    """

    def __init__(
        self,
        source: ImageSpec,
        base: ImageSpec,
        space: ColourSpace,
        *,
        wrap: bool = False,
        known: float | None = None,
    ) -> None:
        size = source.height, source.width
        self._wrap, self._known = wrap, known
        self._source, self._base = source, MeanLuminance(*size, luminance_of(base, space))
        self._opacity: MeanLuminance | None = None
        self.radiance = MeanLuminance(*size, radiance_luminance)
        self.well_exposed = False
        self.stops = 0.0

    def take(self, top: int, rows: npt.NDArray[Any]) -> None:
        """Take rows of the picture that is written; see `MapMaker`."""
        self._base[top : top + len(rows)] = rows

    def take_opacity(self, source: Source) -> None:
        """Take the alpha of all of the source; a ground under transparent pixels does not shine."""
        spec = self._source
        self._opacity = MeanLuminance(spec.height, spec.width, opacity_of(spec))
        step = max(1, _BAND_BYTES // (spec.width * source.shape[2] * spec.dtype.itemsize))
        for top in range(0, spec.height, step):
            bottom = min(top + step, spec.height)
            self._opacity[top:bottom] = source[top:bottom]

    def make(self) -> GainMap:
        """Return the gain map, when all rows have been taken."""
        share = self._opacity.mean() if self._opacity else np.float32(1)
        light = self._base.mean(), self.radiance.mean()
        made = design(
            *light, share, wrap=self._wrap, known=self._known, well_exposed=self.well_exposed
        )
        self.stops = made.values.most_headroom
        return made


def gets_map(picture: PictureFile, target: Path, ultra_hdr: bool | None) -> bool:
    """Return whether a target gets a gain map.

    Args:
        picture: the source.
        target: its path.
        ultra_hdr: whether it does; None if it is a JPEG whose source has one.

    Raises:
        InputError: it is to have one, and is no JPEG.
    """
    jpeg = is_jpeg_name(target)
    if ultra_hdr and not jpeg:
        raise InputError(f"{target.name}: an Ultra HDR picture is a JPEG; expected NAME.jpg")
    if ultra_hdr is None:
        return jpeg and picture.gain_map is not None
    return ultra_hdr


def maker_for(
    spec: ImageSpec, base: PictureLike, *, wrap: bool, known: float | None
) -> GainMapMaker:
    """Return what makes the gain map of a picture.

    Args:
        spec: the source's spec.
        base: what the new file holds.
        wrap: whether columns are periodic.
        known: see `GainMapMaker`.
    """
    stored = spec_of(base)
    try:
        profile = stated_profile(base.carrier.metadata, colours=stored.colours)
        space = space_of(profile, colours=stored.colours)
    except InputError:  # of which `correct_file` warns
        space = SRGB
    return GainMapMaker(spec, stored, space, wrap=wrap, known=known)


def not_kept(picture: PictureFile, labels: tuple[str, ...], *, remade: bool) -> tuple[str, ...]:
    """Return what a new file has not of its source's, in plain words.

    Args:
        picture: the source.
        labels: what has been dropped; see `Metadata.dropped`.
        remade: whether the file has a new gain map.
    """
    gone = MAP_LABELS if remade else ()
    if isinstance(picture.gain_map, str):
        gone = (*gone, GAIN_MAP)
        labels = (*labels, f"{GAIN_MAP} ({picture.gain_map})")
    return tuple(label for label in labels if label not in gone)
