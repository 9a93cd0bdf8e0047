"""The command `drht`: parse the arguments, run the subcommand, map errors to exit codes."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from drht_plugin._version import __version__
from drht_plugin.cli import (
    compare,
    correct,
    evaluate,
    gimp,
    pack,
    train,
    train_detail,
    warm_up,
    worker,
)
from drht_plugin.cli.exits import FAILED, INTERRUPTED, OK, USAGE, print_error, print_note
from drht_plugin.cli.parser import Parser
from drht_plugin.cli.signals import Stopped, stopping
from drht_plugin.cli.streams import flush_output, leave, prepare_streams
from drht_plugin.cli.targets import with_endings
from drht_plugin.errors import DrhtWarning, InputError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `drht` and print errors to stderr.

    Args:
        arguments: the command line without the program's name; None for that of the process, whose
            standard streams and signals are then the command's own.

    Returns:
        The exit code: 0 success, 1 something failed, 2 an argument is wrong, 130 interrupted, 143
        terminated, 129 the terminal is gone.
    """
    if arguments is not None:
        return _run(arguments)
    prepare_streams()
    try:
        code = _run(None)
    except SystemExit as stop:  # argparse has printed help, or what is wrong
        code = stop.code if isinstance(stop.code, int) else OK
    return code if flush_output() else code or FAILED


def _run(arguments: Sequence[str] | None) -> int:
    options = _parser().parse_args(with_endings(sys.argv[1:] if arguments is None else arguments))
    try:
        with stopping(ends=arguments is None), warnings.catch_warnings():
            warnings.showwarning = partial(_warn, warnings.showwarning)
            code: int = options.run(options)
    except KeyboardInterrupt as stop:
        code = stop.code if isinstance(stop, Stopped) else INTERRUPTED
        leave(code, partial(print_error, stop, "interrupted"), ends=arguments is None)
        return code
    except InputError as error:
        print_error(error)
        return USAGE
    except Exception as error:
        print_error(error)
        return FAILED
    return code


def _warn(
    usual: Callable[..., None], message: Warning | str, category: type[Warning], *place: Any
) -> None:
    """Print the library's warnings with the command's prefix, and others as usual."""
    if issubclass(category, DrhtWarning):
        print_note(str(message))
    else:
        usual(message, category, *place)


def _parser() -> Parser:
    parser = Parser(
        prog="drht",
        description="Recover detail in over- and under-exposed pictures.",
        epilog="`drht COMMAND --help` explains a command and its options.",
    )
    parser.add_argument("--version", action="version", version=f"drht {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for module in (correct, compare, evaluate, train, train_detail, pack, gimp, worker, warm_up):
        module.add_command(commands)
    return parser
