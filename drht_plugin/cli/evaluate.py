"""`drht evaluate`: corrections against known truth."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from drht_plugin.cli.options import add_model

_NOTES = """\
Unknown names of methods or metrics are answered by the list of those known. The numbers do not
depend on --jobs.

Exit codes: 0 all measured, 1 some pictures were left out (each is named, the others are measured),
2 an argument or the manifest is wrong and nothing was done, 130 interrupted (what was measured is
kept beside the JSON as OUT.partial).
"""


def add_command(commands: Any) -> None:
    """Add the command to the parser's sub-commands."""
    parser = commands.add_parser(
        "evaluate",
        help="measure corrections against known truth",
        description="Measure drht and the methods it is compared with, on real pairs, or on views "
        "of HDR images or whole panoramas shot by a virtual camera with a fixed seed. Prints "
        "Markdown tables of means with 95 % bootstrap intervals, in all and by group. Needs "
        "drht-plugin[evaluate].",
        epilog=_NOTES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "--pairs",
        type=Path,
        metavar="MANIFEST",
        help="CSV with columns input, ref_ldr; where present hdr, exposure_scale; others group",
    )
    source.add_argument("--hdr", type=Path, metavar="FOLDER", help="folder of HDR images: views")
    source.add_argument(
        "--panoramas", type=Path, metavar="FOLDER", help="the same, its 360° panoramas as a whole"
    )
    parser.add_argument("--seed", type=int, default=7, help="of views and noise (default: 7)")
    parser.add_argument("--count", type=int, default=200, help="views to take (default: 200)")
    parser.add_argument("--methods", default="all", help="names with commas (default: all)")
    parser.add_argument(
        "--metrics", help="names with commas, or all (default: all but fsimc, which is slow)"
    )
    parser.add_argument(
        "--json",
        type=Path,
        metavar="OUT",
        help="write every picture's values; a killed run goes on by the same command",
    )
    parser.add_argument(
        "--report", type=Path, metavar="FOLDER", help="write FOLDER/index.html with pictures"
    )
    parser.add_argument(
        "--jobs", type=int, help="processes, each with one thread (default: all cores)"
    )
    add_model(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run the command; the exit code."""
    from drht_plugin.evaluation.command import evaluate

    return evaluate(options)
