"""Scenes: kept, compared, and the same however a panorama is turned."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import drht_plugin
from drht_plugin.engine.noise_curve import noise_map
from drht_plugin.engine.scene import Scene
from drht_plugin.engine.survey.make import panorama_origin
from drht_plugin.errors import ReadError, WriteError


def _picture(height: int, width: int, channels: int = 3, seed: int = 1) -> np.ndarray:
    """A picture with broad forms, dark on one side."""
    random = np.random.default_rng(seed)
    coarse = random.random((6, 8, channels))
    rows = np.linspace(0, 5, height).astype(int)
    columns = np.linspace(0, 7, width).astype(int)
    picture = coarse[rows][:, columns] * np.linspace(0.1, 1, width)[None, :, None]
    noisy = picture + random.normal(0, 0.02, picture.shape)
    return (noisy.clip(0, 1) * 255).round().astype(np.uint8)


@pytest.fixture(scope="module")
def scene() -> Scene:
    return drht_plugin.survey(_picture(200, 300))


def test_a_scene_comes_back_from_its_file(scene: Scene, tmp_path: Path) -> None:
    """Saved and loaded, a scene is equal and renders the same pixels."""
    scene.save(tmp_path / "a.scene")
    loaded = Scene.load(tmp_path / "a.scene")
    assert loaded == scene
    assert hash(loaded) == hash(scene)
    assert loaded.spec == scene.spec
    image = _picture(200, 300)
    assert (drht_plugin.render(loaded, image) == drht_plugin.render(scene, image)).all()
    assert {p.name for p in tmp_path.iterdir()} == {"a.scene"}


def test_scenes_differ_where_anything_does(scene: Scene) -> None:
    """Another origin, another size or another picture make another scene."""
    assert replace(scene, origin=3) != scene
    assert replace(scene, spec=replace(scene.spec, height=201)) != scene
    assert drht_plugin.survey(_picture(200, 300, seed=2)) != scene
    assert drht_plugin.survey(_picture(200, 300)) == scene


def test_a_damaged_scene_is_refused_by_name(scene: Scene, tmp_path: Path) -> None:
    """What is no scene, or half of one, raises ReadError with the file's name."""
    path = tmp_path / "b.scene"
    with pytest.raises(ReadError, match=r"b\.scene"):
        Scene.load(path)
    scene.save(path)
    whole = path.read_bytes()
    for broken in (b"", whole[:100], whole[:-100], whole.replace(b'"ldr"', b'"xyz"')):
        path.write_bytes(broken)
        with pytest.raises(ReadError, match=r"b\.scene"):
            Scene.load(path)
    with pytest.raises(WriteError, match="nowhere"):
        scene.save(tmp_path / "nowhere" / "c.scene")


def test_a_scene_of_another_version_is_refused(scene: Scene, tmp_path: Path) -> None:
    """A version that this one does not know is named."""
    path = tmp_path / "d.scene"
    scene.save(path)
    stored = path.read_bytes()
    path.write_bytes(stored.replace(b'\\"version\\": 4', b'\\"version\\": 7'))
    with pytest.raises(ReadError, match="version 7"):
        Scene.load(path)


@settings(deadline=None)
@given(
    st.integers(1, 60), st.integers(1, 12), st.integers(0, 200), st.integers(0, 9), st.booleans()
)
def test_the_origin_goes_with_the_picture(
    width: int, height: int, shift: int, seed: int, floats: bool
) -> None:
    """Turned by any number of columns, a panorama begins at the same column of the picture."""
    random = np.random.default_rng(seed)
    picture = random.integers(0, 2 if seed < 5 else 256, (height, width, 3), np.uint8)
    image = picture.astype(np.float32) / np.float32(255) if floats else picture
    turned = np.roll(image, shift, 1)
    here = np.roll(image, -panorama_origin(image), 1)
    there = np.roll(turned, -panorama_origin(turned), 1)
    sums = np.float64 if floats else int
    assert (here.astype(sums).sum((0, 2)) == there.astype(sums).sum((0, 2))).all()


@pytest.mark.parametrize("shift", [1, 137, 300])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_a_turned_panorama_comes_out_turned(shift: int, dtype: str) -> None:
    """With wrap, shifting a panorama by any number of columns shifts the result, bit for bit."""
    picture = _picture(160, 331)
    image = {
        "uint8": picture,
        "uint16": picture.astype(np.uint16) * 257,
        "float32": picture.astype(np.float32) / 255,
    }[dtype]
    straight = drht_plugin.correct(image, wrap=True, detail="guided")
    turned = drht_plugin.correct(np.roll(image, shift, 1), wrap=True, detail="guided")
    assert (np.roll(straight, shift, 1) == turned).all()
    assert (straight != image).any()


def test_the_detail_network_is_told_the_noise(scene: Scene) -> None:
    """Of a scene's conditions the last planes are its noise by luma, and there is some."""
    noise = scene.conditions[..., 9:]
    assert np.array_equal(noise, noise_map(scene.ldr, scene.noise))
    assert noise.max() > 1e-3
