"""Metadata of OME-Zarr: which array of a group is a picture, and what a pyramid says of itself.

https://ngff.openmicroscopy.org: version 0.5 in Zarr 3 is written, and read as 0.4 in Zarr 2.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from drht_plugin.errors import ReadError

VERSION = "0.5"

ATTRIBUTE = "drht"
"""Attribute of the group that holds what is stated beside the pixels."""

_COLOURS = {1: ("FFFFFF",), 3: ("FF0000", "00FF00", "0000FF")}
_NAMES = {1: ("gray",), 3: ("red", "green", "blue")}


def first_level(attributes: Mapping[str, Any], name: str) -> tuple[str, tuple[str, ...]]:
    """Return the path of a group's largest array, and the names of its axes.

    Args:
        attributes: of the group.
        name: the group's, for messages.

    Raises:
        ReadError: it is no OME-Zarr picture.
    """
    stated = attributes.get("ome", attributes)
    try:
        first = stated["multiscales"][0]
        axes = first.get("axes") or ["t", "c", "z", "y", "x"]
        names = tuple(str(a["name"] if isinstance(a, Mapping) else a).lower() for a in axes)
        return str(first["datasets"][0]["path"]), names
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise ReadError(
            f"{name}: is a Zarr group without `multiscales` of OME-Zarr; expected a picture in "
            "OME-Zarr, or an array"
        ) from error


def multiscales(
    name: str, sizes: Sequence[tuple[int, int]], channels: int | None
) -> list[dict[str, Any]]:
    """Return a pyramid's metadata; its arrays are called 0, 1 and so on.

    Args:
        name: of the picture.
        sizes: height and width of each level.
        channels: in their axis; None for none.
    """
    axes = [{"name": axis, "type": "space"} for axis in "yx"]
    if channels is not None:
        axes.insert(0, {"name": "c", "type": "channel"})
    before = [] if channels is None else [1.0]
    datasets = []
    for level in range(len(sizes)):
        factor = float(1 << level)
        scale = {"type": "scale", "scale": [*before, factor, factor]}
        # The first pixel of a level is the mean of pixels from 0 on.
        shift = (factor - 1) / 2
        moved = {"type": "translation", "translation": [0.0] * len(before) + [shift, shift]}
        steps = [scale, moved] if level else [scale]
        datasets.append({"path": str(level), "coordinateTransformations": steps})
    return [{"name": name, "axes": axes, "datasets": datasets, "type": "mean"}]


def omero(colours: int, alpha: bool, white: float) -> dict[str, Any]:
    """Return how viewers show the channels: as a picture of that many colours.

    Args:
        colours: 1 or 3.
        alpha: whether a channel more is alpha, which is not shown.
        white: value that is shown white.
    """
    shown = [
        {
            "label": label,
            "color": colour,
            "active": True,
            "window": {"min": 0.0, "max": white, "start": 0.0, "end": white},
        }
        for label, colour in zip(_NAMES[colours], _COLOURS[colours], strict=True)
    ]
    if alpha:
        shown.append({**shown[0], "label": "alpha", "color": "FFFFFF", "active": False})
    return {"channels": shown, "rdefs": {"model": "color" if colours == 3 else "greyscale"}}
