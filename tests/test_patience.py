"""Processes that share their cores with others do not spin while they wait."""

from __future__ import annotations

import os

import pytest

from drht_plugin.patience import PATIENT, be_patient


def test_what_is_set_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process becomes patient, unless its environment says how its threads wait."""
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    be_patient()
    assert os.environ["OMP_WAIT_POLICY"] == PATIENT["OMP_WAIT_POLICY"] == "PASSIVE"
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    be_patient()
    assert os.environ["OMP_WAIT_POLICY"] == "ACTIVE"
