"""What states the colours of a picture: code points, a profile, or primaries and a gamma."""

from dataclasses import replace

from drht_plugin.colour import icc
from drht_plugin.colour.cicp import Cicp, profile_beyond_white
from drht_plugin.colour.curves import SRGB_PARAMETERS
from drht_plugin.colour.primaries import BT709, to_d50
from drht_plugin.colour.spaces import Profile
from drht_plugin.errors import InputError
from drht_plugin.io.metadata.types import Metadata


def stated_profile(metadata: Metadata, *, colours: int) -> Profile | None:
    """Return what states the colours, in the order of precedence.

    Args:
        metadata: of the picture.
        colours: 1 for gray or 3 for RGB.

    Returns:
        Code points, the bytes of an ICC profile, or None for sRGB.

    Raises:
        InputError: the code points are unknown or go beyond white, or the primaries are no colours.
    """
    if metadata.cicp is not None:
        return Cicp(*metadata.cicp)
    if metadata.icc is not None:
        return metadata.icc
    return _made_profile(metadata, colours)


def _made_profile(metadata: Metadata, colours: int) -> bytes | None:
    """Return a profile of the primaries and the gamma, where either is stated."""
    places, gamma = metadata.chromaticities, metadata.gamma
    if places is None and gamma is None:
        return None
    curve = icc.parametric_tag(*(SRGB_PARAMETERS if gamma is None else (gamma,)))
    if colours == 1:
        return None if gamma is None else icc.gray_profile(curve)
    try:
        return icc.matrix_profile(to_d50(places or BT709), curve)
    except (ValueError, ArithmeticError) as error:
        raise InputError(f"its primaries are {places}; expected chromaticities") from error


def with_profile(metadata: Metadata, *, colours: int, keeps_points: bool) -> Metadata:
    """Return metadata whose profile states what the source states otherwise.

    Args:
        metadata: of the source.
        colours: 1 for gray or 3 for RGB.
        keeps_points: whether the target holds code points. It gets no profile for those beyond
            white (PQ and HLG), which software without code points would show dark.
    """
    try:
        if metadata.cicp is None:
            profile = metadata.icc or _made_profile(metadata, colours)
        else:
            profile = Cicp(*metadata.cicp).profile(colours)
    except InputError:
        profile = metadata.icc
        if metadata.cicp and not keeps_points:
            profile = profile_beyond_white(*metadata.cicp) or profile
    return replace(metadata, icc=profile)
