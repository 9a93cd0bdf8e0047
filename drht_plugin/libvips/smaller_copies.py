"""Find smaller copies of a picture file: a JPEG's shrink-on-load, and a pyramid's levels."""

from pathlib import Path
from typing import Any

from drht_plugin.forks import require_own_process

Options = dict[str, int]

_FORMATS = ("uchar", "ushort")
_BANDS = (1, 3)
"""Without alpha: other software may average hidden colours into the levels."""


def pyramid_level(path: Path, max_factor: int) -> Options | None:
    """Find the smallest level of a TIFF pyramid that is allowed.

    Args:
        path: of the file.
        max_factor: how many times smaller the level may be in each direction.

    Returns:
        libvips' loader options for the level. None where the file has no such level, is not of 8
        or 16 bits, has alpha, or holds several pictures.
    """
    copies = _smaller_copies(path)
    fitting = [(factor, options) for factor, options in copies or () if factor <= max_factor]
    return max(fitting, key=lambda copy: copy[0])[1] if fitting else None


def holds_one_picture(path: Path) -> bool:
    """Return whether all further pages of a TIFF file are smaller copies of its first."""
    return _smaller_copies(path) is not None


def _smaller_copies(path: Path) -> list[tuple[float, Options]] | None:
    """List the smaller copies in a TIFF file: factor (above 1) and libvips' loader options.

    None where the file cannot be read as TIFF, or a further page is another picture.
    """
    import pyvips

    require_own_process("libvips")

    def open_page(**options: int) -> Any:
        # `revalidate`: libvips caches opened files by name.
        return pyvips.Image.tiffload(str(path), access="sequential", revalidate=True, **options)

    found: list[tuple[float, Options]] = []
    try:
        picture = open_page()
        pages: list[Options] = [{"page": n} for n in range(1, picture.get_n_pages())]
        if picture.get_typeof("n-subifds"):
            pages += [{"subifd": n} for n in range(picture.get("n-subifds"))]
        for options in pages:
            factor = _factor(picture, open_page(**options))
            if factor > 1:
                found.append((factor, options))
            elif "page" in options:
                return None
    except pyvips.Error:
        return None
    return found if picture.format in _FORMATS and picture.bands in _BANDS else []


def _factor(picture: Any, copy: Any) -> float:
    """Return how many times smaller a copy is, sides rounded up or down; 0 for other pictures."""
    kinds = {(i.bands, str(i.format), str(i.interpretation)) for i in (picture, copy)}
    factor = max(picture.width, picture.height) / max(copy.width, copy.height)
    alike = all(
        abs(small - large / factor) <= 1
        for small, large in ((copy.width, picture.width), (copy.height, picture.height))
    )
    return factor if len(kinds) == 1 and alike else 0.0


def shrink_factor(max_factor: int) -> int:
    """Return the largest factor up to `max_factor` by which JPEG decoders shrink on load."""
    return max(factor for factor in (1, 2, 4, 8) if factor <= max(max_factor, 1))
