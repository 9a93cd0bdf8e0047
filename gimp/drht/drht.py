#!/usr/bin/env python3
"""GIMP 3: Filters ▸ Enhance ▸ Recover Exposure (DRHT).

This file and `drht_parts` run in GIMP's own Python and use only GIMP's bindings and the standard
library. A child process, `drht worker`, corrects the pixels. `drht gimp install` writes the command
that starts it into `worker.json` beside this file.
"""

import os
import sys
import threading
import time

import gi

gi.require_version("Babl", "0.1")
gi.require_version("Gegl", "0.4")
gi.require_version("Gimp", "3.0")
from gi.repository import Gimp, Gio, GLib, GObject  # noqa: E402

# Where PYTHONSAFEPATH is set, Python does not look for modules beside this file.
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.dont_write_bytecode = True  # the uninstaller does not know compiled files


def _incomplete(error):
    """Return what to tell the user where a part of the plug-in is missing."""
    return (
        f"The plug-in's files are not complete ({error}).\n"
        "Run `drht gimp install` in a terminal, in the environment where drht_plugin is installed."
    )


try:
    from drht_parts import sources
    from drht_parts.apply import correct
    from drht_parts.problem import Problem
    from drht_parts.settings import Settings, add_arguments
    from drht_parts.text import _
except ImportError as error:
    # The plug-in registers all the same, so that it can say what is wrong.
    INCOMPLETE = _incomplete(error)

    def _(text):
        """Return a text as it is."""
        return text

else:
    INCOMPLETE = None

PROCEDURE = "plug-in-drht-recover-exposure"
HELP = "drht-plugin", os.path.join(os.path.dirname(os.path.abspath(__file__)), "help")
"""Name and place of the help, where GIMP finds a procedure's page by language and name."""


def run(procedure, run_mode, image, drawables, config, data):
    """Run the procedure; GIMP calls this."""
    if INCOMPLETE is not None:
        return _failure(procedure, INCOMPLETE)
    threading.Thread(target=_end_with_gimp, args=(os.getppid(),), daemon=True).start()
    chosen, begun = [], None
    try:
        settings = Settings(config)
        chosen = sources.choose(image, drawables, settings)
        if not sources.is_touched(chosen[0]):
            Gimp.message(_("The selection does not overlap the layer; nothing was changed."))
            return _success(procedure, [chosen[0].layer])
        if run_mode == Gimp.RunMode.INTERACTIVE:
            # Gtk takes its time, and is not there without a screen.
            from drht_parts.dialog import Dialog

            def choose(settings):
                return sources.choose(image, drawables, settings)

            dialog = Dialog(procedure, config, image, chosen, choose)
            begun = dialog.run()
            chosen, settings = dialog.sources, Settings(config)
            if begun is None:
                return procedure.new_return_values(Gimp.PDBStatusType.CANCEL, GLib.Error())
        taken, begun = begun, None
        layers = correct(image, chosen, settings, taken)
        Gimp.displays_flush()
        return _success(procedure, layers)
    except Problem as error:
        return _failure(procedure, str(error))
    except ImportError as error:
        return _failure(procedure, _incomplete(error))
    finally:
        sources.close_all(chosen)
        if begun is not None:
            begun.worker.close()


def _end_with_gimp(gimp):
    """End this process when GIMP has ended, of which a waiting plug-in is not notified."""
    while os.getppid() == gimp:
        time.sleep(0.5)
    os._exit(1)


def _success(procedure, layers):
    values = procedure.new_return_values(Gimp.PDBStatusType.SUCCESS, GLib.Error())
    values.remove(1)
    values.insert(1, GObject.Value(Gimp.Layer, layers[0]))
    return values


def _failure(procedure, text):
    reason = GLib.Error.new_literal(Gimp.PlugIn.error_quark(), text, 0)
    return procedure.new_return_values(Gimp.PDBStatusType.EXECUTION_ERROR, reason)


class Drht(Gimp.PlugIn):
    """The plug-in, which has one procedure."""

    def do_set_i18n(self, name):
        """Tell GIMP that the texts are translated here, and that it need not look for more."""
        return False

    def do_query_procedures(self):
        """Return the names of the procedures."""
        domain, folder = HELP
        self.set_help_domain(domain, Gio.File.new_for_path(folder))
        return [PROCEDURE]

    def do_create_procedure(self, name):
        """Return the procedure with its arguments."""
        procedure = Gimp.ImageProcedure.new(self, name, Gimp.PDBProcType.PLUGIN, run, None)
        procedure.set_image_types("RGB*, GRAY*")
        procedure.set_sensitivity_mask(
            Gimp.ProcedureSensitivityMask.DRAWABLE | Gimp.ProcedureSensitivityMask.DRAWABLES
        )
        procedure.set_menu_label(_("Recover E_xposure (DRHT)…"))
        procedure.add_menu_path("<Image>/Filters/Enhance")
        procedure.set_documentation(
            _("Recover detail in over- and under-exposed parts of a picture"),
            _(
                "One network estimates the scene's HDR radiance, and another maps it to a display "
                "picture that keeps the detail (Deep Reciprocating HDR Transformation). The "
                "correction is computed from the whole layer and applied within the selection; "
                "layer offsets and locks are respected. Several layers are corrected in one undo "
                "step, layer groups as they are seen. A new layer changes the look of the image by "
                "the correction alone: it has the mode, opacity and mask of its source, which is "
                "hidden where it would be seen through it."
            ),
            name,
        )
        procedure.set_attribution("drht_plugin", "drht_plugin, MIT licence", "2026")
        if INCOMPLETE is None:
            add_arguments(procedure)
        flags = GObject.ParamFlags.READWRITE
        procedure.add_layer_return_value(
            "layer",
            _("Layer"),
            _("The layer that holds the result; of several, the first. All of them are selected"),
            True,
            flags,
        )
        return procedure


if __name__ == "__main__":
    Gimp.main(Drht.__gtype__, sys.argv)
