"""The plug-in's texts, in the user's language where there is a translation."""

import gettext
import os

DOMAIN = "drht-plugin"

_FOLDER = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_ = gettext.translation(DOMAIN, os.path.join(_FOLDER, "locale"), fallback=True).gettext


def N_(text):  # noqa: N802
    """Mark a text that is translated where it is used."""
    return text
