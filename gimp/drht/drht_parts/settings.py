"""The user's choices: the procedure's arguments, and their values."""

from gi.repository import Gimp, GObject

from .problem import Problem
from .worker import read_setup

NEW_LAYER, IN_PLACE = "new-layer", "in-place"

CONTROLS = {
    # label, text, least, most, default
    "strength": (
        "Stren_gth",
        "Share of the correction to apply, 0 to 2; above 1 it goes on in the same direction",
        0.0,
        2.0,
        1.0,
    ),
    "shadows": ("Sha_dows", "Share to apply where the picture gets brighter", 0.0, 1.0, 1.0),
    "highlights": ("_Highlights", "Share to apply where the picture gets darker", 0.0, 1.0, 1.0),
    "exposure": ("E_xposure", "EV that the result is made brighter by", -3.0, 3.0, 0.0),
    "temperature": (
        "Te_mperature",
        "How much warmer the result is made, in mired; below 0 cooler",
        -100.0,
        100.0,
        0.0,
    ),
    "tint": (
        "T_int",
        "How much more magenta the result is made; below 0 greener",
        -100.0,
        100.0,
        0.0,
    ),
    "denoise": ("Denoi_se", "How much noise network detail removes", 0.0, 2.0, 1.0),
}
_FIRST_CONTROLS = ("strength", "shadows", "highlights")
"""Controls that every worker knows; those of 0.2.0 do not know the others."""

NO_PRESET = "none"
PRESETS = {
    "natural": {"strength": 0.7},
    "strong": {"strength": 1.5},
    "shadows-only": {"highlights": 0.0},
}

_DETAIL_LABELS = {
    "auto": "Automatic",
    "guided": "Guided (detail from the picture, fast)",
    "network": "Network (less noise in shadows, slow)",
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
        self.output = config.get_property("output")
        self.wrap = config.get_property("wrap")

    def controls_to_send(self):
        """Return the controls that a worker of any version takes, by their names."""
        return {
            name: value
            for name, value in self.controls.items()
            if name in _FIRST_CONTROLS or value != CONTROLS[name][-1]
        }

    def same_look(self, other):
        """Return whether the preview looks the same with other settings, which may be None."""
        return other is not None and self._look() == other._look()

    def _look(self):
        # The preview is in guided detail, where nothing is denoised.
        return self.wrap, {n: value for n, value in self.controls.items() if n != "denoise"}


def add_arguments(procedure):
    """Give the procedure its arguments."""
    flags = GObject.ParamFlags.READWRITE
    for argument, (label, text, least, most, default) in CONTROLS.items():
        procedure.add_double_argument(argument, label, text, least, most, default, flags)
    details = _detail_choice()
    procedure.add_choice_argument(
        "detail",
        "D_etail",
        "Where fine detail comes from",
        _choice(details),
        details[0][0],
        flags,
    )
    outputs = [(NEW_LAYER, "New layer above"), (IN_PLACE, "This layer")]
    procedure.add_choice_argument(
        "output", "Out_put", "Where the result goes", _choice(outputs), NEW_LAYER, flags
    )
    procedure.add_boolean_argument(
        "wrap", "360° pa_norama", "The picture's left and right edges meet", False, flags
    )
    presets = [(NO_PRESET, "None"), *((n, n.capitalize().replace("-", " ")) for n in PRESETS)]
    procedure.add_choice_argument(
        "preset",
        "Prese_t",
        "Values that belong together; they count for sliders that are at their defaults",
        _choice(presets),
        NO_PRESET,
        flags,
    )


def _detail_choice():
    """Return the worker's kinds of detail with their labels, from worker.json."""
    try:
        names = read_setup()["details"]
    except Problem:
        names = ["auto"]
    return [(name, _DETAIL_LABELS.get(name, name.capitalize())) for name in names]


def _choice(entries):
    choice = Gimp.Choice.new()
    for number, (name, label) in enumerate(entries):
        choice.add(name, number, label, "")
    return choice
