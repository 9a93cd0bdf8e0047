"""What every compared method keeps to."""

import subprocess
import sys
from collections.abc import Mapping

import numpy as np
import pytest
from numpy.typing import NDArray

from drht_plugin.errors import DependencyError, InputError
from drht_plugin.evaluation.methods import CORRECTORS, EXPANDERS

Picture = NDArray[np.float32]

METHODS = {**CORRECTORS, **EXPANDERS}
every_method = pytest.mark.parametrize("name", METHODS)


def scene(height: int = 48, width: int = 64) -> Picture:
    """A lit colourful half, a dark half, a clipped window, and texture."""
    random = np.random.default_rng(7)
    picture = 0.3 + 0.4 * random.random((height, width, 3))
    picture[:, : width // 2] *= 0.15
    picture[4:14, -20:-8] = 1.0
    picture[-6:, :6] = 0.0
    return picture.astype(np.float32)


def gray_scene() -> Picture:
    return np.repeat(scene()[..., 1:2], 3, axis=2)


ODD = {
    "black": np.zeros((20, 24, 3), np.float32),
    "white": np.ones((20, 24, 3), np.float32),
    "gray": np.full((20, 24, 3), 0.4, np.float32),
    "one pixel": np.full((1, 1, 3), 0.3, np.float32),
    "one row": scene()[:1],
    "one column": scene()[:, 30:31],
    "two columns": scene()[:, 31:33],
    "black and white": np.repeat(np.eye(16, dtype=np.float32)[..., None], 3, axis=2),
    "one colour": np.full((9, 7, 3), (1, 0, 0), np.float32),
}


def test_registry_names() -> None:
    """The methods are found under the names that reports print, in this order."""
    assert list(CORRECTORS) == [
        "identity",
        "auto-levels",
        "gamma",
        "clahe",
        "lime",
        "fusion",
        "fusion-gamma",
        "cape",
        "wvm",
        "smf",
        "l0s",
        "djf",
    ]
    assert list(EXPANDERS) == ["linear", "landis", "akyuz", "masia", "kovaleski-oliveira", "huo"]
    assert isinstance(CORRECTORS, Mapping)
    assert isinstance(EXPANDERS, Mapping)


@every_method
@pytest.mark.parametrize("kind", ["scene", *ODD])
def test_result_is_a_picture(name: str, kind: str) -> None:
    """float32 of the input's shape, finite, within the range that the kind of method promises."""
    picture = scene() if kind == "scene" else ODD[kind]
    result = METHODS[name](picture)
    assert result.dtype == np.float32
    assert result.shape == picture.shape
    assert np.isfinite(result).all()
    assert result.min() >= 0
    if name in CORRECTORS:
        assert result.max() <= 1


@every_method
def test_input_is_kept_and_result_repeats(name: str) -> None:
    """The input array is not changed, not given back, and the same input gives the same result."""
    picture = scene()
    before = picture.copy()
    first, second = METHODS[name](picture), METHODS[name](picture)
    np.testing.assert_array_equal(picture, before)
    np.testing.assert_array_equal(first, second)
    assert not np.shares_memory(first, picture)


@every_method
def test_read_only_input(name: str) -> None:
    """A read-only array, as a memory map gives, is accepted."""
    picture = scene()
    picture.flags.writeable = False
    METHODS[name](picture)


@every_method
def test_gray_stays_gray(name: str) -> None:
    """Equal channels stay equal to half an 8-bit step: OpenCV's CIELAB is no better."""
    result = METHODS[name](gray_scene())
    spread = result.max(-1) - result.min(-1)
    assert (spread <= 0.002 * np.maximum(result.max(-1), 1)).all()


@every_method
def test_black_stays(name: str) -> None:
    """A black picture stays black but under CLAHE, which spreads what its clip limit cuts off."""
    assert METHODS[name](ODD["black"]).max() <= (0.2 if name == "clahe" else 0.01)


@every_method
def test_white_stays(name: str) -> None:
    """A white picture stays light; fusion, which has no white shot alone, may make it gray."""
    assert METHODS[name](ODD["white"]).min() >= (0.4 if name.startswith("fusion") else 0.9)


BAD = {
    "an integer picture": np.zeros((4, 4, 3), np.uint8),
    "float64": np.zeros((4, 4, 3)),
    "one channel": np.zeros((4, 4), np.float32),
    "four channels": np.zeros((4, 4, 4), np.float32),
    "no pixels": np.zeros((0, 4, 3), np.float32),
    "NaN": np.full((4, 4, 3), np.nan, np.float32),
    "below 0": np.full((4, 4, 3), -0.1, np.float32),
    "above 1": np.full((4, 4, 3), 1.1, np.float32),
    "a list": [[[0.0, 0.0, 0.0]]],
}


@every_method
@pytest.mark.parametrize("kind", BAD)
def test_bad_input(name: str, kind: str) -> None:
    """What is not a display-encoded picture is refused with what was given and what is accepted."""
    with pytest.raises(InputError, match=r"got .*; expected a float32 H×W×3"):
        METHODS[name](BAD[kind])  # type: ignore[arg-type]


def test_import_is_quick() -> None:
    """Importing the registry loads none of the heavy packages."""
    code = (
        "import sys, drht_plugin.evaluation.methods;"
        "print([m for m in ('cv2', 'scipy', 'skimage', 'torch', 'numba') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", ["clahe", "fusion", "cape"])
def test_missing_opencv(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without OpenCV the error names the extra that brings it."""
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(DependencyError, match=r"cv2.*drht-plugin\[evaluate\]"):
        METHODS[name](scene())
