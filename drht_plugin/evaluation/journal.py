"""Journal of a run's finished items, so that the same command can continue an interrupted run."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from drht_plugin.errors import WriteError
from drht_plugin.evaluation.scores import Row
from drht_plugin.storage import replacing


class Journal:
    """A line of JSON for each finished item, in a file beside the result.

    The first line describes the run. A journal of a different run is discarded. Without a target,
    nothing is saved.

    Attributes:
        path: file of the journal, or None.
        done: rows of the finished items by name.
    """

    def __init__(self, target: Path | None, head: Mapping[str, Any]) -> None:
        """Open the journal NAME.partial of a target.

        Args:
            target: file of the result, or None to save nothing.
            head: JSON values that describe the run.

        Raises:
            WriteError: the journal cannot be written.
        """
        self.path = None if target is None else target.with_name(target.name + ".partial")
        self.done: dict[str, list[Row]] = {}
        if self.path is None:
            return
        first = json.dumps(head, sort_keys=True)
        self.done = _read(self.path, first)
        kept = [first, *(_line(rows) for rows in self.done.values())]
        # Rewritten, because the last line may be incomplete after a kill.
        write_whole(self.path, "\n".join(kept) + "\n")

    def add(self, name: str, rows: Sequence[Row]) -> None:
        """Save the rows of an item.

        Args:
            name: name of the item.
            rows: its rows, at least one.

        Raises:
            WriteError: the journal cannot be written.
        """
        self.done[name] = list(rows)
        if self.path is None:
            return
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(_line(rows) + "\n")
        except OSError as error:
            raise WriteError(f"{self.path}: cannot be written: {error.strerror}") from error

    def remove(self) -> None:
        """Delete the file, once the result is written."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)


def _line(rows: Sequence[Row]) -> str:
    return json.dumps([asdict(row) for row in rows])


def _read(path: Path, first: str) -> dict[str, list[Row]]:
    done: dict[str, list[Row]] = {}
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    if not lines or lines[0] != first:
        return done
    for line in lines[1:]:
        try:
            rows = [Row(**row) for row in json.loads(line)]
            done[rows[0].item] = rows
        except (ValueError, TypeError, IndexError, RecursionError):
            break
    return done


def write_whole(path: Path, text: str) -> None:
    """Write a text file atomically: it appears under its name only when it is complete.

    Args:
        path: file to write.
        text: its contents.

    Raises:
        WriteError: the file cannot be written.
    """
    try:
        with replacing(path) as temporary:
            temporary.write_text(text, encoding="utf-8")
    except OSError as error:
        raise WriteError(f"{path}: cannot be written: {error.strerror}") from error
