"""What of a picture, beside its pixels, goes into a new file of any format."""

from dataclasses import dataclass, replace

from drht_plugin.colour.icc import is_for
from drht_plugin.io._formats import FORMATS, Beside, Format
from drht_plugin.io._picture import PictureLike
from drht_plugin.io.metadata import ultra_hdr
from drht_plugin.io.metadata.claims import without_extension
from drht_plugin.io.metadata.colour import with_profile
from drht_plugin.io.metadata.types import Carrier, Metadata, orientation, turn_upright, with_sides
from drht_plugin.orientation import upright_size


@dataclass(frozen=True)
class Carried:
    """What a new file states.

    Attributes:
        carrier: metadata and coding.
        turn: orientation by which pixels are turned upright, 1 to 8 as in EXIF; 1 where they stay.
        size: height and width of the new file's pixels.
        dropped: what the source has and the format cannot hold, in plain words.
    """

    carrier: Carrier
    turn: int
    size: tuple[int, int]
    dropped: tuple[str, ...]


def carry(row: Format, like: PictureLike, *, shines: bool = False) -> Carried:
    """Decide what a new file states of a picture.

    Args:
        row: the new file's format.
        like: the picture, in the form that is stored.
        shines: whether the file gets a gain map, which needs places in its metadata.
    """
    carrier = like.carrier
    height, width, channels = like.shape
    turn = _turn(row, carrier)
    size = upright_size(height, width, turn)
    metadata = _in_colours(row, carrier, channels)
    if turn != 1:
        metadata = turn_upright(metadata)
    if turn != 1 or not FORMATS[carrier.format].has_orientation:  # here, or by the decoder
        metadata = with_sides(metadata, *size)
    carrier = replace(carrier, metadata=metadata)

    dropped = _not_held(row, carrier)
    if row.name == "jxl" and metadata.icc and not is_for(metadata.icc, gray=channels <= 2):
        # Its encoder refuses the picture; others store what no reader uses.
        carrier = replace(carrier, metadata=replace(metadata, icc=None))
        dropped += ("ICC profile (for pictures of another kind)",)
    if shines:
        carrier, unfit = ultra_hdr.reserve(carrier)
        dropped += unfit
    if row.name != "jpeg":
        metadata, extension = without_extension(carrier.metadata)
        carrier = replace(carrier, metadata=metadata)
        dropped += extension
    return Carried(carrier, turn, size, dropped)


def _turn(row: Format, carrier: Carrier) -> int:
    """Return the orientation by which pixels are turned, as the format cannot state it."""
    # Radiance states it by itself, where others do not look; and few readers obey it there.
    foreign = carrier.format != row.name and "hdr" in (carrier.format, row.name)
    return orientation(carrier.metadata) if foreign or not row.has_orientation else 1


def _in_colours(row: Format, carrier: Carrier, channels: int) -> Metadata:
    """Return metadata that state the picture's colours as the format does."""
    # Chunks of PNG and fields of TIFF that state colours are kept.
    kept_as_is = carrier.format == row.name and row.name in ("png", "tiff")
    if kept_as_is or row.transfer != "srgb":
        return carrier.metadata
    points = "code points" in row.colours
    colours = 3 if channels > 2 else 1
    return with_profile(carrier.metadata, colours=colours, keeps_points=points)


def _not_held(row: Format, carrier: Carrier) -> tuple[str, ...]:
    """Name what a format cannot hold of what a source has beside its pixels."""
    metadata = carrier.metadata
    beside: dict[Beside, object] = {
        "EXIF": metadata.exif,
        "XMP": metadata.xmp,
        "resolution": metadata.density,
        "IPTC": metadata.photoshop,
    }
    parts: list[str] = [name for name, found in beside.items() if found and name not in row.beside]
    if carrier.format != row.name and (metadata.private or getattr(carrier.coding, "fields", ())):
        parts.append(f"what only {FORMATS[carrier.format].label} files hold")
    if metadata.icc and row.transfer == "srgb" and "profile" not in row.colours:
        parts.append("ICC profile")
    if metadata.aspect and not row.pixel_shape:
        parts.append("shape of pixels")
    return tuple(parts)
