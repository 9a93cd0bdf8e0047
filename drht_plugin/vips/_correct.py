"""`correct` and `survey` for libvips images."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Unpack

import pyvips

from drht_plugin.engine.corrector import Corrector
from drht_plugin.engine.pixels import spec_of
from drht_plugin.engine.plan import require_detail, resolve_detail
from drht_plugin.engine.scene import Scene, require_scene
from drht_plugin.engine.strength import RANGES, Controls, Strength
from drht_plugin.engine.weigh import shared_correctors
from drht_plugin.errors import InputError
from drht_plugin.libvips.lazy import link_kill_flag
from drht_plugin.orientation import require_orientation
from drht_plugin.vips._coding import ValueCoding, as_rgb, coding_of, with_stated_profile
from drht_plugin.vips._metadata import without_old_picture
from drht_plugin.vips._render import GuidedTiles, NetworkTiles, Observer, Renderer, render_lazily
from drht_plugin.vips._survey import (
    Opener,
    Rows,
    is_sequential,
    opener_of,
    opener_once,
    shared_survey,
)


def correct(
    image: pyvips.Image,
    *,
    detail: str = "auto",
    transfer: str | None = None,
    wrap: bool = False,
    model: str | Path = "default",
    device: str = "auto",
    backend: str = "auto",
    scene: Scene | None = None,
    observe: Observer | None = None,
    **controls: Unpack[Controls],
) -> pyvips.Image:
    """Return a lazy image that is corrected when its pixels are asked for.

    Nothing is computed in this call. The first request for pixels surveys the whole image, once
    for all corrections of it. Each tile is then rendered on demand, on libvips' threads.

    In guided detail the result equals `drht_plugin.correct` of the same values, bit for bit. The
    exception is a JPEG or TIFF pyramid of 2²⁸ pixels or more that has just been opened: as in
    `drht correct`, a smaller copy of it is surveyed.

    Args:
        image: gray or RGB, with or without alpha, of uchar, ushort, float or double. Integers, and
            values that a profile describes, are corrected without conversion. White of floats is 1
            in scRGB and multiband images. As elsewhere in libvips, it is 255 in sRGB, RGB and B_W
            images, 65535 in RGB16 and GREY16 ones. LAB, XYZ, HSV and similar spaces are corrected
            in scRGB and converted back. A sequential image must be a file that has just been
            opened, which is then read twice. The networks see the image upright and in sRGB,
            according to its fields `orientation` and `icc-profile-data`.
        detail: see `drht_plugin.correct`. In network detail, pixels may differ from it by one
            code, as the tiles lie elsewhere.
        transfer: "srgb" or "linear"; None means linear for scRGB, and display-encoded otherwise.
        wrap: whether the image is a 360° panorama, whose left and right edges meet; its
            orientation must be 4 or less.
        model: see `drht_plugin.correct`.
        device: see `drht_plugin.correct`.
        backend: see `drht_plugin.correct`.
        scene: of this image, from `survey`. Its transfer, wrap, model and device replace the
            arguments.
        observe: called with each region when it has been rendered, on the thread that rendered it.
        controls: strength, shadows, highlights, exposure, temperature, tint, denoise and preset, as
            in `drht_plugin.correct`.

    Returns:
        An image of the same size, bands, format, interpretation and metadata, without what shows
        or claims the picture as it was: thumbnails, gain maps.

    Raises:
        InputError: the image or an argument is not accepted. Later errors, such as NaN in the
            image, end the sink with a `pyvips.Error` that says so; `run` raises the original.

    Warns:
        DrhtWarning: the image's profile cannot be used, so sRGB is assumed.
    """
    applied = Strength.of(**controls)
    detail = resolve_detail(detail)
    if scene is not None:
        require_scene(scene)
    rgb, back = as_rgb(_require_image(image))
    coding = coding_of(rgb, _transfer_of(scene, transfer))
    correctors = shared_correctors(model, device, None, backend)
    corrector = correctors.for_work(image.width * image.height, detail)
    if scene is None:
        require_orientation(coding.orientation, wrap=wrap)
        get_scene = shared_survey(image, coding, wrap=wrap, corrector=corrector).scene
    else:
        _require_scene_of(rgb, coding, scene)
        wrap = scene.wrap

        def get_scene() -> Scene:
            return scene

    if applied.keeps_all:
        return without_old_picture(with_stated_profile(image)).copy()
    has_detail = corrector.has_detail  # raises for an unknown model, before any pixel is computed
    if detail == "guided":
        renderer: Renderer = GuidedTiles(
            get_scene,
            coding,
            applied,
            observe,
            corrector.window_renderer("guided"),
            is_sequential(rgb),
        )
    else:
        if not has_detail:
            _ = corrector.detail_runners  # raises an error that says what is missing
        renderer = NetworkTiles(get_scene, coding, applied, observe, corrector, wrap)
    rendered = render_lazily(renderer, without_old_picture(with_stated_profile(rgb)))
    result = back(rendered)
    link_kill_flag(rendered, result)
    return result


def survey(
    image: pyvips.Image,
    *,
    transfer: str | None = None,
    wrap: bool = False,
    model: str | Path = "default",
    device: str = "auto",
    backend: str = "auto",
) -> Scene:
    """Survey the whole image now.

    Args:
        image: see `correct`. A sequential image that is not a file just opened is read, and cannot
            be read again.
        transfer: see `correct`.
        wrap: see `correct`.
        model: see `drht_plugin.correct`.
        device: see `drht_plugin.correct`.
        backend: see `drht_plugin.correct`.

    Returns:
        The scene, for `correct` with this image or a copy of it.

    Raises:
        InputError: the image or an argument is not accepted, or there is NaN in the image.

    Warns:
        DrhtWarning: the image's profile cannot be used, so sRGB is assumed.
    """
    rgb, _ = as_rgb(_require_image(image))
    coding = coding_of(rgb, transfer)
    # Surveying a panorama takes more than one pass.
    open_ = opener_of(image) if wrap else opener_once(image)
    correctors = shared_correctors(model, device, None, backend)
    corrector = correctors.for_work(image.width * image.height)
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
    preset: str | None = None,
    detail: str = "auto",
    transfer: str | None = None,
    wrap: bool = False,
    model: str | Path = "default",
    device: str = "auto",
    backend: str = "auto",
    **others: Any,
) -> None:
    """Check an image and settings as `correct` does, without making an image.

    Args:
        image: see `correct`.
        preset: see `correct`.
        detail: see `correct`.
        transfer: see `correct`.
        wrap: see `correct`.
        model: see `correct`.
        device: see `correct`.
        backend: see `correct`.
        others: further arguments of `correct`, of which the controls of `Strength` are checked.

    Raises:
        InputError: the image or a setting is not accepted.
    """
    Strength.of(preset, **{name: others.get(name) for name in RANGES})
    require_detail(detail)
    Corrector(model=model, device=device, backend=backend)  # refuses others
    require_orientation(coding_of(as_rgb(image)[0], transfer).orientation, wrap=wrap)


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
