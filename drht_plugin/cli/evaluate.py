"""`drht evaluate`: measure corrections against ground truth."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from drht_plugin.cli.options import add_model_options

_DESCRIPTION = """\
Measure drht and other correction methods against ground truth.

The pictures are real pairs (--pairs), views of HDR images (--hdr) or whole 360° panoramas
(--panoramas). Views and panoramas are shot by a virtual camera with a fixed seed. Prints Markdown
tables of means with 95 % bootstrap intervals, over all pictures and by group.

Needs: pip install "drht-plugin[evaluate]"
"""

_NOTES = """\
To list the known methods or metrics, give an unknown name. The results do not depend on --jobs.

exit codes:
  0    all pictures were measured
  1    some pictures were left out; each is named, and the others were measured
  2    an argument or the manifest is wrong; nothing was done
  130  interrupted; with --json OUT, finished pictures are kept in OUT.partial
"""


def add_command(commands: Any) -> None:
    """Add `evaluate` to the subcommands of `drht`.

    Args:
        commands: what `ArgumentParser.add_subparsers` returned.
    """
    parser = commands.add_parser(
        "evaluate",
        help="measure corrections against ground truth",
        description=_DESCRIPTION,
        epilog=_NOTES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "--pairs",
        type=Path,
        metavar="MANIFEST",
        help="CSV file with the columns input and ref_ldr (paths) and, optionally, hdr and "
        "exposure_scale; columns of labels group the tables",
    )
    source.add_argument(
        "--hdr", type=Path, metavar="FOLDER", help="folder of HDR images to take views of"
    )
    source.add_argument(
        "--panoramas",
        type=Path,
        metavar="FOLDER",
        help="folder of HDR images whose 360° panoramas are corrected as a whole",
    )
    parser.add_argument("--seed", type=int, default=7, help="seed for views and noise (default: 7)")
    parser.add_argument(
        "--count", type=int, default=200, help="number of views, with --hdr (default: 200)"
    )
    parser.add_argument(
        "--methods", default="all", help="comma-separated names of methods (default: all)"
    )
    parser.add_argument(
        "--metrics",
        help="comma-separated names of metrics, or all (default: all but fsimc, which is slow)",
    )
    parser.add_argument(
        "--json",
        type=Path,
        metavar="OUT",
        help="write the values of every picture to this file; an interrupted run continues when "
        "you repeat the command",
    )
    parser.add_argument(
        "--report",
        type=Path,
        metavar="FOLDER",
        help="write a report with tables and pictures to FOLDER/index.html",
    )
    parser.add_argument(
        "--jobs", type=int, help="parallel processes of one thread each (default: all cores)"
    )
    add_model_options(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run `drht evaluate`.

    Args:
        options: the parsed arguments, see `add_command`.

    Returns:
        The exit code: 0, or 1 if some pictures were left out.

    Raises:
        DrhtError: see `drht_plugin.evaluation.command.evaluate`.
    """
    from drht_plugin.evaluation.command import evaluate

    return evaluate(options)
