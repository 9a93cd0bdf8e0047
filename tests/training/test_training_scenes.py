"""Scenes from folders and packs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from drht_plugin import InputError, ReadError
from drht_plugin.camera import Scene
from drht_plugin.io import write_hdr
from drht_plugin.training.scenes import load_scenes, pack

pytest.importorskip("cv2")


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
    Scene("panorama", radiance(96, 192), True),
    Scene("photo", radiance(90, 120), False),
]


@pytest.fixture
def packed(tmp_path: Path) -> Path:
    pack(SCENES, tmp_path / "two.drhtpack")
    return tmp_path / "two.drhtpack"


def test_pack_round_trip(packed: Path) -> None:
    """A pack gives back names, kinds and masks, and radiance within 0.1 EV on average."""
    for before, after in zip(SCENES, load_scenes(packed), strict=True):
        assert (after.name, after.panorama) == (before.name, before.panorama)
        assert after.radiance.dtype == torch.float16
        assert after.radiance.shape == before.radiance.shape
        assert torch.equal(after.radiance[3], before.radiance[3])
        stops = torch.log2((after.radiance[:3].float() + 1e-3) / (before.radiance[:3] + 1e-3))
        assert stops.abs().mean() < 0.1
        assert stops.mean().abs() < 0.01


def test_pack_extremes(tmp_path: Path) -> None:
    """Black stays black and the brightest half float survives."""
    flat = torch.zeros(4, 32, 64)
    flat[:3, :, 32:] = 65504
    pack([Scene("ends", flat.half(), True)], tmp_path / "ends")
    (scene,) = load_scenes(tmp_path / "ends")
    assert scene.radiance[:3, :, :24].max() < 1e-3
    assert (scene.radiance[:3, :, 40:] / 65504 - 1).abs().max() < 0.02


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
    names = '[{"name": "photo", "panorama": false}]'
    metadata = {"drht_pack": "1", "scenes": names}
    if change == "header":
        data = bytearray(packed.read_bytes())
        data[9] = 0xFF
        packed.write_bytes(data)
    elif change == "text":
        packed.write_text("no pack at all, but a text of some length\n" * 9)
    else:
        if change == "stream":
            tensors["photo.jp2"][:40] = 0
        elif change == "mask":
            tensors["photo.clip"][:] = 0
        elif change == "missing":
            del tensors["photo.clip"]
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
    with pytest.raises(InputError, match=r"no HDR images; expected a folder of \.exr"):
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
