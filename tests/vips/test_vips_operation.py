"""The correction as an operation of libvips' own."""

import gc
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import pyvips

import drht_plugin
from drht_plugin import vips
from drht_plugin.errors import InputError
from drht_plugin.libvips import lazy
from drht_plugin.libvips.lazy import Pixels

ROOT = Path(__file__).parents[2]
DARK = ROOT / "examples" / "pictures" / "golden_gate_dark.jpg"


@pytest.fixture(autouse=True)
def _registered() -> Iterator[None]:
    vips.register()
    before = pyvips.cache_get_max()
    pyvips.cache_set_max(0)
    yield
    pyvips.cache_set_max(before)


def picture() -> Pixels:
    return np.random.default_rng(5).integers(0, 90, (160, 240, 3), np.uint8)


def image() -> pyvips.Image:
    return pyvips.Image.new_from_array(picture())


def test_method_and_call() -> None:
    """`image.drht_correct()` and `Operation.call` give the pixels of `drht_plugin.correct`."""
    gentle = drht_plugin.correct(picture(), strength=0.6, wrap=True)
    options = {"strength": 0.6, "wrap": True}
    np.testing.assert_array_equal(image().drht_correct(**options).numpy(), gentle)
    called = pyvips.Operation.call("drht_correct", image(), **options)
    np.testing.assert_array_equal(called.numpy(), gentle)
    linear = pyvips.Image.new_from_array(picture().astype(np.float32) / 255)
    linear = linear.copy(interpretation="multiband")
    np.testing.assert_array_equal(
        linear.drht_correct(transfer="linear", detail="guided").numpy(),
        vips.correct(linear, transfer="linear").numpy(),
    )


def test_docstring_names_every_option() -> None:
    """The docstring is generated from the properties, and says what each is."""
    text = pyvips.Image.drht_correct.__doc__
    for option in ("strength", "shadows", "highlights", "detail", "transfer", "wrap", "model"):
        assert re.search(rf"^    {option} \(\w+\): \w+", text, re.MULTILINE)


def test_method_raises_the_librarys_errors() -> None:
    """Bad arguments and images are the library's own errors, before libvips sees them."""
    with pytest.raises(InputError, match=r"strength is 2\.5"):
        image().drht_correct(strength=2.5)
    with pytest.raises(InputError, match="detail is 'x'"):
        image().drht_correct(detail="x")
    with pytest.raises(InputError, match=r"/nowhere/w\.safetensors"):
        image().drht_correct(model="/nowhere/w.safetensors")
    with pytest.raises(InputError, match="cmyk"):
        image().bandjoin(1).copy(interpretation="cmyk").drht_correct()
    with pytest.raises(pyvips.Error, match="does not support optional argument"):
        image().drht_correct(power=3)


def test_call_says_what_is_wrong() -> None:
    """Through libvips alone, values out of range are refused too, in the same words."""
    with pytest.raises(pyvips.Error, match=r"InputError: strength is 2\.5; expected a number"):
        pyvips.Operation.call("drht_correct", image(), strength=2.5)


def test_kill_and_state() -> None:
    """The operation's image can be killed, and leaves nothing behind."""
    gc.collect()
    before = set(lazy._generated)
    corrected = image().drht_correct()
    corrected.set_kill(True)
    with pytest.raises(pyvips.Error, match="killed"):
        corrected.avg()
    del corrected
    for _ in range(5):
        image().drht_correct().avg()
    gc.collect()
    assert set(lazy._generated) <= before


_FALLBACK = """
import warnings
import numpy as np, pyvips
from drht_plugin import vips
from drht_plugin.errors import DependencyError, DrhtWarning
from drht_plugin.vips import _operation

def refuse(*arguments):
    raise DependencyError("another layout")

_operation.require_size = refuse
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    vips.register()
assert [w.category for w in caught] == [DrhtWarning], caught
assert "only the method: another layout" in str(caught[0].message)
image = pyvips.Image.new_from_array(np.full((40, 50, 3), 30, np.uint8))
assert image.drht_correct(strength=0.5).avg() == vips.correct(image, strength=0.5).avg()
"""


def test_fallback_is_the_method_alone() -> None:
    """Where libvips is laid out otherwise, a warning says so and the method works."""
    done = subprocess.run([sys.executable, "-c", _FALLBACK], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_readme_one_liner(tmp_path: Path) -> None:
    """The README's line corrects a file, word for word."""
    line = next(
        line
        for line in (ROOT / "README.md").read_text("utf-8").splitlines()
        if line.startswith("python -c") and "drht_correct" in line
    )
    source = pyvips.Image.new_from_file(str(DARK)).resize(0.25)
    source.write_to_file(str(tmp_path / "dark.jpg"))
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        line, shell=True, cwd=tmp_path, env={**os.environ, "PATH": path}, capture_output=True
    )
    assert (done.returncode, done.stderr) == (0, b"")
    array = pyvips.Image.new_from_file(str(tmp_path / "dark.jpg")).numpy()
    written = pyvips.Image.new_from_file(str(tmp_path / "corrected.png")).numpy()
    np.testing.assert_array_equal(written, drht_plugin.correct(array))
