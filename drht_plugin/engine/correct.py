"""The calls on arrays: `correct`, `estimate_hdr` and `survey`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from drht_plugin.colour.spaces import Profile
from drht_plugin.engine.progress import ProgressCallback
from drht_plugin.engine.scene import Scene
from drht_plugin.engine.weigh import count_pixels, shared_correctors

Image = npt.NDArray[Any]


def correct(
    image: Any,
    *,
    strength: float | None = None,
    shadows: float | None = None,
    highlights: float | None = None,
    exposure: float | None = None,
    temperature: float | None = None,
    tint: float | None = None,
    denoise: float | None = None,
    preset: str | None = None,
    detail: str = "auto",
    transfer: str = "srgb",
    orientation: int = 1,
    profile: Profile | None = None,
    wrap: bool = False,
    tile: int | None = None,
    model: str | Path = "default",
    device: str = "auto",
    threads: int | None = None,
    backend: str = "auto",
    out: Image | None = None,
    progress: ProgressCallback | None = None,
) -> Image:
    """Correct an over- or under-exposed picture.

    Args:
        image: numpy array or memmap, H×W or H×W×C: gray, gray + alpha, RGB or RGB + alpha (C =
            1…4), of uint8, uint16, float16 or float32. Values are display-encoded unless `transfer`
            says otherwise; white is the integer's maximum, or 1.0. What lies above white in a float
            picture is added to what white becomes, so that highlights keep their order.
        strength: share of the correction that is applied, 0..2, 1 by default; 0 returns the input
            bit for bit. What is above 1 counts by the room that is left to white or black.
        shadows: share of it that is applied where the picture gets brighter, 0..1, 1 by default.
        highlights: share of it that is applied where the picture gets darker, 0..1, 1 by default.
        exposure: EV that the result is made brighter by, −3..3, 0 by default; in linear light, of
            the profile's curve or sRGB's. Integers are compressed towards white rather than
            clipped; floats keep what lies above white.
        temperature: how much warmer the result is made, in mired, −100..100, 0 by default; below 0
            cooler. Gray keeps its luminance, and gray pictures stay gray.
        tint: how much more magenta the result is made, −100..100, 0 by default; below 0 greener.
        denoise: factor of the noise that the detail network is told, 0..2, 1 by default: more
            removes more noise and more fine detail. Only in network detail.
        preset: values of the above by name: "natural" is strength 0.7, "strong" is strength 1.5,
            "shadows-only" is highlights 0. A value that is given counts instead of the preset's.
        detail: "guided" takes detail from the input and tone from the networks. "network" runs a
            network at full resolution, which removes lifted noise, code steps and compression
            losses at about fifty times the cost; it is worth its time where lifted noise shows, see
            `Scene.lifted_noise`. "auto" is guided; on an accelerator it is network where 2 of 255
            codes of noise or more are lifted, since that costs little there.
        transfer: "srgb" for display-encoded values, "linear" for scene-linear ones.
        orientation: how the picture is stored, 1 to 8 as in EXIF; the networks see it upright. The
            result is stored like the picture.
        profile: colour space of the values: bytes of an ICC profile (RGB or gray, as the picture),
            or `Cicp` code points. None is sRGB. The networks see the picture in sRGB; the result is
            in the picture's own space. For linear values it gives the primaries.
        wrap: whether it is a 360° panorama, whose left and right edges meet; only with an
            orientation of 1 to 4.
        tile: in network detail, side in pixels of the tiles that the network sees (memory grows
            with its square); in guided detail, rows that are computed at once.
        model: "default", or a .safetensors file with its .json beside it.
        device: "cpu", "cuda" (all of the machine's), "cuda:N" or "mps", or several with commas
            between them, which take bands in turn. "auto" is the machine's accelerator once there
            is more work than its start is worth, and the CPU before; the two may differ by a code.
        threads: CPU threads; None takes all cores.
        backend: what computes each pixel: "numba" on the CPU, "torch" on the device. "auto" takes
            torch on an accelerator and numba elsewhere.
        out: array for the result, of the image's shape and dtype; must not overlap the image.
        progress: called from the calling thread with the share that is done, 0..1; an exception
            that it raises stops the work.

    Returns:
        The corrected picture, with the shape and dtype of the image; alpha is copied.

    Raises:
        InputError: an image or argument that is not accepted; NaN or infinity in the image.
        WeightsError: damaged weights.
    """
    correctors = shared_correctors(model, device, threads, backend)
    return correctors.for_work(count_pixels(image), detail).correct(
        image,
        strength=strength,
        shadows=shadows,
        highlights=highlights,
        exposure=exposure,
        temperature=temperature,
        tint=tint,
        denoise=denoise,
        preset=preset,
        detail=detail,
        transfer=transfer,
        orientation=orientation,
        profile=profile,
        wrap=wrap,
        tile=tile,
        out=out,
        progress=progress,
    )


def estimate_hdr(
    image: Any,
    *,
    transfer: str = "srgb",
    orientation: int = 1,
    profile: Profile | None = None,
    wrap: bool = False,
    model: str | Path = "default",
    device: str = "auto",
    threads: int | None = None,
    backend: str = "auto",
    progress: ProgressCallback | None = None,
) -> npt.NDArray[np.float32]:
    """Estimate the scene's HDR radiance from a picture, by the first network.

    Args:
        image: see `correct`.
        transfer: see `correct`.
        orientation: see `correct`.
        profile: see `correct`.
        wrap: see `correct`.
        model: see `correct`.
        device: see `correct`.
        threads: see `correct`.
        backend: see `correct`.
        progress: see `correct`.

    Returns:
        H×W×3 float32 (H×W×1 or H×W for gray), scene-linear, in the profile's primaries. 1.0 is the
        radiance at which the input clips; clipped light lies above, up to 64.

    Raises:
        InputError: an image or argument that is not accepted; NaN or infinity in the image.
        WeightsError: damaged weights.
    """
    correctors = shared_correctors(model, device, threads, backend)
    return correctors.for_work(count_pixels(image)).estimate_hdr(
        image,
        transfer=transfer,
        orientation=orientation,
        profile=profile,
        wrap=wrap,
        progress=progress,
    )


def survey(
    image: Any,
    *,
    transfer: str = "srgb",
    orientation: int = 1,
    profile: Profile | None = None,
    wrap: bool = False,
    model: str | Path = "default",
    device: str = "auto",
    threads: int | None = None,
    backend: str = "auto",
    progress: ProgressCallback | None = None,
) -> Scene:
    """Survey the whole image once, so that any part of it can be rendered.

    Args:
        image: see `correct`; it may be anything with shape, dtype and row slices
            `image[top:bottom:step]` that give numpy arrays.
        transfer: see `correct`.
        orientation: see `correct`.
        profile: see `correct`.
        wrap: see `correct`.
        model: see `correct`.
        device: see `correct`.
        threads: see `correct`.
        backend: see `correct`.
        progress: see `correct`.

    Returns:
        The scene, which `render` takes.

    Raises:
        InputError: an image or argument that is not accepted; NaN or infinity in the image.
        WeightsError: damaged weights.
    """
    correctors = shared_correctors(model, device, threads, backend)
    return correctors.for_work(count_pixels(image)).survey(
        image,
        transfer=transfer,
        orientation=orientation,
        profile=profile,
        wrap=wrap,
        progress=progress,
    )
