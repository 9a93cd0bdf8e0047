"""What survives beside the pixels, in the same shape for every format."""

from dataclasses import dataclass, field, replace

from drht_plugin.io.metadata import ifd


@dataclass(frozen=True)
class Metadata:
    """Metadata that more than one format can hold.

    Attributes:
        icc: ICC profile.
        exif: An EXIF block: a TIFF structure without pixels, without the ``Exif`` mark.
        xmp: XMP packet.
        photoshop: Photoshop's image resources (IPTC among them), beginning ``8BIM``.
        density: Pixels per inch across and down.
        cicp: Colour primaries and transfer by code points of ITU-T H.273, where these rule.
        private: Parts that only the source's own format has, as its module left them.
    """

    icc: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None
    photoshop: bytes | None = None
    density: tuple[float, float] | None = None
    cicp: tuple[int, int] | None = None
    private: tuple[bytes, ...] = ()


@dataclass(frozen=True)
class Carrier:
    """All that a writer needs beside the pixels.

    Attributes:
        format: Key of the format that was read.
        metadata: What other formats can hold too.
        coding: How the source was coded; each format has its own type, or None.
        lossless: Whether the source's pixels were stored exactly.
        bits: Coded bits per channel of an AVIF or HEIC file; 0 for others.
    """

    format: str
    metadata: Metadata = field(default_factory=Metadata)
    coding: object = None
    lossless: bool = True
    bits: int = 0


def sound(metadata: Metadata) -> Metadata:
    """Return metadata whose EXIF can be relied on: without a thumbnail, and none if damaged."""
    if metadata.exif is None:
        return metadata
    try:
        exif = ifd.without_thumbnail(metadata.exif)
        return replace(
            metadata, exif=exif, density=metadata.density or ifd.density(ifd.parse(exif).main)
        )
    except ValueError:
        return replace(metadata, exif=None)


def orientation(metadata: Metadata) -> int:
    """Return the EXIF orientation, 1 to 8; 1 where none is given."""
    return ifd.orientation(metadata.exif) if metadata.exif else 1


def density_of(exif: bytes | None) -> tuple[float, float] | None:
    """Return the pixels per inch that an EXIF block gives, if it does."""
    return ifd.density(ifd.parse(exif).main) if exif else None


def exif_with_density(metadata: Metadata) -> bytes | None:
    """Return an EXIF block that holds the density, for formats with no other place for it."""
    if metadata.density is None or density_of(metadata.exif) is not None:
        return metadata.exif
    tree = ifd.parse(metadata.exif) if metadata.exif else ifd.Tree()
    return ifd.block(tree.with_main(ifd.density_fields(metadata.density)))
