"""`drht worker`: serve another program."""

from __future__ import annotations

import argparse
from typing import Any

from drht_plugin.cli.limits import require_address_space
from drht_plugin.cli.options import add_backend_option, add_model_options


def add_command(commands: Any) -> None:
    """Add `worker` to the subcommands of `drht`.

    Args:
        commands: what `ArgumentParser.add_subparsers` returned.
    """
    parser = commands.add_parser(
        "worker",
        help="serve another program over stdin and stdout (for developers)",
        description="Serve one client program, such as the GIMP plug-in, over stdin and stdout. "
        "docs/worker-protocol.md describes the protocol. The worker exits as soon as stdin closes.",
    )
    parser.add_argument("--threads", type=int, help="CPU threads to use (default: all cores)")
    parser.add_argument(
        "--max-bytes",
        type=int,
        help="largest size in bytes of a picture together with its result (default: the free "
        "space)",
    )
    add_model_options(parser)
    add_backend_option(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run `drht worker`; it ends the process when the client disconnects.

    Args:
        options: the parsed arguments, see `add_command`.

    Returns:
        Never: the worker ends the process.

    Raises:
        InputError: an argument is wrong, or stdin is a terminal.
    """
    require_address_space()
    from drht_plugin.worker.process import serve

    serve(
        model=options.model,
        device=options.device,
        threads=options.threads,
        backend=options.backend,
        max_bytes=options.max_bytes,
    )
