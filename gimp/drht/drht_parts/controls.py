"""The dialog's column of controls."""

from gi.repository import Gtk

from .settings import CONTROLS, NO_PRESET, PRESETS, UNITS, hint_of
from .text import _

_WIDTH = 250
_MARGIN = 6


def make_controls(dialog, config):
    """Return the controls in a column that scrolls where the window is low.

    Args:
        dialog: GIMP's dialog of the procedure, which makes them.
        config: the configuration that they edit.
    """
    for name, (label, *_text) in CONTROLS.items():
        factor, unit = UNITS[name]
        scale = dialog.get_spin_scale(name, factor)
        if unit == "%":
            scale.set_digits(0)
        scale.set_label(_with_unit(_(label), _(unit)) if unit else _(label))
    for name in ("preset", "detail", "input", "output"):
        # GIMP 3.2 would have a button for each choice, which takes room and has no shortcut.
        dialog.get_widget(name, Gtk.ComboBox)
    names = ["preset", *CONTROLS, "detail", "input", "output", "wrap"]
    box = dialog.fill_box("controls", names)
    box.set_valign(Gtk.Align.START)
    box.set_border_width(_MARGIN)
    hint = Gtk.Label(xalign=0, wrap=True, max_width_chars=30)
    hint.get_style_context().add_class("dim-label")
    column = Gtk.Box(orientation=Gtk.Orientation.VERTICAL, spacing=6)
    column.pack_start(box, False, False, 0)
    hint.set_margin_start(_MARGIN)
    column.pack_start(hint, False, False, _MARGIN)
    scrolled = Gtk.ScrolledWindow(
        hscrollbar_policy=Gtk.PolicyType.NEVER, vscrollbar_policy=Gtk.PolicyType.AUTOMATIC
    )
    scrolled.add(column)
    scrolled.set_size_request(_WIDTH, -1)
    scrolled.set_hexpand(False)
    scrolled.set_hexpand_set(True)  # GIMP's widgets in it want more, which is the preview's

    def say(*_args):
        hint.set_text(hint_of(config.get_property("detail")))

    config.connect("notify::detail", say)
    say()
    _link_preset(config)
    return scrolled, column


def _with_unit(label, unit):
    """Return a label with its unit, before a mnemonic in brackets, as Japanese has it."""
    name, bracket, key = label.partition("(_")
    return f"{name} ({unit}){bracket}{key}"


def _link_preset(config):
    """Let a preset move the sliders, and a moved slider end the preset."""
    moving = False

    def choose(*_args):
        nonlocal moving
        preset = config.get_property("preset")
        if moving or preset not in PRESETS:
            return
        moving = True
        for name, control in CONTROLS.items():
            config.set_property(name, PRESETS[preset].get(name, control[-1]))
        moving = False

    def move(*_args):
        nonlocal moving
        if not moving:
            moving = True
            config.set_property("preset", NO_PRESET)
            moving = False

    config.connect("notify::preset", choose)
    for name in CONTROLS:
        config.connect(f"notify::{name}", move)
