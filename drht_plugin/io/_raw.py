"""Read camera raw with rawpy (LibRaw), as display pictures whose highlights are rolled off."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drht_plugin.errors import first_line
from drht_plugin.extras import import_extra
from drht_plugin.io._decoders import require_room
from drht_plugin.io._develop import Sensor, develop
from drht_plugin.io._errors import CodecError, UnsupportedError
from drht_plugin.io._pixels import Pixels
from drht_plugin.io._rows import Reader
from drht_plugin.io.metadata import ifd, raw
from drht_plugin.io.metadata.types import Carrier

_XYZ_TO_SRGB = np.linalg.inv(
    [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ]
)
_SATURATES_FROM = 0.9
"""Share of the nominal white level from which the greatest value is taken for the sensor's own.

LibRaw's usual 0.75 would make a picture brighter that does not reach white."""


def reader(path: Path, name: str, buffer: ifd.Buffer) -> tuple[Reader, Carrier]:
    """Open and develop a file; see `_picture.Backend`.

    Raises:
        CodecError: the file is damaged.
        UnsupportedError: LibRaw does not read this camera's files.
        DependencyError: rawpy is not installed.
    """
    with _opened(path) as (rawpy, file):
        sizes = file.sizes
        require_room("raw", (sizes.raw_height, sizes.raw_width, 1), 2)
        pixels, headroom = _developed(rawpy, file)
        metadata = raw.parse(buffer, _preview_of(rawpy, file))
    return DevelopedReader(pixels), Carrier(name, metadata, headroom=headroom)


def shape_of(path: Path) -> tuple[int, int, int]:
    """Return the H×W×C of a file's picture, uint16, without developing it.

    Raises:
        CodecError, UnsupportedError, DependencyError: see `reader`.
    """
    with _opened(path) as (_, file):
        # Of a picture that is stored on its side, these are the upright one's exchanged.
        return file.sizes.height, file.sizes.width, 1 if file.num_colors == 1 else 3


@contextmanager
def _opened(path: Path) -> Iterator[tuple[Any, Any]]:
    """Open a file with rawpy: its module and the file. Name what LibRaw says; see `reader`."""
    rawpy = import_extra("rawpy", "raw", "camera raw files")
    try:
        with rawpy.imread(str(path)) as file:
            yield rawpy, file
    except rawpy.LibRawFileUnsupportedError as error:
        raise UnsupportedError(
            "is a camera raw picture of a kind that LibRaw does not read"
        ) from error
    except rawpy.LibRawError as error:
        words = error.args[0] if error.args else error
        text = words.decode(errors="replace") if isinstance(words, bytes) else str(words)
        raise CodecError(first_line(text)) from error


def _developed(rawpy: Any, file: Any) -> tuple[Pixels, float]:
    """Return a file's display picture, upright, and its headroom."""
    common = {
        "gamma": (1, 1),
        "no_auto_bright": True,
        "output_bps": 16,
        "use_camera_wb": True,
        "adjust_maximum_thr": _SATURATES_FROM,
    }
    if file.num_colors == 3:
        values = file.postprocess(
            output_color=rawpy.ColorSpace.raw, highlight_mode=rawpy.HighlightMode.Ignore, **common
        )
        clips = _clips(file)
        if values.ndim == 3 and values.shape[2] == 3:
            least = min(clips)
            sensor = Sensor(tuple(clip / least for clip in clips), _to_srgb(file))
            return develop(np.ascontiguousarray(values), 65535 * least / max(clips), sensor)
    # One colour, or four: there is nothing that a channel tells of another.
    values = file.postprocess(
        output_color=rawpy.ColorSpace.sRGB, highlight_mode=rawpy.HighlightMode.Clip, **common
    )
    if file.num_colors == 1 and values.ndim == 3:
        values = values[..., :1]
    values = np.ascontiguousarray(values if values.ndim == 3 else values[..., None])
    neutral = Sensor((1.0,) * values.shape[2], np.eye(values.shape[2]))
    return develop(values, 65535.0, neutral)


def _clips(file: Any) -> list[float]:
    """Return what LibRaw multiplies red, green and blue by, which is where they clip."""
    for balance in (file.camera_whitebalance, file.daylight_whitebalance):
        factors = [float(factor) for factor in balance[:3]]
        if all(math.isfinite(factor) and factor > 0 for factor in factors):
            return factors
    return [1.0, 1.0, 1.0]


def _to_srgb(file: Any) -> NDArray[np.float64]:
    """Return the matrix from the camera's white-balanced colours to linear sRGB, as LibRaw does."""
    from_xyz = np.asarray(file.rgb_xyz_matrix, np.float64)[:3]
    if from_xyz.any():
        from_srgb = from_xyz @ np.linalg.inv(_XYZ_TO_SRGB)
        from_srgb /= from_srgb.sum(1, keepdims=True)
        return np.linalg.inv(from_srgb).astype(np.float64)
    matrix = np.asarray(file.color_matrix, np.float64)[:3, :3]
    return matrix if matrix.any() else np.eye(3)


def _preview_of(rawpy: Any, file: Any) -> Callable[[], bytes | None]:
    """Return a function that extracts the JPEG that a file brings, whose EXIF is the camera's."""

    def extract() -> bytes | None:
        try:
            preview = file.extract_thumb()
        except (rawpy.LibRawError, ValueError):
            return None
        return bytes(preview.data) if preview.format == rawpy.ThumbFormat.JPEG else None

    return extract


class DevelopedReader:
    """Reader of the rows of pixels in memory; see `_rows.Reader`."""

    def __init__(self, pixels: Pixels) -> None:
        height, width, channels = pixels.shape
        self._pixels: Pixels | None = pixels
        self.shape, self.dtype = (height, width, channels), pixels.dtype

    def read(self, top: int, bottom: int, step: int) -> Pixels:
        """Return rows ``top:bottom:step``."""
        if self._pixels is None:
            raise CodecError("it is closed")
        return self._pixels[top:bottom:step].copy()

    def close(self) -> None:
        """Give the memory back."""
        self._pixels = None
