"""The examples of libvips pipelines."""

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import pyvips

import drht_plugin

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A small picture with an odd name."""
    path = tmp_path / "a & b.png"
    array = np.random.default_rng(6).integers(0, 80, (260, 400, 3), np.uint8)
    pyvips.Image.new_from_array(array).write_to_file(str(path))
    return path


def loaded(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_pipeline(source: Path, tmp_path: Path) -> None:
    """The pipeline writes a picture of the width that was asked for."""
    target = tmp_path / "out.jpg"
    script = str(EXAMPLES / "vips_pipeline.py")
    command = [sys.executable, script, str(source), str(target), "--width", "200"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    written = pyvips.Image.new_from_file(str(target))
    assert written.width == 200
    assert written.avg() > pyvips.Image.new_from_file(str(source)).avg() + 5


def test_deep_zoom(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The site holds both pyramids as its page describes them, the second one corrected."""
    deep_zoom = loaded("deep_zoom")
    site = tmp_path / "site"
    monkeypatch.setattr(sys, "argv", ["deep_zoom.py", str(source), str(site)])
    deep_zoom.main()
    page = (site / "index.html").read_text("utf-8")
    assert all((site / name).is_file() for name in re.findall(r'src="([^"]+)"', page))
    assert "<title>a &amp; b.png: before and after</title>" in page
    found = re.search(r"const sources = (\{.*\});", page)
    assert found is not None
    array = pyvips.Image.new_from_file(str(source)).numpy()
    for name, expected in (("before", array), ("after", drht_plugin.correct(array))):
        described = json.loads(found[1])[name]["Image"]
        assert described["Size"] == {"Width": 400, "Height": 260}
        # The whole picture lies in level 9, of at most 2⁹ pixels.
        tile = pyvips.Image.new_from_file(str(site / described["Url"] / "9" / "0_0.jpg")).numpy()
        assert tile.shape[:2] == (255, 255)
        assert np.abs(tile.mean((0, 1)) - expected[:255, :255].mean((0, 1))).max() < 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a & b.png", "site"]


def test_deep_zoom_of_no_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is no picture is named, and no site is left."""
    deep_zoom = loaded("deep_zoom")
    path = tmp_path / "text.jpg"
    path.write_text("no picture")
    monkeypatch.setattr(sys, "argv", ["deep_zoom.py", str(path), str(tmp_path / "site")])
    with pytest.raises(SystemExit, match=r"text\.jpg: .*"):
        deep_zoom.main()
    assert [each.name for each in tmp_path.iterdir()] == ["text.jpg"]
