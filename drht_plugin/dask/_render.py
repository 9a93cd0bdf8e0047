"""Correct blocks of an image that is being surveyed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
import numpy.typing as npt

from drht_plugin.bridge.sharing import limit_threads
from drht_plugin.colour.spaces import Profile
from drht_plugin.dask._arrays import at_least, checked, import_dask, with_channels
from drht_plugin.dask._settings import Settings, shared_renderer
from drht_plugin.dask._survey import survey
from drht_plugin.engine.pixels import plain_array
from drht_plugin.engine.plan import resolve_detail
from drht_plugin.engine.render.network.network_bands import tile_step
from drht_plugin.engine.render.network.windows import TILE, NetworkRenderer, require_tile
from drht_plugin.engine.scene import Scene, require_scene, require_surveyed
from drht_plugin.engine.strength import FULL, Controls, Strength, require_strength
from drht_plugin.engine.survey.fit_grid import radiance_grid
from drht_plugin.engine.tone_grid import ToneGrid
from drht_plugin.errors import InputError
from drht_plugin.geometry import Region, Window

if TYPE_CHECKING:
    from dask.array import Array
    from dask.delayed import Delayed

Image = npt.NDArray[Any]

_LEAST_BLOCK = 256
"""Least height and width of a block in network detail, in pixels: a smaller one is mostly halo."""


def correct(
    image: Array,
    *,
    detail: str = "auto",
    transfer: str = "srgb",
    orientation: int = 1,
    profile: Profile | None = None,
    wrap: bool = False,
    tile: int | None = None,
    model: str | Path = "default",
    device: str = "auto",
    backend: str = "auto",
    **controls: Unpack[Controls],
) -> Array:
    """Correct a picture lazily; see `drht_plugin.correct`.

    Args:
        image: dask array H×W or H×W×C in any chunks, of the dtypes that `drht_plugin.correct`
            takes. A chunk is read by the survey if it holds rows that the survey needs, and once
            more by the rendering.
        detail: see `drht_plugin.correct`; "auto" is guided.
        transfer: see `drht_plugin.correct`.
        orientation: see `drht_plugin.correct`.
        profile: see `drht_plugin.correct`.
        wrap: see `drht_plugin.correct`.
        tile: in network detail, side in pixels of the tiles that the network sees.
        model: see `drht_plugin.correct`; a file must be there for every worker.
        device: see `drht_plugin.correct`; of each worker.
        backend: see `drht_plugin.correct`.
        controls: strength, shadows, highlights, exposure, temperature, tint, denoise and preset, as
            in `drht_plugin.correct`.

    Returns:
        The corrected picture, a dask array of the same shape and dtype. Its chunks are the image's,
        but whole in channels, and of 256 pixels at least in network detail.

    Raises:
        InputError: an array or argument that is not accepted. NaN or infinity in the image is found
            when the result is computed.
        DependencyError: dask is not installed.
    """
    scene = survey(
        image,
        transfer=transfer,
        orientation=orientation,
        profile=profile,
        wrap=wrap,
        model=model,
        device=device,
        backend=backend,
    )
    return render(
        scene,
        image,
        strength=Strength.of(**controls),
        detail=detail,
        wrap=wrap,
        tile=tile,
        model=model,
        device=device,
        backend=backend,
    )


def estimate_hdr(
    image: Array,
    *,
    transfer: str = "srgb",
    orientation: int = 1,
    profile: Profile | None = None,
    wrap: bool = False,
    model: str | Path = "default",
    device: str = "auto",
    backend: str = "auto",
) -> Array:
    """Estimate the scene's HDR radiance lazily; see `drht_plugin.estimate_hdr`.

    Arguments and errors are those of `correct`.

    Returns:
        float32 dask array H×W×3, or H×W×1 or H×W for gray.
    """
    dask = import_dask()
    _, spec = checked(image, transfer)
    scene = survey(
        image,
        transfer=transfer,
        orientation=orientation,
        profile=profile,
        wrap=wrap,
        model=model,
        device=device,
        backend=backend,
    )
    how = Settings(model, device, backend)
    grid = dask.delayed(_fit_radiance, pure=True)(scene, how)
    array, scene = _after(scene, image)
    chunks = (*array.chunks[:2], (spec.colours,))
    made = dask.array.map_blocks(
        _render_radiance,
        with_channels(array),
        scene=scene,
        grid=grid,
        how=how,
        dtype=np.float32,
        chunks=chunks,
        meta=np.empty((0, 0, 0), np.float32),
    )
    return made[..., 0] if image.ndim == 2 else made


def render(
    scene: Scene | Delayed,
    image: Array,
    *,
    strength: Strength | None = None,
    detail: str = "auto",
    wrap: bool = False,
    tile: int | None = None,
    model: str | Path = "default",
    device: str = "auto",
    backend: str = "auto",
) -> Array:
    """Correct an image that has been surveyed, lazily.

    Args:
        scene: of `survey`, here or in `drht_plugin`.
        image: the surveyed image; see `correct`.
        strength: how much of the correction is applied; None for all of it.
        detail: see `correct`.
        wrap: whether the image is a panorama, as in `survey`. A scene that is computed tells it.
        tile: see `correct`.
        model: see `correct`.
        device: see `correct`.
        backend: see `correct`.

    Returns:
        See `correct`. Where the scene is still to be computed, the image is read again after it.
        But an image that was sliced or rechunked is kept from the survey on: compute the scene
        first if it is larger than the memory.

    Raises:
        InputError: an array or argument that is not accepted.
        DependencyError: dask is not installed.
    """
    dask = import_dask()
    detail = resolve_detail(detail)
    strength = FULL if strength is None else strength
    require_strength(strength)
    if tile is not None:
        tile = require_tile(tile)
        if detail == "network":
            tile_step(tile)  # refuses an impossible one
    if isinstance(scene, Scene):
        wrap = scene.wrap
        require_surveyed(scene, checked(image)[0])
    elif not dask.base.is_dask_collection(scene):
        require_scene(scene)
    how = Settings(model, device, backend, wrap=wrap)
    array, scene = _after(scene, image)
    halo = 0
    if detail == "network":
        halo = NetworkRenderer.halo
        array = at_least(array, _LEAST_BLOCK)
    blocks = with_channels(array)
    if halo:
        # The picture may be smaller than the halo, but then it is one chunk, which needs none.
        depth = {axis: halo if blocks.numblocks[axis] > 1 else 0 for axis in range(3)}
        edges = {0: "none", 1: "periodic" if how.wrap and depth[1] else "none", 2: "none"}
        blocks = dask.array.overlap.overlap(blocks, depth, edges, allow_rechunk=False)
    made = dask.array.map_blocks(
        _render_block,
        blocks,
        scene=scene,
        strength=strength,
        detail=detail,
        halo=halo,
        tile=TILE if tile is None else tile,
        size=array.shape[:2],
        how=how,
        dtype=array.dtype,
        chunks=with_channels(array).chunks,
        meta=np.empty((0, 0, 0), array.dtype),
    )
    return made[..., 0] if image.ndim == 2 else made


def _after(scene: Any, image: Any) -> tuple[Any, Any]:
    """Read an image anew once the scene is there, rather than keep what the survey has read.

    Returns:
        The image, whole in channels, and the scene as something that is computed.

    Raises:
        InputError: see `_arrays.checked`.
    """
    dask = import_dask()
    array, _ = checked(image)
    if isinstance(scene, Scene):
        return array, dask.delayed(scene)
    bound = dask.graph_manipulation.bind(image, scene)
    return (checked(bound)[0] if _is_whole(bound) else array), scene


def _is_whole(array: Any) -> bool:
    """Return whether all tasks that a graph names are in it.

    Dask's `bind` loses some where an array was sliced or had its chunks changed.
    """
    graph = dict(array.__dask_graph__())
    return all(
        needed in graph for task in graph.values() for needed in getattr(task, "dependencies", ())
    )


def _fit_radiance(scene: Scene, how: Settings) -> ToneGrid:
    return radiance_grid(scene, how.corrector(0).backend.kernels)


def _place(block_info: Any) -> Region:
    """Return where a block of the result lies."""
    (top, bottom), (left, right) = block_info[None]["array-location"][:2]
    return Region(int(top), int(left), int(bottom - top), int(right - left))


def _render_block(
    pixels: Image,
    *,
    scene: Scene,
    strength: Strength,
    detail: str,
    halo: int,
    tile: int,
    size: tuple[int, int],
    how: Settings,
    block_info: Any = None,
) -> Image:
    """Render a block of the result from its pixels and their halo."""
    window = _place(block_info)
    given = window.dilated(halo, *size, wrap=how.wrap)
    surveyed = (scene.spec.height, scene.spec.width)
    if surveyed != size:
        raise InputError(
            f"the image has {size[0]}×{size[1]} pixels; the surveyed image has "
            f"{surveyed[0]}×{surveyed[1]}"
        )
    whole_turn = how.wrap and window.width == size[1]
    _require_size(pixels, replace(given, left=0, width=size[1]) if whole_turn else given)
    if whole_turn:
        pixels = pixels[:, np.arange(given.left, given.right) % size[1]]
    corrector = how.corrector(window.height * window.width, detail)
    renderer = shared_renderer(corrector, detail, tile)
    with limit_threads(1):
        return renderer.render(scene, plain_array(pixels), window, given=given, strength=strength)


def _require_size(pixels: Image, given: Region) -> None:
    """Refuse what a task gave for a region if it is not what the dask array says."""
    if pixels.shape[:2] != (given.height, given.width):
        raise InputError(
            f"the chunks of {given} hold {pixels.shape[0]}×{pixels.shape[1]} pixels; expected "
            f"{given.height}×{given.width}, as the dask array says"
        )


def _render_radiance(
    pixels: Image, *, scene: Scene, grid: ToneGrid, how: Settings, block_info: Any = None
) -> Image:
    place = _place(block_info)
    _require_size(pixels, place)
    corrector = how.corrector(place.height * place.width)
    with limit_threads(1):
        return corrector.backend.radiance_window(
            scene, grid, plain_array(pixels), Window(place.top, place.left)
        )
