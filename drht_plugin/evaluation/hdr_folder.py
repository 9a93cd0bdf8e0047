"""A folder of HDR images, as what is measured on is shot from it."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
import numpy.typing as npt

from drht_plugin.errors import InputError, ReadError
from drht_plugin.evaluation.datasets import FloatArray

if TYPE_CHECKING:
    from torch import Tensor

    from drht_plugin.virtual_camera import HdrImage


def read_scenes(folder: Path) -> tuple[list[HdrImage], dict[str, ReadError]]:
    """The scenes that can be read, and by file name why the others cannot.

    One by one, where `load_scenes` gives all or nothing: a broken image costs its pictures alone.

    Raises:
        InputError: no such folder, or no HDR images in it.
    """
    from drht_plugin.training.scenes import read_scene

    scenes, broken = [], {}
    for file, row in _files(folder):
        try:
            scenes.append(read_scene(file, row))
        except ReadError:
            broken[file.name] = ReadError(f"{file.name}: cannot be read as an RGB image")
    return scenes, broken


def describe(folder: Path) -> dict[str, Any]:
    """Folder name, and a digest of the images."""
    digest = hashlib.sha256()
    for file, _ in _files(folder):
        digest.update(file.name.encode() + hashlib.sha256(file.read_bytes()).digest())
    return {"hdr": folder.name, "sha256": digest.hexdigest()}


def _files(folder: Path) -> list[tuple[Path, dict[str, str]]]:
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder of HDR images")
    from drht_plugin.training.scenes import image_files

    files = image_files(folder)
    if not files:
        raise InputError(f"{folder}: no HDR images; expected .exr or .hdr files")
    return files


def fail(error: ReadError) -> NoReturn:
    """What loads an item that cannot be made."""
    raise error


def planes(batch: Tensor) -> FloatArray:
    """The first picture of B×C×H×W, as H×W×C."""
    array: FloatArray = batch[0].permute(1, 2, 0).contiguous().numpy()
    return array


def to_codes(picture: FloatArray) -> npt.NDArray[np.uint8]:
    """Display codes in 0..1 as 8 bits."""
    return np.rint(picture.clip(0, 1) * 255).astype(np.uint8)
