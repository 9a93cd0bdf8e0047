"""Metadata in the same form for every format."""

from dataclasses import dataclass, field, replace
from fractions import Fraction

from drht_plugin.io.metadata import exif_edit, ifd, xmp
from drht_plugin.orientation import transposes

Chromaticities = tuple[tuple[float, float], ...]
"""x and y of red, green, blue and white."""


GAIN_MAP = "gain map"
"""What `Metadata.dropped` has for one."""

MAP_LABELS = (GAIN_MAP, "list of further pictures", "further pictures (MPF)")
"""What `Metadata.dropped` has for one and for what points to it."""


@dataclass(frozen=True)
class Metadata:
    """Metadata that more than one format can hold.

    Attributes:
        icc: ICC profile.
        exif: EXIF block: a TIFF structure, without the leading ``Exif`` signature.
        xmp: XMP packet.
        photoshop: Photoshop's image resources (with IPTC), starting with ``8BIM``.
        density: pixels per inch across and down.
        cicp: colour primaries and transfer by code points of ITU-T H.273; None where a profile
            takes precedence.
        aspect: pixels across and down on a length that is not known, so that only their ratio
            counts: how many times as high as wide a pixel is. None where they are square, or
            where only `density` states it. It outranks `density`.
        turned: orientation that the format itself states, 1 to 8; EXIF's counts where it is 1.
        chromaticities: of red, green, blue and white, where neither a profile nor code points
            state the colours.
        gamma: exponent from codes to light, where neither a profile nor code points state it.
        factors: what red, green and blue are multiplied by, as an exposure; None for nothing.
        dropped: what no new file gets, in words for the user, as it is damaged, or shows or claims
            the picture as it was: "EXIF thumbnail".
        private: parts that only the source's format has, encoded by its module.
        extended_xmp: what a JPEG's XMP packet had no room for; another packet, which that names.
    """

    icc: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None
    photoshop: bytes | None = None
    density: tuple[float, float] | None = None
    cicp: tuple[int, int] | None = None
    aspect: tuple[float, float] | None = None
    turned: int = 1
    chromaticities: Chromaticities | None = None
    gamma: float | None = None
    factors: tuple[float, float, float] | None = None
    dropped: tuple[str, ...] = ()
    private: tuple[bytes, ...] = ()
    extended_xmp: bytes | None = None


@dataclass(frozen=True)
class Carrier:
    """Metadata and coding of a source file, which a writer carries over to the new file.

    Attributes:
        format: key of the source's format.
        metadata: what other formats can hold too.
        coding: how the source was stored, in a type of its format; None for most formats.
        lossless: whether the source's pixels were stored exactly.
        bits: coded bits per channel of an AVIF or HEIC file; 0 for others.
        pixel_bytes: of the source's file, without its metadata; 0 where that is not known.
        headroom: largest light of camera raw, whose pixels are rolled off; 1 for others.
    """

    format: str
    metadata: Metadata = field(default_factory=Metadata)
    coding: object = None
    lossless: bool = True
    bits: int = 0
    pixel_bytes: int = 0
    headroom: float = 1.0


def orientation(metadata: Metadata) -> int:
    """Return the orientation of the stored pixels, 1 to 8; 1 where none is stated."""
    if metadata.turned != 1:
        return metadata.turned
    return ifd.orientation(metadata.exif) if metadata.exif else 1


def turn_upright(metadata: Metadata) -> Metadata:
    """Return the metadata of a picture whose pixels have been turned upright."""
    turn, exif = orientation(metadata), metadata.exif
    density, aspect = metadata.density, metadata.aspect
    if transposes(turn):
        density, aspect = (pair and (pair[1], pair[0]) for pair in (density, aspect))
    if exif:
        exif = exif_edit.reset_orientation(exif)
        if density != metadata.density and density and exif_density(exif):
            exif = ifd.exif_block(ifd.parse(exif).with_main(ifd.density_fields(density)))
    packet = metadata.xmp and xmp.reset_orientation(metadata.xmp)
    return replace(metadata, exif=exif, xmp=packet, turned=1, density=density, aspect=aspect)


def with_sides(metadata: Metadata, height: int, width: int) -> Metadata:
    """Return metadata that state the sides of a picture whose pixels have been turned (pixels)."""
    exif = metadata.exif and exif_edit.with_sides(metadata.exif, height, width)
    packet = metadata.xmp and xmp.with_sides(metadata.xmp, height, width)
    return replace(metadata, exif=exif, xmp=packet)


def whole_ratio(pair: tuple[float, float], most: int) -> tuple[int, int]:
    """Return two whole numbers up to `most` of the ratio of a pair; the pair itself if it is."""
    if all(value == int(value) and 0 < value <= most for value in pair):
        return int(pair[0]), int(pair[1])
    ratio = Fraction(pair[0] / pair[1])
    if ratio > 1:
        down, across = (1 / ratio).limit_denominator(most).as_integer_ratio()
    else:
        across, down = ratio.limit_denominator(most).as_integer_ratio()
    return max(across, 1), max(down, 1)


def exif_density(exif: bytes | None) -> tuple[float, float] | None:
    """Return the density in an EXIF block, across and down in pixels per inch; or None."""
    return ifd.density(ifd.parse(exif).main) if exif else None


def exif_with_density(metadata: Metadata) -> bytes | None:
    """Return the EXIF block with the density added, for formats that store it nowhere else."""
    if metadata.density is None or exif_density(metadata.exif) is not None:
        return metadata.exif
    tree = ifd.parse(metadata.exif) if metadata.exif else ifd.Tree()
    return ifd.exif_block(tree.with_main(ifd.density_fields(metadata.density)))
