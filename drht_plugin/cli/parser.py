"""The parser of the command line: options and lists of files in any order."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

_END = "--"


class Parser(argparse.ArgumentParser):
    """Parser that takes ``a.jpg --strength 0.5 b.jpg``, where argparse stops before `b.jpg`."""

    _intermixed = False

    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: Any = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """Parse what is known; see `argparse.ArgumentParser`."""
        if args is not None:
            self._require_values(args)
        files = [action.dest for action in self._get_positional_actions() if action.nargs == "*"]
        if args is None or not files or self._intermixed:
            return super().parse_known_args(args, namespace)
        args = list(args)
        # argparse loses the mark of the end of options when it parses in two steps.
        end = args.index(_END) if _END in args else len(args)
        self._intermixed = True  # as the call below comes back here
        try:
            namespace, unknown = self.parse_known_intermixed_args(args[:end], namespace)
        finally:
            self._intermixed = False
        setattr(namespace, files[0], [*getattr(namespace, files[0]), *args[end + 1 :]])
        return namespace, unknown

    def _require_values(self, args: Sequence[str]) -> None:
        """Refuse arguments without text, as of a variable that is not set.

        An empty path would be the folder that the command runs in.
        """
        end = args.index(_END) if _END in args else len(args)
        for number, argument in enumerate(args):
            bare = number < end and argument.startswith("--") and argument.endswith("=")
            if not argument or bare:
                before = f" after {args[number - 1]}" if number and not argument else ""
                self.error(f"argument {argument or repr(argument)}{before} is empty")
