"""What stored values mean: each combination, written and judged by others, by all front ends."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import png_bytes
import pytest
import pyvips
from meaning_cases import Case, every_case
from meaning_judges import scaled, shown, turned
from strategies import corrector

from drht_plugin import correct_file
from drht_plugin import vips as drht_vips
from drht_plugin.errors import InputError
from drht_plugin.io._formats import FORMATS, Format

STUB = corrector()
CASES = every_case()
by_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)

BY_LIBVIPS = (".tif", ".png", ".jpg", ".webp", ".avif")
MISREAD = (
    "float-0",
    "deflate-miniswhite-f4",
    "alpha-premultiplied.avif",
    *(
        f"gray-{photometric}-{bits}-{extra}-1"
        for photometric in (0, 1)
        for bits in (8, 16)
        for extra in (0, 1, 2)
    ),
)
"""What libvips takes for something else, and the operation refuses."""


BY_COMMAND = CASES[::7]
"""What the command corrects too, in one run."""


@pytest.fixture(autouse=True)
def _no_flush(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not wait for the disk, hundreds of times."""
    monkeypatch.setattr(os, "fsync", lambda _file: None)


@pytest.fixture(scope="module")
def commanded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of what one run of the command made of files."""
    folder = tmp_path_factory.mktemp("commanded")
    (folder / "in").mkdir()
    for case in BY_COMMAND:
        (folder / "in" / case.name).write_bytes(case.data)
    names = sorted(str(folder / "in" / case.name) for case in BY_COMMAND)
    command = [sys.executable, "-m", "drht_plugin.cli", "correct", *names, "--strength", "0"]
    done = subprocess.run(
        [*command, "--device", "cpu", "--output", str(folder / "out")],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return folder / "out"


def require_shown(path: Path, case: Case) -> None:
    """The file shows what the case does; an alpha that is 1 everywhere may be left out."""
    found = shown(path)
    assert found.shape == case.shown.shape
    np.testing.assert_allclose(found, case.shown, atol=case.tolerance, rtol=1e-6)


def test_there_are_enough() -> None:
    """There are 300 combinations or more, each under a name of its own."""
    assert len({case.name for case in CASES}) == len(CASES) >= 300


@by_case
def test_file(case: Case, tmp_path: Path) -> None:
    """A corrected file shows what the file does, by another reader."""
    source, target = tmp_path / case.name, tmp_path / f"out-{case.name}"
    source.write_bytes(case.data)
    correct_file(source, target, corrector=STUB, strength=0)
    require_shown(target, case)


@pytest.mark.parametrize("case", BY_COMMAND, ids=lambda case: case.name)
def test_command(case: Case, commanded: Path) -> None:
    """So does the command's result."""
    require_shown(commanded / case.name, case)


@pytest.mark.parametrize(
    "case", [c for c in CASES if c.name.endswith(BY_LIBVIPS)], ids=lambda case: case.name
)
def test_libvips(case: Case, tmp_path: Path) -> None:
    """The libvips operation takes values as the file means them, or refuses the image by name."""
    path = tmp_path / case.name
    path.write_bytes(case.data)
    try:
        image = pyvips.Image.new_from_file(str(path), revalidate=True)
        image.avg()
    except pyvips.Error:  # depths that libvips does not read
        assert case.name.startswith(("gray-", "rgb-"))
        return
    if case.name.startswith(MISREAD):
        with pytest.raises(InputError, match="which libvips reads wrong"):
            drht_vips.correct(image, strength=0)
        return
    result = drht_vips.correct(image, strength=0)
    pixels: Any = scaled(result.numpy())
    stated = result.get("orientation") if result.get_typeof("orientation") else 1
    found = turned(pixels, stated)
    assert found.shape[:2] == case.shown.shape[:2]
    if found.shape[2] == case.shown.shape[2]:
        rounded = 1.01 / 255 if "-1-" in case.name else 0  # libvips divides by alpha in whole codes
        np.testing.assert_allclose(found, case.shown, atol=max(case.tolerance, rounded), rtol=1e-6)


ALPHA = {"none": "–", "stated": "as the file states"}


@pytest.mark.parametrize("row", FORMATS.values(), ids=lambda row: row.name)
def test_the_documents_hold_the_table(row: Format) -> None:
    """The page on values says of each format what the code goes by."""
    cells = (
        row.label,
        row.transfer,
        ALPHA.get(row.alpha, row.alpha),
        ", ".join(row.colours) or "–",
        "kept" if row.pixel_shape else "–",
        "kept" if row.has_orientation else "applied",
    )
    page = (Path(__file__).parents[2] / "docs/reference/values.md").read_text("utf-8")
    assert f"| {' | '.join(cells)} |" in page.splitlines()


@pytest.mark.parametrize(("suffix", "part"), [(".ppm", "ICC profile"), (".jp2", "shape of pixels")])
def test_what_cannot_be_held_is_said(suffix: str, part: str, tmp_path: Path) -> None:
    """A target that holds no profile, or no shape of pixels, says so."""
    chunks = [(b"cICP", bytes((12, 13, 0, 1))), png_bytes.pixel_aspect(1, 2)]
    (tmp_path / "a.png").write_bytes(
        png_bytes.png_bytes(np.zeros((40, 40, 3), np.uint8), colour_type=2, bits=8, chunks=chunks)
    )
    report = correct_file(tmp_path / "a.png", tmp_path / f"b{suffix}", corrector=STUB, strength=0)
    assert part in report.dropped
