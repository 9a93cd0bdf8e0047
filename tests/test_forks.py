"""Processes that are forked after first use work, or say at once that they cannot."""

import os
import subprocess
import sys
from pathlib import Path

import io_samples as made
import pytest

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")

_SECONDS = 120
_START = """
import os, sys
import numpy as np
import drht_plugin

picture = np.random.default_rng(0).integers(0, 90, (256, 512, 3), dtype=np.uint8)

def in_child(work):
    "Return what `work` prints in a forked process, or how that ended."
    read, write = os.pipe()
    if child := os.fork():
        os.close(write)
        answer = os.fdopen(read).read()
        return answer, os.waitpid(child, 0)[1]
    try:
        os.write(write, str(work()).encode())
    except BaseException as error:
        os.write(write, f"{type(error).__name__}: {error}".encode())
    os._exit(0)
"""


def python(code: str, *arguments: object) -> str:
    """What a fresh interpreter prints; forks that hang are an error."""
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _START + code, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return run.stdout


@pytest.mark.parametrize("backend", ["numba", "torch"])
@pytest.mark.parametrize("detail", ["guided", "network"])
def test_arrays(backend: str, detail: str) -> None:
    """A child gives its parent's pixels, with networks loaded before the fork or after it."""
    code = """
backend, detail = sys.argv[1:]
kept = drht_plugin.Corrector(device="cpu", backend=backend)
wanted = kept.correct(picture, detail=detail)

def again():
    new = drht_plugin.Corrector(device="cpu", backend=backend)
    made = [each.correct(picture, detail=detail) for each in (kept, new)]
    return [np.array_equal(wanted, each) for each in made]

print(in_child(again), in_child(lambda: in_child(again)))
"""
    once = "('[True, True]', 0)"
    assert python(code, backend, detail).strip() == f'{once} ("{once}", 0)'


def test_pool() -> None:
    """A pool of forked workers answers after its parent has corrected a picture."""
    code = """
import multiprocessing

def mean(number):
    return int(drht_plugin.correct(picture).mean())

wanted = mean(0)
with multiprocessing.get_context("fork").Pool(2) as pool:
    print(pool.map_async(mean, range(4)).get(timeout=60) == 4 * [wanted])
"""
    assert python(code).strip() == "True"


@pytest.mark.parametrize(
    ("suffix", "library"), [(".png", "libvips"), (".jpg", "libvips"), (".exr", "OpenImageIO")]
)
def test_files(suffix: str, library: str, tmp_path: Path) -> None:
    """A library of files that a parent used is refused by name, also where a file is open."""
    if suffix == ".exr":
        made.openimageio(tmp_path / "a.exr", made.values(3, "float16"))
    else:
        made.pillow(tmp_path / f"a{suffix}", made.values(3, "uint8"))
    code = """
from drht_plugin import io
source, target = sys.argv[1:]
work = lambda: drht_plugin.correct_file(source, target).height
before = in_child(work)
work()
opened = io.open_picture(source)
print(before, in_child(work), in_child(lambda: opened[:]), work(), sep="|")
"""
    before, correct, read, after = python(
        code, tmp_path / f"a{suffix}", tmp_path / f"b{suffix}"
    ).split("|")
    assert before == "('32', 0)"
    for refused in (correct, read):
        assert f"ForkError: {library} was in use" in refused
        assert "'spawn'" in refused
    assert after.strip() == "32"


def test_pipelines(tmp_path: Path) -> None:
    """A libvips pipeline is refused at once where the parent ran one."""
    made.pillow(tmp_path / "a.png", made.values(3, "uint8"))
    code = """
import pyvips
from drht_plugin import vips

def work():
    image = vips.correct(pyvips.Image.new_from_file(sys.argv[1]))
    vips.write(image, sys.argv[2])
    return image.height

print(work(), in_child(work), work(), sep="|")
"""
    first, child, second = python(code, tmp_path / "a.png", tmp_path / "b.png").split("|")
    assert (first, second.strip()) == ("32", "32")
    assert "ForkError: libvips was in use" in child
