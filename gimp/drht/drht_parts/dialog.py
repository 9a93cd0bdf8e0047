"""The dialog with its preview."""

import gi
from gi.repository import GLib

from .correction import Correction
from .problem import Problem
from .settings import CONTROLS, NO_PRESET, PRESETS, Settings
from .worker import VERSION

TITLE = "Recover Exposure (DRHT)"

_PREVIEW_SIDE = 640
_CHOICES_WIDTH = 460


class Dialog:
    """The dialog with its preview; the worker runs while it is open.

    Args:
        procedure: GIMP's procedure.
        config: its configuration, which the dialog edits.
        layer: the layer to correct.
    """

    def __init__(self, procedure, config, layer):
        gi.require_version("Gtk", "3.0")
        gi.require_version("GimpUi", "3.0")
        from gi.repository import GdkPixbuf, GimpUi, Gtk

        self._pixbufs, self._gtk, self._config = GdkPixbuf, Gtk, config
        GimpUi.init(procedure.get_name())
        self._layer, self._correction, self._broken = layer, None, None
        self._before = self._after = None
        self._setup_asked = False

        self._image = Gtk.Image()
        self._image.set_size_request(_PREVIEW_SIDE, _PREVIEW_SIDE * 3 // 4)
        self._toggle = Gtk.CheckButton.new_with_mnemonic("Pre_view")
        self._toggle.set_active(True)
        self._toggle.connect("toggled", lambda _: self._show())
        self._status = Gtk.Label(label="", xalign=0, wrap=True, selectable=True, max_width_chars=60)
        check = Gtk.Button.new_with_mnemonic("Check set_up")
        check.connect("clicked", lambda _: self._ask_setup())
        line = Gtk.Box(orientation=Gtk.Orientation.HORIZONTAL, spacing=12)
        line.pack_start(self._toggle, False, False, 0)
        line.pack_start(self._status, True, True, 0)
        line.pack_end(check, False, False, 0)
        box = Gtk.Box(orientation=Gtk.Orientation.VERTICAL, spacing=6, border_width=12)
        box.pack_start(self._image, True, True, 0)
        box.pack_start(line, False, False, 0)
        box.show_all()

        self._dialog = GimpUi.ProcedureDialog.new(procedure, config, TITLE)
        for name in CONTROLS:
            self._dialog.get_scale_entry(name, 1.0)
        names = ["preset", *CONTROLS, "detail", "output", "wrap"]
        # Beside the preview, as below it they would not fit on a laptop's screen.
        choices = self._dialog.fill_box("choices", names)
        choices.set_size_request(_CHOICES_WIDTH, -1)
        choices.set_valign(Gtk.Align.START)
        sides = Gtk.Box(orientation=Gtk.Orientation.HORIZONTAL, spacing=6)
        sides.pack_start(box, True, True, 0)
        sides.pack_start(choices, False, False, 0)
        choices.show_all()
        sides.show()
        self._dialog.get_content_area().pack_start(sides, True, True, 0)
        self._link_preset(config)

    def _link_preset(self, config):
        """Let a preset move the sliders, and a moved slider end the preset."""
        moving = False

        def choose(*_):
            nonlocal moving
            preset = config.get_property("preset")
            if moving or preset not in PRESETS:
                return
            moving = True
            for name, control in CONTROLS.items():
                config.set_property(name, PRESETS[preset].get(name, control[-1]))
            moving = False

        def move(*_):
            nonlocal moving
            if not moving:
                moving = True
                config.set_property("preset", NO_PRESET)
                moving = False

        config.connect("notify::preset", choose)
        for name in CONTROLS:
            config.connect(f"notify::{name}", move)

    def run(self):
        """Show the dialog until the user agrees or cancels.

        Returns:
            The correction so far, or None if the user cancelled.

        Raises:
            Problem: the user agreed, but the worker does not work.
        """
        self._steps = self._work()
        timer = GLib.timeout_add(15, self._tick)
        try:
            agreed = self._dialog.run()
        finally:
            GLib.source_remove(timer)
            self._steps.close()
            self._dialog.destroy()
        if not agreed:
            if self._correction is not None:
                self._correction.worker.close()
            return None
        if self._broken is not None:
            raise self._broken
        return self._correction or Correction(self._layer)

    def _tick(self):
        try:
            next(self._steps)
        except Problem as error:
            self._broken = error
            self._set_status(str(error))
            self._steps = self._repair()
        return GLib.SOURCE_CONTINUE

    def _work(self):
        """Load, survey and preview the picture in steps, while the dialog is open."""
        correction = self._correction = Correction(self._layer, patience=0.001)
        self._set_status("Starting the worker…")
        yield 0.0
        yield from self._with_status("Loading the picture…", correction.load())
        yield from correction.shrink(_PREVIEW_SIDE)
        self._before = correction.preview.to_screen(corrected=False)
        self._show()
        rendered = None
        while True:
            settings = Settings(self._config)
            if self._setup_asked:
                yield from self._show_setup()
            elif settings.same_look(rendered):
                yield 0.0
            else:
                yield from self._with_status(
                    "Analysing the picture…", correction.survey(settings.wrap)
                )
                # The preview shows tone; network detail is visible only at full size.
                yield from correction.render(correction.preview, settings, detail="guided")
                self._after = correction.preview.to_screen(corrected=True)
                rendered = settings
                self._show()
                self._set_status("")

    def _with_status(self, text, steps):
        for share in steps:
            self._set_status(f"{text} {100 * share:.0f} %" if share else text)
            yield share

    def _repair(self):
        """Show why there is no worker whenever the user asks for the setup, in steps."""
        while True:
            if self._setup_asked:
                self._setup_asked = False
                self._show_message(f"The worker is not running.\n\n{self._broken}", problem=True)
            yield 0.0

    def _ask_setup(self):
        self._setup_asked = True

    def _show_setup(self):
        self._setup_asked = False
        facts = yield from self._correction.worker.ask("status")
        self._show_message(
            f"Everything works.\n\nWorker: {facts['python']}\nVersion: {facts['version']} "
            f"(plug-in {VERSION})\nDevice: {facts['device']}\nModel: {facts['model']}"
        )

    def _show_message(self, text, problem=False):
        gtk = self._gtk
        kind = gtk.MessageType.WARNING if problem else gtk.MessageType.INFO
        window = gtk.MessageDialog(
            transient_for=self._dialog,
            modal=True,
            message_type=kind,
            buttons=gtk.ButtonsType.CLOSE,
            text=text,
            title="Setup of DRHT",
        )
        window.connect("response", lambda shown, _: shown.destroy())
        window.show()

    def _set_status(self, text):
        if self._status.get_text() != text:
            self._status.set_text(text)

    def _show(self):
        data = self._after if self._toggle.get_active() and self._after else self._before
        if data is None:
            return
        picture = self._correction.preview
        width, height = picture.width, picture.height
        pixbuf = self._pixbufs.Pixbuf.new_from_bytes(
            GLib.Bytes.new(data), self._pixbufs.Colorspace.RGB, True, 8, width, height, 4 * width
        )
        nearest, opaque, check = self._pixbufs.InterpType.NEAREST, 255, 8
        self._image.set_from_pixbuf(
            pixbuf.composite_color_simple(width, height, nearest, opaque, check, 0x999999, 0x666666)
        )
