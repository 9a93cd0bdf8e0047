"""`drht worker`: serve another program."""

from __future__ import annotations

import argparse
from typing import Any

from drht_plugin.cli.limits import require_address_space
from drht_plugin.cli.options import add_backend_option, add_model_options
from drht_plugin.errors import InputError
from drht_plugin.patience import be_patient


def add_command(commands: Any) -> None:
    """Add `worker` to the subcommands of `drht`.

    Args:
        commands: what `ArgumentParser.add_subparsers` returned.
    """
    parser = commands.add_parser(
        "worker",
        help="serve another program over stdin and stdout (for developers)",
        description="Serve one client program, such as the GIMP plug-in, over stdin and stdout. "
        "docs/worker-protocol.md describes the protocol. The worker exits as soon as stdin closes, "
        "unless it is to stay.",
    )
    parser.add_argument("--threads", type=int, help="CPU threads to use (default: all cores)")
    parser.add_argument(
        "--max-bytes",
        type=int,
        help="largest size in bytes of a picture together with its result (default: the free "
        "space)",
    )
    parser.add_argument(
        "--stay",
        type=float,
        metavar="SECONDS",
        help="serve the clients of a listening Unix socket, which is stdin, and end after SECONDS "
        "without one",
    )
    parser.add_argument(
        "--parent", type=int, metavar="PID", help="with --stay: end when this process has ended"
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
        InputError: an argument is wrong, stdin is a terminal, or no socket that it can stay at.
    """
    be_patient()  # an editor computes on the same cores
    require_address_space()
    settings = {
        "model": options.model,
        "device": options.device,
        "threads": options.threads,
        "backend": options.backend,
        "max_bytes": options.max_bytes,
    }
    if options.stay is not None:
        from drht_plugin.worker.stay import stay

        stay(idle=options.stay, parent=options.parent, **settings)
    if options.parent is not None:
        raise InputError("--parent is only for a worker that stays; expected --stay with it")
    from drht_plugin.worker.process import serve

    serve(**settings)
