"""Tile pyramids: a picture in many sizes, so that a browser loads only what it shows."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyvips

from drht_plugin.compare._display import Shown
from drht_plugin.compare._light_tiles import pack_tile, thumbnail
from drht_plugin.libvips.lazy import run

TILE, OVERLAP = 510, 1
"""Side of a tile, and what it shares with each neighbour: 512 pixels together."""

_SMALLEST = 8
"""Smallest level that is kept: up to 2^8 pixels, one tile."""

_MAX_LIGHT_PIXELS = 1 << 26
_JPEG = ".jpg[Q=92,subsample_mode=off]"
_WEBP = ".webp[Q=92]"

Report = Callable[[float], None]


def write_pyramid(picture: Shown, folder: Path, name: str, report: Report) -> dict[str, Any]:
    """Write the pyramid of a picture into ``folder/name_files/LEVEL/COLUMN_ROW.SUFFIX``.

    Args:
        picture: the picture; it is read once.
        folder: an existing folder.
        name: of the pyramid.
        report: is called with the share that is done, 0 to 1.

    Returns:
        What the page's viewer is told of it.

    Raises:
        pyvips.Error: the tiles cannot be written.
        ReadError: the picture is damaged.
    """
    image = picture.image
    if picture.light:
        image = _limited(image)
        suffix, keep = ".tif", "none"
    else:
        suffix, keep = (_WEBP if image.hasalpha() else _JPEG), ("icc" if picture.wide else "none")
    tiles = folder / f"{name}_files"
    _save(image, folder / name, report, tile_size=TILE, overlap=OVERLAP, suffix=suffix, keep=keep)
    (folder / f"{name}.dzi").unlink()
    (tiles / "vips-properties.xml").unlink(missing_ok=True)
    top = math.ceil(math.log2(max(image.width, image.height)))
    lowest = min(_SMALLEST, top)
    for level in range(lowest):
        shutil.rmtree(tiles / str(level))
    kind = "js" if picture.light else suffix[1:].split("[")[0]
    small = f"{tiles.name}/{lowest}/0_0.{kind}"
    if picture.light:
        small = f"{tiles.name}/thumbnail.jpg"
        thumbnail(tiles / str(lowest) / "0_0.tif", folder / small)
        for tile in sorted(tiles.glob("*/*.tif")):
            tile.with_suffix(".js").write_text(pack_tile(tile), "ascii")
            tile.unlink()
    return {
        "tiles": tiles.name,
        "kind": kind,
        "width": image.width,
        "height": image.height,
        "lowest": lowest,
        "top": top,
        "tile": TILE,
        "overlap": OVERLAP,
        "thumbnail": small,
    }


def _limited(image: pyvips.Image) -> pyvips.Image:
    """Shrink light that is too large for the page, as its tiles take three bytes a pixel."""
    factor = math.ceil(math.sqrt(image.width * image.height / _MAX_LIGHT_PIXELS))
    return image if factor <= 1 else image.shrink(factor, factor)


def _save(image: pyvips.Image, path: Path, report: Report, **options: Any) -> None:
    image = image.copy()
    stops: list[BaseException] = []  # libvips' threads cannot raise them

    def tell(running: pyvips.Image, progress: Any) -> None:
        try:
            report(progress.percent / 100)
        except BaseException as stop:
            stops.append(stop)
            running.set_kill(True)

    image.set_progress(True)
    image.signal_connect("eval", tell)
    try:
        run(image, lambda: image.dzsave(str(path), **options))
    except pyvips.Error:
        if not stops:
            raise
    if stops:
        raise stops[0]
