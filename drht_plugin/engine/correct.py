"""The calls on arrays: `correct`, `estimate_hdr` and `survey`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from drht_plugin.colour.spaces import Profile
from drht_plugin.engine.corrector import shared_corrector
from drht_plugin.engine.progress import ProgressCallback
from drht_plugin.engine.scene import Scene

Image = npt.NDArray[Any]


def correct(
    image: Any,
    *,
    strength: float = 1.0,
    shadows: float = 1.0,
    highlights: float = 1.0,
    detail: str = "auto",
    transfer: str = "srgb",
    orientation: int = 1,
    profile: Profile | None = None,
    wrap: bool = False,
    tile: int | None = None,
    model: str | Path = "default",
    device: str = "auto",
    threads: int | None = None,
    out: Image | None = None,
    progress: ProgressCallback | None = None,
) -> Image:
    """Correct an over- or under-exposed picture.

    Args:
        image: a numpy array or memmap, H×W or H×W×C: gray, gray + alpha, RGB or RGB + alpha
            (C = 1…4) of uint8, uint16, float16 or float32. Integers and floats are
            display-encoded, white at the integer's maximum or 1.0; what lies above white in a
            float picture is added to what white becomes, so that highlights keep their order.
        strength: how much of the correction is applied, 0..1; 0 gives the input bit for bit.
        shadows: how much of the lift is applied where the picture gets brighter, 0..1.
        highlights: how much of the recovery is applied where it gets darker, 0..1.
        detail: "guided": detail from the input, tone from the networks; "network": a network at
            full resolution mends noise, code steps and coding losses of what is lifted, at some
            fifty times the cost; "auto" is guided: where lifted noise shows, see
            `Scene.lifted_noise`, the other is worth its time.
        transfer: "linear" for scene-linear values.
        orientation: how the picture is stored, 1 to 8 as in EXIF; the networks see it upright. The
            result is stored as the picture is.
        profile: bytes of an ICC profile, of RGB or gray as the picture is, or `Cicp` code points:
            what the values stand for. None is sRGB. The networks see the picture in sRGB; the
            result is in the picture's own space. Of linear values it gives the primaries.
        wrap: a 360° panorama, whose left and right edges meet; of an orientation up to 4.
        tile: in network detail, the side in pixels of what the network sees at once (memory goes
            with its square); in guided detail, rows that are worked on at once.
        model: "default", or a .safetensors file with its .json beside it.
        device: "auto", "cpu", "cuda", "cuda:N" or "mps".
        threads: CPU threads; None takes all cores.
        out: array of the image's shape and dtype for the result; may not overlap the image.
        progress: called with the share that is done, 0..1, from the calling thread; what it
            raises stops the work.

    Returns:
        The corrected picture, of the same shape and dtype; alpha is untouched.

    Raises:
        InputError: an image or argument outside the above; NaN or infinity in the image.
        WeightsError: damaged weights.
    """
    return shared_corrector(model, device, threads).correct(
        image,
        strength=strength,
        shadows=shadows,
        highlights=highlights,
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
    progress: ProgressCallback | None = None,
) -> npt.NDArray[np.float32]:
    """The scene's radiance, as the first network estimates it.

    Args and errors are those of `correct`.

    Returns:
        H×W×3 (H×W×1 or H×W for gray) float32, scene-linear, of the profile's primaries; 1.0 is
        the radiance at which the input clips, what was clipped lies above, up to 64.
    """
    return shared_corrector(model, device, threads).estimate_hdr(
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
    progress: ProgressCallback | None = None,
) -> Scene:
    """Look at the whole image once: what `render` needs to correct any part of it.

    Args and errors are those of `correct`; the image may be anything with shape, dtype and row
    slices `image[top:bottom:step]` that give numpy arrays.
    """
    corrector = shared_corrector(model, device, threads)
    return corrector.survey(
        image,
        transfer=transfer,
        orientation=orientation,
        profile=profile,
        wrap=wrap,
        progress=progress,
    )
