"""Read images to train on, from folders of EXR, Radiance and photograph files, or from packs.

A pack is one file that needs only torch, safetensors and OpenCV to be read, so that a machine
with few packages can train. It stores radiance as log2 per channel, 16 bits, in JPEG 2000, and
photographs as their original files.
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
from drht_plugin.storage import parse_json
from drht_plugin.virtual_camera import HdrImage

_LOG_RANGE = (-14.0, 16.0)
_PACK_VERSION = "2"
_SUFFIXES = (".exr", ".hdr")
_PHOTOGRAPHS = (".jpg", ".jpeg", ".png")
_PLATEAU = 0.97

_MOST_INDEX_BYTES = 16 << 20
"""Size of the largest list of scenes that is read from a pack."""

_WHITE_CODE = 250
"""A photograph's pixel counts as clipped if all its channels have this 8-bit code or more."""


def load_scenes(*paths: Path, free_only: bool = False) -> list[HdrImage]:
    """Read the images of folders and packs.

    A folder may have a `manifest.csv` with a row per image.

    Args:
        paths: folders of .exr/.hdr images and .jpg/.png photographs, or files made by `pack`.
        free_only: leave out images whose `licence_confidence` in the manifest is "low".

    Returns:
        The images, those of a folder sorted by name, HDR images before photographs.

    Raises:
        InputError: a path has no images.
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
    for file, row in _allowed_images(folder, free_only, _SUFFIXES):
        yield read_scene(file, row)
    for file, _ in _allowed_images(folder, free_only, _PHOTOGRAPHS):
        yield photograph(file.stem, np.fromfile(file, np.uint8), str(file))


def _allowed_images(
    folder: Path, free_only: bool, suffixes: tuple[str, ...]
) -> list[tuple[Path, dict[str, str]]]:
    """List images with these suffixes and their manifest rows, without those of unsure licence."""
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder or pack of images")
    files = image_files(folder, suffixes)
    return [
        (file, row)
        for file, row in files
        if not free_only or row.get("licence_confidence") != "low"
    ]


def photograph(name: str, stream: npt.NDArray[np.uint8], source: str) -> HdrImage:
    """Decode a well-exposed photograph as a scene of linear light.

    Pixels that are white in all channels count as clipped in the source.

    Args:
        name: name of the scene.
        stream: the bytes of an 8-bit JPEG or PNG file; a JPEG's EXIF orientation is applied.
        source: where the bytes come from, for error messages.

    Returns:
        The scene, with `rendition` set.

    Raises:
        ReadError: the photograph cannot be decoded.
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
    """List the images of a folder with their rows of its `manifest.csv`.

    Args:
        folder: the folder.
        suffixes: lower-case file extensions to list.

    Returns:
        Path and manifest row (column → text, empty if there is none), sorted by path.
    """
    manifest = folder / "manifest.csv"
    rows: dict[str, dict[str, str]] = {}
    if manifest.is_file():
        with manifest.open(newline="", encoding="utf-8-sig") as lines:
            rows = {row["file"]: row for row in csv.DictReader(lines)}
    files = sorted(p for p in folder.iterdir() if p.suffix.lower() in suffixes)
    return [(file, rows.get(file.name, {})) for file in files]


def read_scene(file: Path, row: Mapping[str, str]) -> HdrImage:
    """Read an HDR image as a scene.

    Args:
        file: an .exr or .hdr file.
        row: its row of the manifest, or empty.

    Returns:
        The scene. NaN and negative values become 0, and values are limited to 65504. An image
        twice as wide as high is a panorama unless the manifest's `projection` says otherwise.

    Raises:
        ReadError: the image cannot be read or is truncated.
    """
    import OpenImageIO as oiio

    buffer = oiio.ImageBuf(str(file))
    pixels = buffer.get_pixels(oiio.FLOAT) if buffer.initialized else None
    # The missing pixels of a truncated image are read as zeros, and an error is set.
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
    """Write the images of folders into one file, without those of unsure licence.

    Args:
        folders: folders of images.
        target: file to write.
        compression: size of the JPEG 2000 data in thousandths of the raw size.

    Returns:
        The number of images written.

    Raises:
        InputError: a folder has no images.
        ReadError: an image cannot be read.
    """
    tensors: dict[str, Tensor] = {}
    index: list[dict[str, object]] = []
    for folder in folders:
        before = len(index)
        for file, row in _allowed_images(folder, True, _SUFFIXES):
            # Images in different folders may have the same name.
            scene = replace(read_scene(file, row), name=f"{folder.name}/{file.stem}")
            _store(scene, compression, tensors)
            index.append({"name": scene.name, "panorama": scene.panorama, "rendition": False})
        for file, _ in _allowed_images(folder, True, _PHOTOGRAPHS):
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
            index = parse_json(metadata["scenes"].encode(), _MOST_INDEX_BYTES)
            parts = [
                [store.get_tensor(entry["name"] + end).numpy() for end in _tensor_suffixes(entry)]
                for entry in index
            ]
            # Threads help because decoders release the interpreter lock.
            yield from pool.map(lambda entry, part: _unpack_scene(file, entry, part), index, parts)
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise ReadError(f"{file}: not a pack of scenes, or damaged ({error})") from error


def _tensor_suffixes(entry: dict[str, Any]) -> tuple[str, ...]:
    """Return the suffixes of the names of a scene's tensors."""
    return (".file",) if entry["rendition"] else (".jp2", ".clip")


def _unpack_scene(
    file: Path, entry: dict[str, Any], parts: list[npt.NDArray[np.uint8]]
) -> HdrImage:
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
        raise ValueError("one of its images cannot be decoded")
    return picture.astype(np.float32)


def _opencv() -> ModuleType:
    try:
        import cv2
    except ImportError as error:
        raise DependencyError("packs need OpenCV: pip install drht-plugin[train]") from error
    return cv2
