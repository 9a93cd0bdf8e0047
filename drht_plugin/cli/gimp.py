"""`drht gimp`: the plug-in into GIMP, out of it, and whether it works."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from drht_plugin.cli.options import add_model

_NOTES = """\
Without --profile, all profiles of GIMP 3 are taken that are where Linux, macOS, Windows, Flatpak
and Snap keep them. The plug-in runs in GIMP's own Python and needs nothing there; it starts the
Python that this command runs in. GIMP shows it after its next start, under Filters, Enhance.

Exit codes: 0 all is well, 1 something is not (each is named), 2 an argument is wrong.
"""


def add_command(commands: Any) -> None:
    """Add the command to the parser's sub-commands."""
    parser = commands.add_parser(
        "gimp",
        help="put the plug-in into GIMP 3, take it out, check it",
        description="Put the plug-in into GIMP 3, take it out, or check that it works.",
        epilog=_NOTES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = parser.add_subparsers(title="actions", required=True, metavar="ACTION")
    for name, text in (
        ("install", "put the plug-in into GIMP's profiles, and ask GIMP whether it found it"),
        ("uninstall", "remove all that install wrote, and nothing else"),
        ("check", "say whether plug-in, worker and GIMP find each other, and what to do if not"),
    ):
        action = actions.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
        action.add_argument(
            "--profile", type=Path, help="a folder like ~/.config/GIMP/3.0 (default: all found)"
        )
        if name == "install":
            add_model(action)
            action.add_argument("--threads", type=int, help="CPU threads (default: all cores)")
        if name != "uninstall":
            action.add_argument(
                "--gimp", metavar="PROGRAM", help="GIMP to ask (default: the one on the PATH)"
            )
        action.set_defaults(run=run, action=name)


def run(options: argparse.Namespace) -> int:
    """Run the command; the exit code."""
    from drht_plugin import gimp_install

    return gimp_install.run(options)
