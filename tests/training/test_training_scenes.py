"""Scenes from folders and packs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from drht_plugin import InputError, ReadError
from drht_plugin.bridge import transfer
from drht_plugin.io import write_hdr
from drht_plugin.training.scenes import load_scenes, pack
from drht_plugin.virtual_camera import HdrImage

cv2 = pytest.importorskip("cv2")


def radiance(height: int, width: int, stops: float = 14.0) -> Tensor:
    """A scene of many stops with some texture, 4×H×W half."""
    random = torch.Generator().manual_seed(height)
    rows, columns = torch.meshgrid(
        torch.linspace(0, 1, height), torch.linspace(0, 1, width), indexing="ij"
    )
    planes = [columns, rows, (rows + columns) / 2]
    light = torch.exp2(stops * (torch.stack(planes) - 0.5))
    light *= torch.exp2(0.3 * torch.rand(3, height, width, generator=random))
    return torch.cat([light, (columns > 0.9).float()[None]]).half()


SCENES = [
    HdrImage("panorama", radiance(96, 192), True),
    HdrImage("photo", radiance(90, 120), False),
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a panorama whose highest light is clipped, and a photograph."""
    folder = tmp_path / "scenes"
    folder.mkdir()
    lines = ["file,projection,licence_confidence,highlight_clipped_guess"]
    for scene in SCENES:
        rgb = scene.radiance[:3].permute(1, 2, 0).float().numpy()
        write_hdr(folder / f"{scene.name}.exr", np.ascontiguousarray(rgb))
        kind = "equirectangular" if scene.panorama else "perspective"
        lines.append(f"{scene.name}.exr,{kind},high,{scene.panorama}")
    (folder / "manifest.csv").write_text("\n".join(lines))
    return folder


@pytest.fixture
def packed(folder: Path, tmp_path: Path) -> Path:
    assert pack([folder], tmp_path / "two.drhtpack") == 2
    return tmp_path / "two.drhtpack"


def test_pack_round_trip(folder: Path, packed: Path) -> None:
    """A pack gives back names, kinds and masks, and radiance within 0.1 EV on average."""
    for before, after in zip(load_scenes(folder), load_scenes(packed), strict=True):
        assert after.name == f"scenes/{before.name}"
        assert after.panorama == before.panorama
        assert not after.rendition
        assert after.radiance.dtype == torch.float16
        assert after.radiance.shape == before.radiance.shape
        assert torch.equal(after.radiance[3], before.radiance[3])
        stops = torch.log2((after.radiance[:3].float() + 1e-3) / (before.radiance[:3] + 1e-3))
        assert stops.abs().mean() < 0.1
        assert stops.mean().abs() < 0.01


def test_pack_extremes(tmp_path: Path) -> None:
    """Black stays black and the brightest half float survives."""
    flat = np.zeros((32, 64, 3), np.float32)
    flat[:, 32:] = 65504
    (tmp_path / "ends").mkdir()
    write_hdr(tmp_path / "ends" / "ends.exr", flat)
    pack([tmp_path / "ends"], tmp_path / "pack")
    (scene,) = load_scenes(tmp_path / "pack")
    assert scene.radiance[:3, :, :24].max() < 1e-3
    assert (scene.radiance[:3, :, 40:] / 65504 - 1).abs().max() < 0.02


def test_photographs(tmp_path: Path) -> None:
    """A photograph is linear light, its white marked as clipped, from folders and packs alike."""
    names = {}
    for name in ("one", "two"):
        folder = tmp_path / name
        folder.mkdir()
        codes = np.full((24, 36, 3), 128, np.uint8)
        codes[:, 18:] = 255
        codes[:4] = (0, 64, 200)
        cv2.imwrite(str(folder / "a.png"), codes[..., ::-1])
        cv2.imwrite(str(folder / "unsure.png"), codes)
        (folder / "manifest.csv").write_text(
            "file,licence_confidence\na.png,high\nunsure.png,low\n"
        )
        names[name] = folder
    assert pack(list(names.values()), tmp_path / "pack") == 2
    for path in (names["one"], tmp_path / "pack"):
        scene = load_scenes(path, free_only=True)[0]
        assert scene.rendition
        assert not scene.panorama
        light = scene.radiance.float()
        wanted = transfer.srgb_decode(np.array([0, 64, 200]) / 255)
        assert np.allclose(light[:3, 0, 0], wanted, atol=1e-3)
        assert np.allclose(light[:3, 10, 4], transfer.srgb_decode(np.array(128 / 255)), atol=1e-3)
        assert light[3, 10, 20:].all()
        assert not light[3, :4].any()
    assert len(load_scenes(names["one"])) == 2
    assert [s.name for s in load_scenes(names["one"], tmp_path / "pack", free_only=True)] == [
        "a",
        "one/a",
        "two/a",
    ]
    (names["one"] / "bad.jpg").write_bytes(b"no picture")
    with pytest.raises(ReadError, match=r"bad\.jpg: cannot be read as a photograph"):
        load_scenes(names["one"])


@pytest.mark.parametrize("length", [0, 4, 8, 60, 2000, -3])
def test_cut_pack(packed: Path, length: int) -> None:
    """A pack that was cut short is refused by name."""
    packed.write_bytes(packed.read_bytes()[:length])
    with pytest.raises(ReadError, match=r"two\.drhtpack"):
        load_scenes(packed)


@pytest.mark.parametrize("change", ["header", "stream", "mask", "missing", "version", "text"])
def test_damaged_pack(packed: Path, change: str) -> None:
    """A pack whose header, streams or version are not what they should be is refused by name."""
    tensors = {name: t.clone() for name, t in load_file(packed).items()}
    names = '[{"name": "scenes/photo", "panorama": false, "rendition": false}]'
    metadata = {"drht_pack": "2", "scenes": names}
    if change == "header":
        data = bytearray(packed.read_bytes())
        data[9] = 0xFF
        packed.write_bytes(data)
    elif change == "text":
        packed.write_text("no pack at all, but a text of some length\n" * 9)
    else:
        if change == "stream":
            tensors["scenes/photo.jp2"][:40] = 0
        elif change == "mask":
            tensors["scenes/photo.clip"][:] = 0
        elif change == "missing":
            del tensors["scenes/photo.clip"]
        else:
            metadata["drht_pack"] = "0"
        save_file(tensors, packed, metadata)
    with pytest.raises(ReadError, match=r"two\.drhtpack"):
        load_scenes(packed)


def test_folder(tmp_path: Path) -> None:
    """A folder gives its EXR files by name; 2:1 is a panorama; the values are the file's."""
    rgb = radiance(20, 40)[:3].permute(1, 2, 0).float().numpy()
    write_hdr(tmp_path / "b.exr", np.ascontiguousarray(rgb))
    write_hdr(tmp_path / "a.exr", np.ascontiguousarray(rgb[:, :30]))
    (tmp_path / "notes.txt").write_text("not a scene")
    first, second = load_scenes(tmp_path)
    assert (first.name, first.panorama) == ("a", False)
    assert (second.name, second.panorama) == ("b", True)
    assert torch.equal(second.radiance[:3], torch.from_numpy(rgb).permute(2, 0, 1).half())
    assert not second.radiance[3].any()


def test_manifest(tmp_path: Path) -> None:
    """The manifest decides about projection, licence and clipped lights."""
    rgb = np.full((20, 40, 3), 0.5, np.float32)
    rgb[3, 4] = 100
    for name in "abc":
        write_hdr(tmp_path / f"{name}.exr", rgb)
    (tmp_path / "manifest.csv").write_text(
        "file,projection,licence_confidence,highlight_clipped_guess\n"
        "a.exr,rectilinear,high,True\n"
        "b.exr,equirectangular,low,False\n"
    )
    scenes = {scene.name: scene for scene in load_scenes(tmp_path)}
    assert [scenes[name].panorama for name in "abc"] == [False, True, True]
    assert scenes["a"].radiance[3].sum() == 1
    assert scenes["a"].radiance[3, 3, 4] == 1
    assert scenes["b"].radiance[3].sum() == 0
    assert [scene.name for scene in load_scenes(tmp_path, free_only=True)] == ["a", "c"]


def test_nothing_there(tmp_path: Path) -> None:
    """A folder without scenes, or none at all, is refused as an argument, by name."""
    with pytest.raises(InputError, match=r"no images; expected a folder of \.exr"):
        load_scenes(tmp_path)
    with pytest.raises(InputError, match=r"none: no such folder or pack"):
        load_scenes(tmp_path / "none")


@pytest.mark.parametrize("content", [b"", b"no EXR at all", b"v/1\x01" + bytes(50)])
def test_damaged_image(tmp_path: Path, content: bytes) -> None:
    """An image that cannot be read is refused by name."""
    (tmp_path / "bad.exr").write_bytes(content)
    with pytest.raises(ReadError, match=r"bad\.exr"):
        load_scenes(tmp_path)


def test_cut_image(tmp_path: Path) -> None:
    """An image that ends early is refused by name."""
    write_hdr(tmp_path / "cut.exr", np.random.default_rng(0).random((64, 128, 3), np.float32))
    data = (tmp_path / "cut.exr").read_bytes()
    (tmp_path / "cut.exr").write_bytes(data[: len(data) // 2])
    with pytest.raises(ReadError, match=r"cut\.exr"):
        load_scenes(tmp_path)
