"""`drht worker`: the engine for another program."""

from __future__ import annotations

import argparse
from typing import Any

from drht_plugin.cli.options import add_model


def add_command(commands: Any) -> None:
    """Add the command to the parser's sub-commands."""
    parser = commands.add_parser(
        "worker",
        help="serve another program over stdin and stdout",
        description="Serve one client, such as the GIMP plug-in, over stdin and stdout, with the "
        "protocol of docs/worker-protocol.md. Ends at once when stdin ends.",
    )
    parser.add_argument("--threads", type=int, help="CPU threads (default: all cores)")
    parser.add_argument(
        "--max-bytes",
        type=int,
        help="most that a picture and its result may take (default: what there is room for)",
    )
    add_model(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run the command; the exit code."""
    from drht_plugin.worker.process import serve

    serve(
        model=options.model,
        device=options.device,
        threads=options.threads,
        max_bytes=options.max_bytes,
    )
