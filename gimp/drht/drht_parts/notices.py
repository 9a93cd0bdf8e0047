"""What the dialog says: what is being done, and what went wrong. No text makes it larger."""

from gi.repository import Gtk, Pango

from .text import _

_PROBLEM_HEIGHT = 72
_MESSAGE = 460, 220


class Notices:
    """The dialog's two places for texts.

    Args:
        again: called when the user wants to try again after a problem.

    Attributes:
        status: the line below the preview.
        problem: a bar; hidden while there is no problem.
    """

    def __init__(self, again):
        self._stale = ""
        self._label = Gtk.Label(label="", xalign=0, ellipsize=Pango.EllipsizeMode.END)
        self._bar = Gtk.ProgressBar(valign=Gtk.Align.CENTER)
        self._bar.set_size_request(90, -1)
        self.status = Gtk.Box(orientation=Gtk.Orientation.HORIZONTAL, spacing=6)
        self.status.pack_start(self._label, True, True, 0)
        self.status.pack_end(self._bar, False, False, 0)
        self._bar.set_no_show_all(True)

        self._text = _scrolled_text(_PROBLEM_HEIGHT)
        self.problem = Gtk.InfoBar(message_type=Gtk.MessageType.ERROR)
        self.problem.get_content_area().pack_start(self._text, True, True, 0)
        self.problem.add_button(_("Tr_y again"), Gtk.ResponseType.APPLY)
        self.problem.connect("response", lambda *_args: again())
        self.problem.get_content_area().show_all()
        self.problem.set_no_show_all(True)
        self.problem.set_valign(Gtk.Align.START)

    def report(self, text, share):
        """Say what is done.

        Args:
            text: what; empty when all is done.
            share: the share of it that is done, 0 to 1.
        """
        if not text:
            self._stale = ""
        hint = "" if self.problem.get_visible() else _("Wheel: zoom. Drag: move.")
        said = f"{self._stale} {text}".strip() or hint
        if self._label.get_text() != said:
            self._label.set_text(said)
        self._bar.set_visible(bool(text))
        self._bar.set_fraction(share)

    def say_stale(self):
        """Say, until all is done again, that the preview is from a worker that has ended."""
        self._stale = _("The worker ended, and another one starts; the preview is out of date.")

    def say_problem(self, text):
        """Say what went wrong; with an empty text, that nothing did."""
        self._text.get_child().get_child().set_text(text)
        self.problem.set_visible(bool(text))
        self.report("", 1.0)


def show_message(parent, text, title, problem=False):
    """Show a message in a window of its own, which scrolls where the text is long.

    Args:
        parent: the window in front of which it appears.
        text: the message.
        title: the window's title.
        problem: whether something is wrong.
    """
    window = Gtk.Dialog(title=title, transient_for=parent, modal=True)
    window.add_button(_("_Close"), Gtk.ResponseType.CLOSE)
    window.set_default_size(*_MESSAGE)
    name = "dialog-warning" if problem else "dialog-information"
    icon = Gtk.Image.new_from_icon_name(name, Gtk.IconSize.DIALOG)
    icon.set_valign(Gtk.Align.START)
    scrolled = _scrolled_text(80)
    scrolled.get_child().get_child().set_text(text)
    box = Gtk.Box(orientation=Gtk.Orientation.HORIZONTAL, spacing=12, border_width=12)
    box.pack_start(icon, False, False, 0)
    box.pack_start(scrolled, True, True, 0)
    window.get_content_area().pack_start(box, True, True, 0)
    window.connect("response", lambda shown, _answer: shown.destroy())
    window.show_all()


def _scrolled_text(height):
    """Return a label in a frame of fixed height, which scrolls."""
    label = Gtk.Label(
        label="", xalign=0, yalign=0, wrap=True, wrap_mode=Pango.WrapMode.WORD_CHAR, selectable=True
    )
    scrolled = Gtk.ScrolledWindow(
        hscrollbar_policy=Gtk.PolicyType.NEVER, vscrollbar_policy=Gtk.PolicyType.AUTOMATIC
    )
    scrolled.add(label)
    scrolled.set_size_request(-1, height)
    return scrolled
