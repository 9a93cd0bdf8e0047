"""A run that is killed leaves nothing that the next one does not remove; see `tests/kills.py`."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from kills import kill_many


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has other signals")
def test_kills_at_random_moments(tmp_path: Path) -> None:
    """By any signal, plain and resumed, the next run gives what an undisturbed one does.

    In between no result is there in part, what is ended in order leaves rows to resume alone, and
    no process, file, or folder is left in the end.
    """
    outcomes = list(kill_many(4, 7, tmp_path, stub=True))
    assert [each.faults for each in outcomes if each.faults] == []
    assert {each.signal for each in outcomes} == {"SIGTERM", "SIGHUP", "SIGINT", "SIGKILL"}
