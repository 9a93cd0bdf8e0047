"""The plug-in's help: a page of its own, as GIMP's manual has none on it."""

import os

from gi.repository import Gio, GLib, Gtk

from .notices import show_message
from .text import _

PAGE = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "help.html")


def show_help(parent):
    """Open the page in the user's browser; where there is none, say where the page is.

    Args:
        parent: the window that asks for it.
    """
    address = Gio.File.new_for_path(PAGE).get_uri()
    try:
        Gtk.show_uri_on_window(parent, address, Gtk.get_current_event_time())
    except GLib.Error as error:
        text = _("The help cannot be opened: {}").format(error.message)
        show_message(parent, f"{text}\n\n{address}", title=_("Help"), problem=True)
