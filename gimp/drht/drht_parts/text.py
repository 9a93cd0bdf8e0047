"""The plug-in's texts, in the user's language where there is a translation."""

import gettext
import os

from gi.repository import GLib

DOMAIN = "drht-plugin"

_FOLDER = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
# Python alone does not know the language that Windows and macOS are set to.
_LANGUAGES = GLib.get_language_names()
_ = gettext.translation(
    DOMAIN, os.path.join(_FOLDER, "locale"), languages=_LANGUAGES, fallback=True
).gettext


def N_(text):  # noqa: N802
    """Mark a text that is translated where it is used."""
    return text
