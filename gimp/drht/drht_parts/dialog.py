"""The dialog: a preview, the controls beside it, and what there is to say."""

import traceback

import gi

gi.require_version("Gdk", "3.0")
gi.require_version("Gtk", "3.0")
gi.require_version("GimpUi", "3.0")
from gi.repository import Gdk, GimpUi, GLib, Gtk  # noqa: E402

from .controls import make_controls  # noqa: E402
from .correction import Correction  # noqa: E402
from .feed import Feed  # noqa: E402
from .notices import Notices, show_message  # noqa: E402
from .preview import Preview  # noqa: E402
from .problem import Problem  # noqa: E402
from .settings import Settings  # noqa: E402
from .sources import close_all  # noqa: E402
from .text import _  # noqa: E402
from .worker import WorkerEnded, own_version  # noqa: E402

TITLE = _("Recover Exposure (DRHT)")

_SETUP = _("Setup of DRHT")
_USUAL = 1120, 700
_SHARE = 0.98, 0.88
_WAIT_MS = 15
_MARGIN = 6


class Dialog:
    """The dialog with its preview; the worker runs while it is open.

    Args:
        procedure: GIMP's procedure.
        config: its configuration, which the dialog edits.
        image: the image.
        chosen: what is corrected by the configuration as it is, see `sources.choose`.
        choose: gives the same for other settings.

    Attributes:
        sources: what is corrected by the settings in the dialog.
    """

    def __init__(self, procedure, config, image, chosen, choose):
        GimpUi.init(procedure.get_name())
        self._image, self._config, self._choose = image, config, choose
        self.sources, self._input = chosen, Settings(config).input
        self._broken = None
        self._setup_asked = False
        self._preview = Preview(_size_of(chosen[0]))
        self._notices = Notices(self._restart)
        self._feed = self._steps = self._source = None

        self._dialog = dialog = GimpUi.ProcedureDialog.new(procedure, config, TITLE)
        scrolled, column = make_controls(dialog, config)
        seen = Gtk.Box(orientation=Gtk.Orientation.VERTICAL, spacing=6)
        self._preview.cover.add_overlay(self._notices.problem)
        seen.pack_start(self._preview.box, True, True, 0)
        self._notices.status.pack_end(self._preview.zoom, False, False, 0)
        seen.pack_start(self._notices.status, False, False, 0)
        sides = Gtk.Box(orientation=Gtk.Orientation.HORIZONTAL, spacing=6, border_width=6)
        sides.pack_start(seen, True, True, 0)
        sides.pack_start(scrolled, False, False, 0)
        sides.show_all()
        content = dialog.get_content_area()
        agree = dialog.get_widget_for_response(Gtk.ResponseType.OK)
        check = Gtk.Button.new_with_mnemonic(_("Check set_up"))
        check.connect("clicked", lambda *_args: self._ask_setup())
        _put_beside_help(agree.get_parent(), check)
        for bar in content.get_children():
            if isinstance(bar, Gtk.ButtonBox) and not agree.is_ancestor(bar):
                # GIMP's buttons for settings, which above the others would cost the preview a row.
                content.remove(bar)
                bar.set_orientation(Gtk.Orientation.VERTICAL)
                bar.set_layout(Gtk.ButtonBoxStyle.EXPAND)
                for side in ("start", "end"):
                    bar.set_property(f"margin-{side}", _MARGIN)
                column.pack_start(bar, False, False, 0)
        content.pack_start(sides, True, True, 0)
        dialog.set_default_size(*_size_for(dialog))
        help_button = dialog.get_widget_for_response(Gtk.ResponseType.HELP)
        if help_button is not None:  # the user may have switched such buttons off
            help_button.set_label(_("_Help"))  # GIMP's own is in English in some languages
        dialog.connect("key-press-event", self._key)

    def run(self):
        """Show the dialog until the user agrees or cancels.

        Returns:
            The correction of the first source so far, or None if the user cancelled.

        Raises:
            Problem: the user agreed, but the worker does not work.
        """
        self._restart()
        try:
            agreed = self._dialog.run()
        finally:
            self._stop()
            self._dialog.destroy()
        if not agreed:
            self._end_feed()
            return None
        if Settings(self._config).input != self._input:
            self._change_sources()
            return Correction(self.sources[0].drawable)
        correction = self._feed.correction
        if self._broken is not None:
            raise self._broken
        return correction or Correction(self.sources[0].drawable)

    def _restart(self):
        """Start the worker, also after it has failed."""
        self._may_start_again = True
        if self.sources:
            self._start()
        else:
            self._input = None  # what could not be chosen is chosen again

    def _start(self):
        self._end_feed()
        self._broken = None
        self._notices.say_problem("")
        source, report = self.sources[0], self._notices.report
        self._feed = Feed(self._image, source, self._config, self._preview, report)
        self._steps = self._feed.steps()
        self._source = GLib.timeout_add(1, self._tick)

    def _end_feed(self):
        self._stop()
        if self._feed is not None and self._feed.correction is not None:
            self._feed.correction.worker.close()

    def _change_sources(self):
        """Choose anew what is corrected, by the settings as they are now."""
        self._end_feed()
        close_all(self.sources)
        settings = Settings(self._config)
        self.sources, self._input = [], settings.input
        self.sources = self._choose(settings)

    def _stop(self):
        if self._source is not None:
            GLib.source_remove(self._source)
            self._source = None
        if self._steps is not None:
            self._steps.close()

    def _tick(self):
        """Work until there is nothing to do, or the user has done something."""
        self._source = None
        try:
            if Settings(self._config).input != self._input:
                self._change_sources()
                self._preview.start(_size_of(self.sources[0]))
                self._restart()
                return GLib.SOURCE_REMOVE
            if self._setup_asked:
                self._setup_asked = False
                self._steps = self._then_setup(self._steps)
            busy = next(self._steps) is not None
        except WorkerEnded as error:
            self._start_again(error)
            return GLib.SOURCE_REMOVE
        except Exception as error:
            if not isinstance(error, Problem):
                traceback.print_exc()
                error = Problem(f"{type(error).__name__}: {error}")
            self._say_broken(error)
            busy = False
        # Events come first: a source of the same priority that is due at once would starve them.
        if busy:
            self._source = GLib.idle_add(self._tick, priority=GLib.PRIORITY_DEFAULT_IDLE)
        else:
            self._source = GLib.timeout_add(_WAIT_MS, self._tick)
        return GLib.SOURCE_REMOVE

    def _start_again(self, error):
        """Start another worker in place of one that has ended, but only once; go on with it."""
        if error.may_start_again and self._may_start_again:
            self._may_start_again = False
            self._start()
            self._notices.say_stale()
        else:
            self._say_broken(error)
            self._source = GLib.timeout_add(_WAIT_MS, self._tick)

    def _say_broken(self, problem):
        self._broken = problem
        self._notices.say_problem(str(problem))
        self._steps = self._broken_steps()

    def _broken_steps(self):
        while True:
            yield None

    def _ask_setup(self):
        if self._broken is not None:
            text = _("The worker is not running.")
            show_message(self._dialog, f"{text}\n\n{self._broken}", _SETUP, problem=True)
        else:
            self._setup_asked = True

    def _then_setup(self, steps):
        """Show the setup as soon as the worker has nothing to do, and go on with the steps."""
        for step in steps:
            if step is None:
                break
            yield step
        facts = yield from self._feed.correction.worker.ask("status")
        lines = [
            _("Everything works."),
            "",
            _("Worker: {}").format(facts["python"]),
            _("Version: {} (plug-in {})").format(facts["version"], own_version()),
            _("Device: {}").format(facts["device"]),
            _("Model: {}").format(facts["model"]),
        ]
        show_message(self._dialog, "\n".join(lines), _SETUP)
        yield from steps

    def _key(self, _widget, event):
        """Show the help on F1, which GIMP 3.2 leaves to its button."""
        if event.keyval not in (Gdk.KEY_F1, Gdk.KEY_Help):
            return False
        self._dialog.response(Gtk.ResponseType.HELP)
        return True


def _put_beside_help(bar, button):
    bar.pack_start(button, False, False, 0)
    bar.set_child_secondary(button, True)
    button.show()
    for each in bar.get_children():
        bar.set_child_non_homogeneous(each, True)  # all as wide as the widest would be too wide


def _size_of(source):
    return source.drawable.get_width(), source.drawable.get_height()


def _size_for(dialog):
    """Return the size to begin with, which leaves the screen's edges free."""
    monitor = GimpUi.widget_get_monitor(dialog) or Gdk.Display.get_default().get_monitor(0)
    free = monitor.get_workarea()
    return tuple(
        min(usual, int(side * share))
        for usual, side, share in zip(_USUAL, (free.width, free.height), _SHARE, strict=True)
    )
