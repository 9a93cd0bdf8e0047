"""Metadata in the same form for every format."""

from dataclasses import dataclass, field, replace

from drht_plugin.io.metadata import ifd


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
        private: parts that only the source's format has, encoded by its module.
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
    """Metadata and coding of a source file, which a writer carries over to the new file.

    Attributes:
        format: key of the source's format.
        metadata: what other formats can hold too.
        coding: how the source was stored, in a type of its format; None for most formats.
        lossless: whether the source's pixels were stored exactly.
        bits: coded bits per channel of an AVIF or HEIC file; 0 for others.
    """

    format: str
    metadata: Metadata = field(default_factory=Metadata)
    coding: object = None
    lossless: bool = True
    bits: int = 0


def sanitise(metadata: Metadata) -> Metadata:
    """Drop the EXIF thumbnail, or all of a damaged EXIF block."""
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
    """Return the EXIF orientation, 1 to 8; 1 where there is none."""
    return ifd.orientation(metadata.exif) if metadata.exif else 1


def exif_density(exif: bytes | None) -> tuple[float, float] | None:
    """Return the density in an EXIF block, across and down in pixels per inch; or None."""
    return ifd.density(ifd.parse(exif).main) if exif else None


def exif_with_density(metadata: Metadata) -> bytes | None:
    """Return the EXIF block with the density added, for formats that store it nowhere else."""
    if metadata.density is None or exif_density(metadata.exif) is not None:
        return metadata.exif
    tree = ifd.parse(metadata.exif) if metadata.exif else ifd.Tree()
    return ifd.exif_block(tree.with_main(ifd.density_fields(metadata.density)))
