"""How threads of PyTorch wait in processes that share their cores with others."""

import os

PATIENT = {"OMP_WAIT_POLICY": "PASSIVE"}
"""Environment of workers: PyTorch's threads do not spin while they wait for one another.

The survey's networks take two threads in any process, and spinning ones would take the cores from
others: on two cores, two workers corrected a third as many pictures, and a survey beside a busy
editor took four times as long."""


def be_patient() -> None:
    """Set `PATIENT` for this process, where it is not set otherwise.

    Call it before PyTorch is loaded, which reads it once.
    """
    for name, value in PATIENT.items():
        os.environ.setdefault(name, value)
