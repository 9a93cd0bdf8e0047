"""A pytest plugin that notes which functions of the package each test calls, and how long it takes.

`pytest -p mutation_calls` with `MUTATION_CALLS=FILE` writes, for each test that passes, its
seconds and the functions it calls, and for each test file those that are called while it is
imported and for its fixtures. What other processes call is not seen.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Generator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

FOLDER = f"{os.sep}drht_plugin{os.sep}"

_calls: dict[str, set[str]] = {}
_seconds: dict[str, float] = {}
_failed: set[str] = set()
_now: set[str] = set()


def named(file: str, function: str) -> str:
    """A function's name in the notes; `file` is below the package's folder."""
    return f"{file.rpartition(FOLDER)[2]}:{function}"


def _note(frame: FrameType, event: str, _argument: Any) -> None:
    """Called for each call of a Python function, and for none of its lines."""
    code = frame.f_code
    if event == "call" and FOLDER in code.co_filename:
        _now.add(named(code.co_filename, code.co_qualname))


def _noted_for(name: str) -> None:
    global _now
    _now = _calls.setdefault(name, set())
    # Something else may have put its own in the place, such as hypothesis.
    sys.settrace(_note)
    threading.settrace(_note)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Generator[None, Any, Any]:
    _noted_for(collector.nodeid)
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, Any, Any]:
    # Fixtures may serve the file's other tests, too.
    _noted_for(item.nodeid.partition("::")[0])
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    _noted_for(item.nodeid)
    return (yield)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    _seconds[report.nodeid] = _seconds.get(report.nodeid, 0) + report.duration
    if not report.passed:
        _failed.add(report.nodeid)


def pytest_sessionfinish() -> None:
    sys.settrace(None)
    passed = {
        name: {"seconds": seconds, "calls": sorted(_calls.get(name, ()))}
        for name, seconds in _seconds.items()
        if name not in _failed
    }
    files = {name: sorted(calls) for name, calls in _calls.items() if name.endswith(".py")}
    Path(os.environ["MUTATION_CALLS"]).write_text(json.dumps({"tests": passed, "files": files}))
