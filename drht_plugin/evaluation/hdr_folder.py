"""Folders of HDR images that items are rendered from."""

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
    """Read the HDR images of a folder, and collect those that cannot be read.

    Unlike `load_scenes`, it does not fail on a broken image, which costs only its own pictures.

    Args:
        folder: the folder.

    Returns:
        The images, and the errors of the others by file name.

    Raises:
        InputError: there is no such folder, or it has no HDR images.
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
    """Return the folder's name and a SHA-256 of its images, as JSON values.

    Args:
        folder: the folder.
    """
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


def raise_error(error: ReadError) -> NoReturn:
    """Raise an error; the `load` of an item that cannot be rendered.

    Args:
        error: the error.

    Raises:
        ReadError: `error`.
    """
    raise error


def to_image(batch: Tensor) -> FloatArray:
    """Convert the first picture of a batch to an array.

    Args:
        batch: B×C×H×W float32, on the CPU.

    Returns:
        H×W×C float32.
    """
    array: FloatArray = batch[0].permute(1, 2, 0).contiguous().numpy()
    return array


def to_codes(picture: FloatArray) -> npt.NDArray[np.uint8]:
    """Round display codes to 8 bits.

    Args:
        picture: codes of any shape; values outside 0..1 are clipped.

    Returns:
        uint8, of the same shape.
    """
    return np.rint(picture.clip(0, 1) * 255).astype(np.uint8)
