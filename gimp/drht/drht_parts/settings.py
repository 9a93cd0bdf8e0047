"""The user's choices: the procedure's arguments, and their values."""

from gi.repository import Gimp, GObject

from .problem import Problem
from .text import N_, _
from .worker import read_setup

LAYERS, VISIBLE = "layers", "visible"
NEW_LAYER, IN_PLACE = "new-layer", "in-place"

CONTROLS = {
    # label, text, least, most, default
    "strength": (
        N_("Str_ength"),
        N_("Share of the correction to apply, 0 to 2; above 1 it goes on in the same direction"),
        0.0,
        2.0,
        1.0,
    ),
    "shadows": (
        N_("Shado_ws"),
        N_("Share to apply where the picture gets brighter"),
        0.0,
        1.0,
        1.0,
    ),
    "highlights": (
        N_("Hi_ghlights"),
        N_("Share to apply where the picture gets darker"),
        0.0,
        1.0,
        1.0,
    ),
    "exposure": (N_("E_xposure"), N_("EV that the result is made brighter by"), -3.0, 3.0, 0.0),
    "temperature": (
        N_("Te_mperature"),
        N_("How much warmer the result is made, in mired; below 0 cooler"),
        -100.0,
        100.0,
        0.0,
    ),
    "tint": (
        N_("T_int"),
        N_("How much more magenta the result is made; below 0 greener"),
        -100.0,
        100.0,
        0.0,
    ),
    "denoise": (N_("_Denoise"), N_("How much noise network detail removes"), 0.0, 2.0, 1.0),
}
UNITS = {
    # what the dialog multiplies a value by, and calls it
    "strength": (100.0, "%"),
    "shadows": (100.0, "%"),
    "highlights": (100.0, "%"),
    "exposure": (1.0, "EV"),
    "temperature": (1.0, N_("mired")),
    "tint": (1.0, ""),
    "denoise": (100.0, "%"),
}
_FIRST_CONTROLS = ("strength", "shadows", "highlights")
"""Controls that every worker knows; those of 0.2.0 do not know the others."""

NO_PRESET = "none"
PRESETS = {
    "natural": {"strength": 0.7},
    "strong": {"strength": 1.5},
    "shadows-only": {"highlights": 0.0},
}

_DETAILS = {
    # label, help
    "auto": (
        N_("Automatic"),
        N_("Guided detail; network detail where a graphics card computes it and noise is lifted."),
    ),
    "guided": (
        N_("Guided (fast)"),
        N_("Fine detail comes from the picture itself."),
    ),
    "network": (
        N_("Network (slow)"),
        N_(
            "A third network renders fine detail: less noise in lifted shadows. It takes about 50 "
            "times as long on a processor. The preview shows it at 1:1 and closer."
        ),
    ),
}
_INPUTS = {
    LAYERS: (
        N_("Selected"),
        N_("Each selected layer by itself, and each selected layer group as it is seen."),
    ),
    VISIBLE: (
        N_("Visible"),
        N_("What all layers together show; the result is always a new layer, at the top."),
    ),
}
_OUTPUTS = {
    NEW_LAYER: (
        N_("New layer above"),
        N_("The result is a layer of its own; the layer itself stays as it is."),
    ),
    IN_PLACE: (N_("This layer"), N_("The result replaces the layer's pixels.")),
}
_PRESET_TEXTS = {
    NO_PRESET: (N_("None"), N_("The sliders' own values.")),
    "natural": (N_("Natural"), N_("Strength 70 %")),
    "strong": (N_("Strong"), N_("Strength 150 %")),
    "shadows-only": (N_("Shadows only"), N_("Highlights 0 %: bright parts stay as they are.")),
}


class Settings:
    """The user's choices as plain values.

    A preset gives the controls that are left at their defaults.

    Args:
        config: GIMP's configuration of the procedure.
    """

    def __init__(self, config):
        self.controls = {name: config.get_property(name) for name in CONTROLS}
        for name, value in PRESETS.get(config.get_property("preset"), {}).items():
            if self.controls[name] == CONTROLS[name][-1]:
                self.controls[name] = value
        self.detail = config.get_property("detail")
        self.input = config.get_property("input")
        self.output = config.get_property("output")
        self.wrap = config.get_property("wrap")

    def controls_to_send(self):
        """Return the controls that a worker of any version takes, by their names."""
        return {
            name: value
            for name, value in self.controls.items()
            if name in _FIRST_CONTROLS or value != CONTROLS[name][-1]
        }

    def look(self):
        """Return what the picture in guided detail depends on."""
        # Nothing is denoised there.
        return self.wrap, tuple(v for name, v in self.controls.items() if name != "denoise")

    def fine_look(self):
        """Return what else the picture in the chosen detail depends on."""
        return self.detail, self.controls["denoise"]


def hint_of(detail):
    """Return what there is to know about a kind of detail."""
    return _(_DETAILS[detail][1]) if detail in _DETAILS else ""


def add_arguments(procedure):
    """Give the procedure its arguments."""
    flags = GObject.ParamFlags.READWRITE
    for argument, (label, text, least, most, default) in CONTROLS.items():
        procedure.add_double_argument(argument, _(label), _(text), least, most, default, flags)
    details = _details()
    procedure.add_choice_argument(
        "detail",
        _("Det_ail"),
        _("Where fine detail comes from"),
        _choice(details),
        next(iter(details)),
        flags,
    )
    procedure.add_choice_argument(
        "input", _("La_yers"), _("What is corrected"), _choice(_INPUTS), LAYERS, flags
    )
    procedure.add_choice_argument(
        "output", _("Out_put"), _("Where the result goes"), _choice(_OUTPUTS), NEW_LAYER, flags
    )
    procedure.add_boolean_argument(
        "wrap", _("360° pa_norama"), _("The picture's left and right edges meet"), False, flags
    )
    procedure.add_choice_argument(
        "preset",
        _("Prese_t"),
        _("Values that belong together; they count for sliders that are at their defaults"),
        _choice(_PRESET_TEXTS),
        NO_PRESET,
        flags,
    )


def _details():
    """Return the worker's kinds of detail with their texts, from worker.json."""
    try:
        names = read_setup()["details"]
    except Problem:
        names = ["auto"]
    return {name: _DETAILS.get(name, (name.capitalize(), "")) for name in names}


def _choice(texts):
    choice = Gimp.Choice.new()
    for number, (name, (label, hint)) in enumerate(texts.items()):
        choice.add(name, number, _(label), _(hint) if hint else "")
    return choice
