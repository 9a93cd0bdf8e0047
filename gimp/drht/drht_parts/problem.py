"""What the user is told when the correction cannot be done."""

from .text import _

INSTALL = _(
    "Run `drht gimp install` in a terminal, in the environment where drht_plugin is installed."
)


class Problem(Exception):
    """Why the correction cannot be done, as a message for the user."""
