"""Images as scenes: from folders of EXR, Radiance and photograph files, or from packed files.

A pack needs only torch, safetensors and OpenCV to be read, so that a machine with little more
can train. Radiance is stored as 16-bit log2 luminance per channel in JPEG 2000; photographs as the
files that they are.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from drht_plugin.bridge import transfer
from drht_plugin.errors import DependencyError, InputError, ReadError
from drht_plugin.virtual_camera import HdrImage

_LOG_RANGE = (-14.0, 16.0)
_PACK_VERSION = "2"
_SUFFIXES = (".exr", ".hdr")
_PHOTOGRAPHS = (".jpg", ".jpeg", ".png")
_PLATEAU = 0.97

_WHITE_CODE = 250
"""Code of 8 bits from which on all channels of a photograph are taken for clipped."""


def load_scenes(*paths: Path, free_only: bool = False) -> list[HdrImage]:
    """The scenes of folders (with their `manifest.csv`, where there is one) and of pack files.

    Args:
        paths: folders of .exr/.hdr images and of .jpg/.png photographs, or files made by `pack`.
        free_only: leave out images whose licence the manifest is not sure of
            (`licence_confidence` = low).

    Raises:
        InputError: nothing is there that could be a scene.
        ReadError: an image cannot be read.
    """
    scenes = []
    for path in paths:
        found = list(_from_pack(path) if path.is_file() else _from_folder(path, free_only))
        if not found:
            raise InputError(
                f"{path}: no images; expected a folder of .exr, .hdr, .jpg or .png, or a pack"
            )
        scenes += found
    return scenes


def _from_folder(folder: Path, free_only: bool) -> Iterator[HdrImage]:
    for file, row in _free(folder, free_only, _SUFFIXES):
        yield read_scene(file, row)
    for file, _ in _free(folder, free_only, _PHOTOGRAPHS):
        yield photograph(file.stem, np.fromfile(file, np.uint8), str(file))


def _free(
    folder: Path, free_only: bool, suffixes: tuple[str, ...]
) -> list[tuple[Path, dict[str, str]]]:
    """The folder's images with these suffixes, and what the manifest says of each."""
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder or pack of images")
    files = image_files(folder, suffixes)
    return [
        (file, row)
        for file, row in files
        if not free_only or row.get("licence_confidence") != "low"
    ]


def photograph(name: str, stream: npt.NDArray[np.uint8], source: str) -> HdrImage:
    """A well-exposed photograph as a scene: linear light by sRGB's curve, its own rendition.

    stream: the bytes of a JPEG or PNG file of 8 bits; a JPEG's EXIF orientation is applied.
    Places where all channels are white count as clipped in the source.

    Raises:
        ReadError: names `source`, which cannot be read.
    """
    cv2 = _opencv()
    codes = None
    if stream.size:
        codes = cv2.imdecode(stream, cv2.IMREAD_COLOR)
    if codes is None:
        raise ReadError(f"{source}: cannot be read as a photograph")
    rgb = codes[..., ::-1]
    linear = transfer.srgb_decode(rgb.astype(np.float32) / 255).astype(np.float32)
    clipped = (rgb.min(-1) >= _WHITE_CODE).astype(np.float32)
    planes = np.concatenate([linear.transpose(2, 0, 1), clipped[None]])
    return HdrImage(name, torch.from_numpy(planes).half(), panorama=False, rendition=True)


def image_files(
    folder: Path, suffixes: tuple[str, ...] = _SUFFIXES
) -> list[tuple[Path, dict[str, str]]]:
    """The folder's images by name, each with its line of `manifest.csv`, empty without one."""
    manifest = folder / "manifest.csv"
    rows: dict[str, dict[str, str]] = {}
    if manifest.is_file():
        with manifest.open(newline="", encoding="utf-8-sig") as lines:
            rows = {row["file"]: row for row in csv.DictReader(lines)}
    files = sorted(p for p in folder.iterdir() if p.suffix.lower() in suffixes)
    return [(file, rows.get(file.name, {})) for file in files]


def read_scene(file: Path, row: Mapping[str, str]) -> HdrImage:
    """One HDR image as a scene; `row` is its line of the manifest, or empty.

    Raises:
        ReadError: the image cannot be read, or ends early.
    """
    import OpenImageIO as oiio

    buffer = oiio.ImageBuf(str(file))
    pixels = buffer.get_pixels(oiio.FLOAT) if buffer.initialized else None
    # Pixels that an image cut short lacks come as zeros, and an error beside them.
    if pixels is None or buffer.has_error or pixels.ndim != 3 or pixels.shape[2] < 3:
        raise ReadError(f"{file}: cannot be read as an RGB image ({buffer.geterror()})")
    rgb = np.nan_to_num(pixels[..., :3], nan=0.0, posinf=65504.0, neginf=0.0).clip(0, 65504)
    height, width = rgb.shape[:2]
    panorama = row.get("projection", "equirectangular" if width == 2 * height else "") == (
        "equirectangular"
    )
    clipped = np.zeros((height, width), np.float32)
    if row.get("highlight_clipped_guess") == "True":
        peak = rgb.max(-1)
        clipped = (peak >= _PLATEAU * peak.max()).astype(np.float32)
    planes = np.concatenate([rgb.transpose(2, 0, 1), clipped[None]])
    return HdrImage(file.stem, torch.from_numpy(planes).half(), panorama)


def pack(folders: Sequence[Path], target: Path, *, compression: int = 60) -> int:
    """Write the free images of folders as one file; how many there are.

    compression: JPEG 2000's rate in thousandths of raw size.

    Raises:
        InputError: a folder without images.
        ReadError: an image cannot be read.
    """
    tensors: dict[str, Tensor] = {}
    index: list[dict[str, object]] = []
    for folder in folders:
        before = len(index)
        for file, row in _free(folder, True, _SUFFIXES):
            # Folders may hold images of one name.
            scene = replace(read_scene(file, row), name=f"{folder.name}/{file.stem}")
            _store(scene, compression, tensors)
            index.append({"name": scene.name, "panorama": scene.panorama, "rendition": False})
        for file, _ in _free(folder, True, _PHOTOGRAPHS):
            name = f"{folder.name}/{file.stem}"
            tensors[f"{name}.file"] = torch.from_numpy(np.fromfile(file, np.uint8))
            index.append({"name": name, "panorama": False, "rendition": True})
        if len(index) == before:
            raise InputError(f"{folder}: no images; expected .exr, .hdr, .jpg or .png files")
    save_file(tensors, target, {"drht_pack": _PACK_VERSION, "scenes": json.dumps(index)})
    return len(index)


def _store(scene: HdrImage, compression: int, tensors: dict[str, Tensor]) -> None:
    cv2 = _opencv()
    low, high = _LOG_RANGE
    rgb = scene.radiance[:3].float().permute(1, 2, 0).numpy()
    log = (np.log2(rgb + 2.0**low) - low) / (high + 1 - low)
    coded = np.round(log.clip(0, 1) * 65535).astype(np.uint16)
    flags = [cv2.IMWRITE_JPEG2000_COMPRESSION_X1000, compression]
    _, stream = cv2.imencode(".jp2", coded, flags)
    mask = (scene.radiance[3].numpy() > 0).astype(np.uint8)
    _, clipped = cv2.imencode(".png", mask)
    tensors[f"{scene.name}.jp2"] = torch.from_numpy(stream.reshape(-1))
    tensors[f"{scene.name}.clip"] = torch.from_numpy(clipped.reshape(-1))


def _from_pack(file: Path) -> Iterator[HdrImage]:
    try:
        with safe_open(file, "pt") as store, ThreadPoolExecutor() as pool:
            metadata = store.metadata() or {}
            if metadata.get("drht_pack") != _PACK_VERSION:
                raise ReadError(f"{file}: not a pack of scenes of version {_PACK_VERSION}")
            index = json.loads(metadata["scenes"])
            parts = [
                [store.get_tensor(entry["name"] + end).numpy() for end in _ends(entry)]
                for entry in index
            ]
            # Decoders let other threads run meanwhile.
            yield from pool.map(lambda entry, part: _unpacked(file, entry, part), index, parts)
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        raise ReadError(f"{file}: not a pack of scenes, or damaged ({error})") from error


def _ends(entry: dict[str, Any]) -> tuple[str, ...]:
    """What the names of a scene's tensors end in."""
    return (".file",) if entry["rendition"] else (".jp2", ".clip")


def _unpacked(file: Path, entry: dict[str, Any], parts: list[npt.NDArray[np.uint8]]) -> HdrImage:
    if entry["rendition"]:
        return photograph(entry["name"], parts[0], f"{file}: {entry['name']}")
    low, high = _LOG_RANGE
    coded, clipped = (_decode(part) for part in parts)
    rgb = np.exp2(coded / 65535 * (high + 1 - low) + low) - 2.0**low
    planes = np.concatenate([rgb.clip(0, 65504).transpose(2, 0, 1), clipped[None]])
    return HdrImage(entry["name"], torch.from_numpy(planes).half(), entry["panorama"])


def _decode(stream: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    cv2 = _opencv()
    try:
        picture = cv2.imdecode(stream, -1)
    except cv2.error as error:
        raise ValueError(str(error)) from error
    if picture is None:
        raise ValueError("a picture in it cannot be decoded")
    return picture.astype(np.float32)


def _opencv() -> ModuleType:
    try:
        import cv2
    except ImportError as error:
        raise DependencyError("packs need OpenCV: pip install drht-plugin[train]") from error
    return cv2
