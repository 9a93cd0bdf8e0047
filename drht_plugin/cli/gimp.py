"""`drht gimp`: install, uninstall and check the GIMP plug-in."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from drht_plugin.cli.options import add_backend_option, add_model_options

_NOTES = """\
Without --profile, the command works on every GIMP 3 profile that it finds in the usual places on
Linux, macOS and Windows, including those of Flatpak and Snap.

The plug-in runs in GIMP's own Python and needs no packages there: it starts drht_plugin in the
Python that runs this command. Restart GIMP after installing; the plug-in is in the menu Filters,
Enhance.

exit codes:
  0    everything works
  1    there is a problem; each is named
  2    an argument is wrong
"""


def add_command(commands: Any) -> None:
    """Add `gimp` and its actions to the subcommands of `drht`.

    Args:
        commands: what `ArgumentParser.add_subparsers` returned.
    """
    parser = commands.add_parser(
        "gimp",
        help="install, uninstall or check the GIMP 3 plug-in",
        description="Install the GIMP 3 plug-in, uninstall it, or check that it works.",
        epilog=_NOTES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = parser.add_subparsers(title="actions", required=True, metavar="ACTION")
    for name, text in (
        ("install", "install the plug-in, then check that GIMP finds it"),
        ("uninstall", "remove what install wrote, and nothing else"),
        ("check", "check that the plug-in works, and say what to do if it does not"),
    ):
        action = actions.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
        action.add_argument(
            "--profile",
            type=Path,
            help="GIMP's profile folder, such as ~/.config/GIMP/3.0 (default: all that exist)",
        )
        if name == "install":
            add_model_options(action)
            add_backend_option(action)
            action.add_argument(
                "--threads", type=int, help="CPU threads to use (default: all cores)"
            )
        if name != "uninstall":
            action.add_argument(
                "--gimp",
                metavar="PROGRAM",
                help="GIMP program to check with (default: the one on the PATH)",
            )
        action.set_defaults(run=run, action=name)


def run(options: argparse.Namespace) -> int:
    """Run `drht gimp`.

    Args:
        options: the parsed arguments, see `add_command`.

    Returns:
        The exit code: 0, or 1 if there is a problem.

    Raises:
        DrhtError: see `drht_plugin.gimp_install.run`.
    """
    from drht_plugin import gimp_install

    return gimp_install.run(options)
