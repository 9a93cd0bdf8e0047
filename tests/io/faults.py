"""Files that once were read wrong, kept beside the repository."""

from pathlib import Path

import pytest

FAULTS = Path(__file__).parents[3] / "shared/faults"


def fault(name: str) -> Path:
    """Return the path of a kept file; skip the test where it is absent."""
    path = FAULTS / name
    if not path.is_file():
        pytest.skip(f"shared/faults/{name} is absent")
    return path
