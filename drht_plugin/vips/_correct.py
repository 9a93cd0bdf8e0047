"""`correct` and `survey` for libvips images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyvips

from drht_plugin.engine.corrector import shared_corrector
from drht_plugin.engine.pixels import spec_of
from drht_plugin.engine.plan import require_detail, resolve_detail
from drht_plugin.engine.scene import Scene
from drht_plugin.engine.strength import Strength
from drht_plugin.errors import InputError
from drht_plugin.libvips.lazy import set_result
from drht_plugin.orientation import require_orientation
from drht_plugin.vips._coding import ValueCoding, as_rgb, coding_of
from drht_plugin.vips._render import GuidedTiles, NetworkTiles, Observer, Renderer, rendered_by
from drht_plugin.vips._survey import (
    Opener,
    Rows,
    is_sequential,
    reader,
    reader_once,
    shared_survey,
)


def correct(
    image: pyvips.Image,
    *,
    strength: float = 1.0,
    shadows: float = 1.0,
    highlights: float = 1.0,
    detail: str = "auto",
    transfer: str | None = None,
    wrap: bool = False,
    model: str | Path = "default",
    device: str = "auto",
    scene: Scene | None = None,
    observe: Observer | None = None,
) -> pyvips.Image:
    """A lazy image: `image`, corrected where and when its pixels are asked for.

    Nothing is computed here. With the first pixels the whole image is surveyed, once for all
    corrections of it; then each tile is rendered when it is asked for, on libvips' threads. The
    pixels are those that `drht_plugin.correct` makes of the same values, bit for bit; but for a
    JPEG or a TIFF pyramid of 2²⁸ pixels or more, a file just opened, which is surveyed by a smaller
    copy, as by `drht correct`.

    Args:
        image: gray or RGB, with or without alpha, of uchar, ushort, float or double. Integers and
            the values of a profile are taken as coded. White of floats is 1 in scRGB and
            multiband images, and as elsewhere in libvips 255 in sRGB, RGB and B_W ones, 65535 in
            RGB16 and GREY16. LAB, XYZ, HSV and their kin are corrected in scRGB and come back.
            A sequential image must be a file just opened, which is then read twice. The networks
            see it upright and in sRGB, by its fields `orientation` and `icc-profile-data`.
        strength, shadows, highlights, detail, model, device: see `drht_plugin.correct`. In
            network detail the tiles are the network's, and pixels may differ by one code.
        transfer: "srgb" or "linear"; None takes scRGB for linear and all else for display-encoded.
        wrap: a 360° panorama, whose left and right edges meet; of an orientation up to 4.
        scene: of this image, from `survey`; then transfer, wrap, model and device are its own.
        observe: called with each region as it is rendered, on the thread that rendered it.

    Returns:
        An image of the same size, bands, format, interpretation and metadata.

    Raises:
        InputError: an image or argument outside the above. What goes wrong later, such as NaN in
            the image, ends the sink with a `pyvips.Error` that says so; `run` raises the original.

    Warns:
        DrhtWarning: the image's profile cannot be used, and it is taken for sRGB.
    """
    applied = Strength(strength, shadows, highlights)
    detail = resolve_detail(detail)
    rgb, back = as_rgb(_require_image(image))
    coding = coding_of(rgb, _transfer_of(scene, transfer))
    corrector = shared_corrector(model, device, None)
    if scene is None:
        require_orientation(coding.orientation, wrap=wrap)
        make_scene = shared_survey(image, coding, wrap=wrap, corrector=corrector).scene
    else:
        _require_scene_of(rgb, coding, scene)
        wrap = scene.wrap

        def make_scene() -> Scene:
            return scene

    if applied.strength == 0:
        return image.copy()
    has_detail = corrector.has_detail  # also refuses, before any pixel is asked for, no such model
    if detail == "guided":
        renderer: Renderer = GuidedTiles(make_scene, coding, applied, observe, is_sequential(rgb))
    else:
        if not has_detail:
            _ = corrector.detail_runner  # says what is missing
        renderer = NetworkTiles(make_scene, coding, applied, observe, corrector, wrap)
    rendered = rendered_by(renderer, rgb)
    result = back(rendered)
    set_result(rendered, result)
    return result


def survey(
    image: pyvips.Image,
    *,
    transfer: str | None = None,
    wrap: bool = False,
    model: str | Path = "default",
    device: str = "auto",
) -> Scene:
    """Look at the whole image now; the scene serves `correct` for this image or a copy of it.

    Args and errors are those of `correct`. The pixels of a sequential image that is not a file just
    opened are used up.
    """
    rgb, _ = as_rgb(_require_image(image))
    coding = coding_of(rgb, transfer)
    # A panorama is read more than once.
    open_ = reader(image) if wrap else reader_once(image)
    corrector = shared_corrector(model, device, None)
    require_orientation(coding.orientation, wrap=wrap)
    return corrector.survey(
        Rows(open_, coding),
        transfer=coding.transfer,
        orientation=coding.orientation,
        profile=coding.profile,
        wrap=wrap,
    )


def require_settings(
    image: pyvips.Image,
    *,
    strength: float = 1.0,
    shadows: float = 1.0,
    highlights: float = 1.0,
    detail: str = "auto",
    transfer: str | None = None,
    **_others: Any,
) -> None:
    """Refuse what `correct` would refuse, without making anything.

    Raises:
        InputError: as `correct`.
    """
    Strength(strength, shadows, highlights)
    require_detail(detail)
    coding_of(as_rgb(image)[0], transfer)


def _require_image(image: Any) -> pyvips.Image:
    if not isinstance(image, pyvips.Image):
        raise InputError(f"the image is a {type(image).__name__}; expected a pyvips.Image")
    return image


def _transfer_of(scene: Scene | None, transfer: str | None) -> str | None:
    if scene is None:
        return transfer
    return "linear" if scene.spec.linear else "srgb"


def _require_scene_of(rgb: pyvips.Image, coding: ValueCoding, scene: Scene) -> None:
    given = spec_of(Rows(Opener(lambda: rgb), coding), coding.transfer)
    if given != scene.spec:
        raise InputError(f"the image is {given}; the scene is that of {scene.spec}")
