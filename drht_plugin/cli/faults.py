"""What went wrong with a picture, in words that can be sent from process to process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from drht_plugin.cli.exits import describe
from drht_plugin.errors import WriteError


@dataclass(frozen=True)
class Fault:
    """An error, described where it was caught.

    Attributes:
        text: what went wrong, in a line.
        kind: the exception's name.
        notes: that were added to it.
        of_result: whether the text begins with the name of a result, without its folder.
    """

    text: str
    kind: str
    notes: tuple[str, ...] = ()
    of_result: bool = False

    @classmethod
    def of(cls, error: Exception) -> Fault:
        """Describe an exception that has just been caught."""
        notes = tuple(getattr(error, "__notes__", ()))
        return cls(describe(error), type(error).__name__, notes, isinstance(error, WriteError))

    def renamed(self, rename: Callable[[str], str]) -> Fault:
        """Return the fault with other names of files in its words."""
        return replace(self, text=rename(self.text), notes=tuple(map(rename, self.notes)))
