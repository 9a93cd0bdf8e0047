"""HDR images as scenes: from a folder of EXR or Radiance files, or from one packed file.

A pack needs only torch, safetensors and OpenCV to be read, so that a machine with little more
can train. Radiance is stored as 16-bit log2 luminance per channel in JPEG 2000.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from drht_plugin.camera import Scene
from drht_plugin.errors import DependencyError, InputError, ReadError

_LOG_RANGE = (-14.0, 16.0)
_PACK_VERSION = "1"
_SUFFIXES = (".exr", ".hdr")
_PLATEAU = 0.97


def load_scenes(path: Path, *, free_only: bool = False) -> list[Scene]:
    """The scenes of a folder (with its `manifest.csv`, where there is one) or of a pack file.

    Args:
        path: folder of .exr/.hdr images, or a file made by `pack`.
        free_only: leave out images whose licence the manifest is not sure of
            (`licence_confidence` = low).

    Raises:
        InputError: nothing is there that could be a scene.
        ReadError: an image cannot be read.
    """
    scenes = list(_from_pack(path) if path.is_file() else _from_folder(path, free_only))
    if not scenes:
        raise InputError(f"{path}: no HDR images; expected a folder of .exr or .hdr, or a pack")
    return scenes


def _from_folder(folder: Path, free_only: bool) -> Iterator[Scene]:
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder or pack of HDR images")
    for file, row in image_files(folder):
        if free_only and row.get("licence_confidence") == "low":
            continue
        yield read_scene(file, row)


def image_files(folder: Path) -> list[tuple[Path, dict[str, str]]]:
    """The folder's HDR images by name, each with its line of `manifest.csv`, empty without one."""
    manifest = folder / "manifest.csv"
    rows: dict[str, dict[str, str]] = {}
    if manifest.is_file():
        with manifest.open(newline="", encoding="utf-8-sig") as lines:
            rows = {row["file"]: row for row in csv.DictReader(lines)}
    files = sorted(p for p in folder.iterdir() if p.suffix.lower() in _SUFFIXES)
    return [(file, rows.get(file.name, {})) for file in files]


def read_scene(file: Path, row: Mapping[str, str]) -> Scene:
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
    return Scene(file.stem, torch.from_numpy(planes).half(), panorama)


def pack(scenes: list[Scene], target: Path, *, compression: int = 60) -> None:
    """Write scenes as one file; `compression` is JPEG 2000's rate in thousandths of raw size."""
    cv2 = _opencv()
    low, high = _LOG_RANGE
    tensors, index = {}, []
    for scene in scenes:
        rgb = scene.radiance[:3].float().permute(1, 2, 0).numpy()
        log = (np.log2(rgb + 2.0**low) - low) / (high + 1 - low)
        coded = np.round(log.clip(0, 1) * 65535).astype(np.uint16)
        flags = [cv2.IMWRITE_JPEG2000_COMPRESSION_X1000, compression]
        _, stream = cv2.imencode(".jp2", coded, flags)
        mask = (scene.radiance[3].numpy() > 0).astype(np.uint8)
        _, clipped = cv2.imencode(".png", mask)
        tensors[f"{scene.name}.jp2"] = torch.from_numpy(stream.reshape(-1))
        tensors[f"{scene.name}.clip"] = torch.from_numpy(clipped.reshape(-1))
        index.append({"name": scene.name, "panorama": scene.panorama})
    save_file(tensors, target, {"drht_pack": _PACK_VERSION, "scenes": json.dumps(index)})


def _from_pack(file: Path) -> Iterator[Scene]:
    low, high = _LOG_RANGE
    try:
        with safe_open(file, "pt") as store:
            metadata = store.metadata() or {}
            if metadata.get("drht_pack") != _PACK_VERSION:
                raise ReadError(f"{file}: not a pack of HDR scenes of version {_PACK_VERSION}")
            for entry in json.loads(metadata["scenes"]):
                coded = _decode(store.get_tensor(entry["name"] + ".jp2").numpy())
                rgb = np.exp2(coded / 65535 * (high + 1 - low) + low) - 2.0**low
                clipped = _decode(store.get_tensor(entry["name"] + ".clip").numpy())
                planes = np.concatenate([rgb.clip(0, 65504).transpose(2, 0, 1), clipped[None]])
                yield Scene(entry["name"], torch.from_numpy(planes).half(), entry["panorama"])
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        raise ReadError(f"{file}: not a pack of HDR scenes, or damaged ({error})") from error


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
