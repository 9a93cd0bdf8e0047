"""Pictures and windows to draw, and a stand-in for the networks that is quick and exact."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import numpy.typing as npt
from hypothesis import strategies as st

from drht_plugin import Corrector
from drht_plugin.model.runner import Runner

Image = npt.NDArray[Any]
FloatArray = npt.NDArray[np.float32]

DTYPES = ("uint8", "uint16", "float16", "float32")
LUMA = np.array([0.2126, 0.7152, 0.0722], np.float32)

dtypes = st.sampled_from(DTYPES)
channel_counts = st.sampled_from([None, 1, 2, 3, 4])
sizes = st.one_of(
    st.sampled_from([(1, 1), (1, 17), (23, 1), (1, 5000), (5000, 1)]),
    st.tuples(st.integers(1, 70), st.integers(1, 70)),
)
seeds = st.integers(0, 1 << 16)


def picture(
    height: int,
    width: int,
    channels: int | None = 3,
    dtype: str = "float32",
    seed: int = 0,
    span: tuple[float, float] = (0.0, 1.0),
) -> Image:
    """A ramp from dark to bright with noise, in `span` of display codes; alpha holds zeros."""
    random = np.random.default_rng(seed)
    shape = (height, width, channels or 1)
    ramp = np.linspace(0, 1, width)[None, :, None] * np.linspace(0.3, 1, height)[:, None, None]
    values = np.clip(0.8 * ramp + 0.3 * random.random(shape) - 0.05, 0, 1)
    values = span[0] + values * (span[1] - span[0])
    if channels in (2, 4):
        values[..., -1] = random.integers(0, 3, (height, width)) / 2
    image = quantised(values, dtype)
    return image[..., 0].copy() if channels is None else image


def quantised(values: npt.NDArray[Any], dtype: str) -> Image:
    """Display codes in 0..1 as an image of the dtype."""
    kind = np.dtype(dtype)
    if kind.kind == "u":
        values = np.rint(values * np.iinfo(kind).max)
    return values.astype(kind)


def display(image: Image) -> npt.NDArray[np.float64]:
    """An image's values as display codes, white at 1."""
    white = np.iinfo(image.dtype).max if image.dtype.kind == "u" else 1
    return image.astype(np.float64) / white


def luma(image: Image) -> npt.NDArray[np.float64]:
    """Luma of H×W×3 display codes."""
    return display(image)[..., :3] @ LUMA.astype(np.float64)


def blurred(plane: FloatArray, radius: int) -> FloatArray:
    """Mean over a square window, held at the borders."""
    for axis in (0, 1):
        pads = [(0, 0)] * plane.ndim
        pads[axis] = (radius + 1, radius)
        sums = np.pad(plane.astype(np.float64), pads, mode="edge").cumsum(axis)
        count = 2 * radius + 1
        length = plane.shape[axis]
        upper = sums.take(range(count, count + length), axis)
        lower = sums.take(range(length), axis)
        plane = ((upper - lower) / count).astype(np.float32)
    return plane


class StubNetworks:
    """y and T as local curves of the input: lifts what is dark around, lowers what is bright.

    White comes out below white; gray stays gray.
    """

    def __call__(self, ldr: FloatArray, _known: object = None) -> tuple[FloatArray, FloatArray]:
        """Overview h×w×3 to y and T."""
        around = blurred(ldr @ LUMA, 16)[..., None]
        y = ldr * (1 + np.float32(0.5) * ldr**8)
        corrected = np.float32(0.95) * ldr ** (np.float32(0.4) + around)
        return y, corrected


class PlainNetworks:
    """y is the input itself, and so is T."""

    def __call__(self, ldr: FloatArray, _known: object = None) -> tuple[FloatArray, FloatArray]:
        """Overview h×w×3 to y and T."""
        return ldr.copy(), ldr.copy()


def corrector(networks: Any = None, threads: int | None = None) -> Corrector:
    """A corrector that asks `networks` instead of the shipped weights."""
    made = Corrector(threads=threads)
    vars(made)["runner"] = cast(Runner, networks or StubNetworks())
    return made


def same(a: Image, b: Image) -> bool:
    """Equal in shape, type and every bit."""
    return a.shape == b.shape and a.dtype == b.dtype and a.tobytes() == b.tobytes()
