"""Smaller copies of a picture file: what a JPEG decoder shrinks to, and the levels of a pyramid."""

from pathlib import Path
from typing import Any

Options = dict[str, int]

_FORMATS = ("uchar", "ushort")
_BANDS = (1, 3)
"""Without alpha: other software may have averaged colours into a level that alpha hides."""


def level(path: Path, most: int) -> Options | None:
    """Return libvips' options for the smallest copy at most `most` times smaller each way.

    None where the file has none, is not of 8 or 16 bits, has alpha, or holds several pictures.
    """
    copies = _copies(path)
    fitting = [(factor, options) for factor, options in copies or () if factor <= most]
    return max(fitting, key=lambda copy: copy[0])[1] if fitting else None


def holds_one_picture(path: Path) -> bool:
    """Say whether all further pages of a file are smaller copies of its first."""
    return _copies(path) is not None


def _copies(path: Path) -> list[tuple[float, Options]] | None:
    """By how much each copy is smaller, more than 1, and libvips' options for it.

    None where the file cannot be read as TIFF, or a further page is no copy.
    """
    import pyvips

    def opened(**options: int) -> Any:
        # Not what libvips remembers of a file of that name.
        return pyvips.Image.tiffload(str(path), access="sequential", revalidate=True, **options)

    found: list[tuple[float, Options]] = []
    try:
        picture = opened()
        further: list[Options] = [{"page": n} for n in range(1, picture.get_n_pages())]
        if picture.get_typeof("n-subifds"):
            further += [{"subifd": n} for n in range(picture.get("n-subifds"))]
        for options in further:
            factor = _factor(picture, opened(**options))
            if factor > 1:
                found.append((factor, options))
            elif "page" in options:
                return None
    except pyvips.Error:
        return None
    return found if picture.format in _FORMATS and picture.bands in _BANDS else []


def _factor(picture: Any, copy: Any) -> float:
    """By how much a copy is smaller; 0 for what is none: its sides are rounded, up or down."""
    kinds = {(i.bands, str(i.format), str(i.interpretation)) for i in (picture, copy)}
    factor = max(picture.width, picture.height) / max(copy.width, copy.height)
    alike = all(
        abs(small - large / factor) <= 1
        for small, large in ((copy.width, picture.width), (copy.height, picture.height))
    )
    return factor if len(kinds) == 1 and alike else 0.0


def shrink_factor(most: int) -> int:
    """Return by how much decoders can make a picture smaller each way, at most `most` times."""
    return max(factor for factor in (1, 2, 4, 8) if factor <= max(most, 1))
