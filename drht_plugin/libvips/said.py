"""What libvips says of an error, as far as it can be known.

libvips keeps the words of all threads' errors in one buffer, and each call of a method of a
`pyvips.Image` empties it. So while several pictures are worked on, the words that come with an
error may be missing, or be those of another picture. Readers name the damage in words of their
own, which are the same for a picture however many are worked on. Words of writers are shown.
"""

from typing import Any

from drht_plugin.errors import first_line

_OTHERS = "image: no property named"
"""How pyvips' search for a method begins, which is no error."""


def said(error: Any) -> str:
    """Return the first line of what libvips said.

    Args:
        error: a `pyvips.Error`.
    """
    detail = getattr(error, "detail", "") or ""
    own = [line for line in detail.splitlines() if not line.startswith(_OTHERS)]
    return first_line("\n".join(own) or getattr(error, "message", str(error)))
