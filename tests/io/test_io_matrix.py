"""Every kind that is read, written as every format: pixels, metadata, exit codes."""

import os
import warnings
from pathlib import Path

import io_samples as made
import numpy as np
import pytest
from matrix_files import (
    COARSE,
    GRAY,
    HEIGHT,
    LOSSY,
    LOSSY_OF_LOSSY,
    LOSSY_SOURCES,
    SOURCES,
    TARGETS,
    WIDTH,
    WITH_EXIF,
    scene,
    seen,
)
from strategies import corrector

from drht_plugin import correct_file, io
from drht_plugin.cli import main

STUB = corrector()
HOLD_EXIF = (".jpg", ".png", ".webp", ".avif", ".tif")
"""Formats whose EXIF Pillow reads."""


@pytest.fixture(autouse=True)
def _no_flush(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not wait for the disk, hundreds of times."""
    monkeypatch.setattr(os, "fsync", lambda _file: None)


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a file of each kind."""
    folder = tmp_path_factory.mktemp("sources")
    for name, write in SOURCES.items():
        write(folder / name)
    return folder


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("source", SOURCES)
def test_pairs(source: str, target: str, sources: Path, tmp_path: Path) -> None:
    """The picture comes out as it went in, to another reader; EXIF and depth too, or it is said."""
    path = tmp_path / target
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        report = correct_file(sources / source, path, corrector=STUB, strength=0)
    wanted = scene(gray=source in GRAY)
    found = seen(path)
    assert found.shape == (HEIGHT, WIDTH, 3)
    worst = COARSE.get(source, 0.006) + LOSSY.get(path.suffix, 0.0)
    if source in LOSSY_SOURCES:
        worst += LOSSY_OF_LOSSY.get(path.suffix, 0.0)
    np.testing.assert_allclose(found, wanted, atol=worst)
    assert abs((found - wanted).mean()) < 0.004
    depths = [io.read_picture(each).dtype.itemsize for each in (sources / source, path)]
    assert depths[1] >= min(depths[0], 2) or report.converted
    if source not in WITH_EXIF:
        return
    if path.suffix in HOLD_EXIF:
        assert made.tags(path)["Make"] == "ACME"
        assert "EXIF" not in report.dropped
    elif path.suffix not in (".jxl", ".jp2"):
        assert "EXIF" in report.dropped


def test_by_the_command(sources: Path, tmp_path: Path) -> None:
    """A folder of all kinds is corrected by one command, each to a file that can be written."""
    out = tmp_path / "out"
    assert main(["correct", str(sources), "-o", str(out), "--strength", "0", "--quiet"]) == 0
    assert len(list(out.iterdir())) == len(SOURCES)
    for path in out.iterdir():
        assert path.suffix.lower() in io.writable_suffixes()
        assert io.read_picture(path).shape[:2] == (HEIGHT, WIDTH)
