"""Scenes to train on in a moment."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from drht_plugin.io import write_hdr


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny panorama and a tiny photograph."""
    folder = tmp_path_factory.mktemp("scenes")
    random = np.random.default_rng(0)
    for name, width in (("panorama", 128), ("photo", 96)):
        light = np.exp2(8 * np.linspace(-0.5, 0.5, width))[None, :, None] * np.ones((64, width, 3))
        light *= np.exp2(random.random((64, width, 3)))
        write_hdr(folder / f"{name}.exr", light.astype(np.float32))
    return folder
