"""Plan the correction of a file that is open."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

from drht_plugin.colour.spaces import Profile, space_of
from drht_plugin.engine.corrector import Corrector
from drht_plugin.engine.pixels import ImageSpec, spec_of
from drht_plugin.engine.plan import RenderPlan
from drht_plugin.errors import DrhtWarning, InputError
from drht_plugin.file_correction.settings import FileSettings
from drht_plugin.gain_map import GainMapMaker, SourceLight, gets_map, maker_for, source_light
from drht_plugin.io import Conversion, PictureFile, conversion_to, orientation, stated_profile
from drht_plugin.orientation import require_orientation


@dataclass(frozen=True)
class FilePlan:
    """How a picture file is corrected.

    Attributes:
        transfer: "srgb" or "linear".
        spec: of the picture's pixels.
        orientation: how they are stored, 1 to 8 as in EXIF.
        wrap: whether the picture is a panorama of 360°.
        profile: the picture's; None for sRGB.
        known: what the picture's own gain map tells of its light; None for no map.
        conversion: how rows become the target's.
        maker: makes the target's gain map; None for none.
    """

    transfer: str
    spec: ImageSpec
    orientation: int
    wrap: bool
    profile: Profile | None
    known: SourceLight | None
    conversion: Conversion
    maker: GainMapMaker | None

    def rendering(self, corrector: Corrector, detail: str, memory: int | str | None) -> RenderPlan:
        """Plan bands and tiles of the rows that the conversion takes.

        Raises:
            InputError: an unknown detail, or an impossible memory.
        """
        spec = self.spec.widened(self.conversion.given)
        return corrector.plan(spec, detail=detail, orientation=self.orientation, memory=memory)


def plan_file(settings: FileSettings, picture: PictureFile) -> FilePlan:
    """Decide how an open picture is corrected.

    Raises:
        InputError: an argument does not fit the picture.

    Warns:
        DrhtWarning: the picture's profile cannot be used, so sRGB is assumed.
    """
    transfer = settings.transfer or picture.transfer
    spec = spec_of(picture, transfer)
    turn = require_orientation(orientation(picture.carrier.metadata), wrap=settings.wrap)
    profile = _profile(picture, spec)
    space = space_of(profile, colours=spec.colours, linear=spec.linear)
    known = source_light(picture.gain_map, spec, space, turn)
    shines = gets_map(picture, settings.target, settings.ultra_hdr)
    conversion = conversion_to(
        settings.target,
        picture,
        transfer=transfer,
        bits=settings.bits,
        background=settings.background,
        to_rgb=shines,
    )
    maker = None
    if shines:
        limit = known.headroom if known else None
        maker = maker_for(spec, conversion.form, wrap=settings.wrap, known=limit)
    return FilePlan(transfer, spec, turn, settings.wrap, profile, known, conversion, maker)


def _profile(picture: PictureFile, spec: ImageSpec) -> Profile | None:
    """Return the file's profile or code points; warn and return None if they cannot be used."""
    metadata = picture.carrier.metadata
    try:
        profile = stated_profile(metadata, colours=spec.colours)
        space_of(profile, colours=spec.colours, linear=spec.linear)
    except InputError as error:
        warnings.warn(f"{picture.path}: sRGB is assumed: {error}", DrhtWarning, stacklevel=2)
        return None
    return profile
