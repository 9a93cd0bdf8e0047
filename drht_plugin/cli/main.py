"""The command's parser, and what its exit codes say."""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from drht_plugin._version import __version__
from drht_plugin.cli import correct, evaluate, gimp, pack, train, train_detail, worker
from drht_plugin.cli.exits import FAILED, INTERRUPTED, USAGE, tell
from drht_plugin.errors import DrhtError, DrhtWarning, InputError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the exit code."""
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        with warnings.catch_warnings():
            warnings.showwarning = partial(_warn, warnings.showwarning)
            code: int = options.run(options)
    except KeyboardInterrupt as stop:
        tell(stop, "interrupted")
        return INTERRUPTED
    except InputError as error:
        tell(error)
        return USAGE
    except DrhtError as error:
        tell(error)
        return FAILED
    return code


def _warn(
    usual: Callable[..., None], message: Warning | str, category: type[Warning], *place: Any
) -> None:
    """Print the library's own warnings as this command speaks."""
    if issubclass(category, DrhtWarning):
        print(f"drht: {message}", file=sys.stderr)
    else:
        usual(message, category, *place)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="drht", description="Recover over- and under-exposed pictures."
    )
    parser.add_argument("--version", action="version", version=f"drht {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for module in (correct, evaluate, train, train_detail, pack, gimp, worker):
        module.add_command(commands)
    return parser
