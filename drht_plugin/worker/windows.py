"""Windows of a picture, in any size up to its own, for a client that shows a part of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from drht_plugin.bridge.sharing import limit_threads
from drht_plugin.engine.corrector import Corrector
from drht_plugin.engine.pixels import ImageSpec, spec_of
from drht_plugin.engine.render.network.windows import NetworkRenderer
from drht_plugin.engine.scene import Scene
from drht_plugin.engine.strength import Strength
from drht_plugin.errors import InputError
from drht_plugin.geometry import Region
from drht_plugin.worker.pictures import SharedPicture
from drht_plugin.worker.shared_rows import SharedRows

Image = npt.NDArray[Any]


@dataclass(frozen=True)
class ShownWindow:
    """Where the pixels of a window lie.

    Attributes:
        picture: the picture that is shown.
        height: rows of the whole picture in the size that it is shown in, at most its own.
        width: columns of the whole picture in that size, at most its own.
        region: the window in the picture of that size.
    """

    picture: SharedPicture
    height: int
    width: int
    region: Region

    def __post_init__(self) -> None:
        rows, columns, _ = self.picture.pixels.shape
        for name, value, least, most in (
            ("height", self.height, 1, rows),
            ("width", self.width, 1, columns),
            ("top", self.region.top, 0, self.height - self.region.height),
            ("left", self.region.left, 0, self.width - self.region.width),
        ):
            if type(value) is not int or not least <= value <= most:
                raise InputError(
                    f"{name} is {value!r}; expected a whole number, {least} to {most}, for a "
                    f"window of {self.region.height}×{self.region.width} pixels"
                )

    @property
    def is_full_size(self) -> bool:
        """Whether the picture is shown in its own size."""
        return (self.height, self.width) == self.picture.pixels.shape[:2]

    def scene(self, scene: Scene) -> Scene:
        """Return a scene for the picture in the size that it is shown in."""
        own = spec_of(self.picture.pixels, "linear" if scene.spec.linear else "srgb")
        return resize_scene(scene, replace(own, height=self.height, width=self.width))

    def read(self) -> Image:
        """Return the window's pixels: means over the area that each covers."""
        if self.is_full_size:
            region = self.region
            return self.picture.pixels[region.top : region.bottom][:, region.left : region.right]
        return area_means(self.picture.pixels, (self.height, self.width), self.region)

    def render(
        self,
        corrector: Corrector,
        scene: Scene,
        target: SharedPicture,
        rows: range,
        strength: Strength,
        detail: str,
    ) -> None:
        """Correct rows of the window.

        Args:
            corrector: the networks.
            scene: scene of the whole picture, in any size.
            target: the picture that holds the window's pixels; takes the result.
            rows: rows of the window.
            strength: how much of the correction is applied.
            detail: "guided" or "network".

        Raises:
            InputError: network detail of a picture that is not shown in its own size.
        """
        if detail == "network" and not self.is_full_size:
            raise InputError("network detail is rendered in the picture's own size only")
        shown = self.scene(scene)
        first = self.region.top + rows.start
        window = Region(first, self.region.left, len(rows), self.region.width)
        given, pixels = window, target.pixels[rows.start : rows.stop]
        if detail == "network":
            given = window.dilated(NetworkRenderer.halo, self.height, self.width, wrap=shown.wrap)
            columns = np.arange(given.left, given.right) % self.width
            pixels = self.picture.pixels[given.top : given.bottom][:, columns]
        with limit_threads(corrector.threads):
            made = corrector.window_renderer(detail).render(
                shown, pixels, window, given=given, strength=strength
            )
        target.result[rows.start : rows.stop] = made


def area_means(pixels: Image | SharedRows, size: tuple[int, int], region: Region) -> Image:
    """Shrink a picture to any smaller size by the mean over the area that each pixel covers.

    The mean is over codes, and over alpha as over the other channels.

    Args:
        pixels: H×W×C.
        size: height and width of the whole result; at most H and W.
        region: the part of the result that is wanted.

    Returns:
        The region's pixels, of the same dtype.
    """
    height, width, channels = pixels.shape
    down, across = height / size[0], width / size[1]
    edges = (region.left + np.arange(region.width + 1)) * across
    first = int(edges[0])
    last = min(width, int(np.ceil(edges[-1])))
    whole = np.minimum(edges.astype(int), last - 1) - first
    part = (edges - first - whole)[:, None]
    made = np.empty((region.height, region.width, channels), pixels.dtype)
    sums = np.zeros((last - first + 1, channels))
    for row in range(region.height):
        begin, end = (region.top + row) * down, (region.top + row + 1) * down
        top, bottom = int(begin), min(height, int(np.ceil(end - 1e-9)))
        block = pixels[top:bottom][:, first:last].astype(np.float32)
        inside = np.arange(top, bottom)
        weights = np.minimum(inside + 1, end) - np.maximum(inside, begin)
        line = np.tensordot(weights.astype(np.float32), block, 1)
        np.cumsum(line, 0, out=sums[1:])
        upto = sums[whole] + part * line[whole]
        mean = np.diff(upto, axis=0) / (down * across)
        if made.dtype.kind == "u":
            # A mean in the middle of two codes is rounded alike wherever the region begins.
            mean = np.rint(mean.round(3)).clip(0, np.iinfo(made.dtype).max)
        made[row] = mean
    return made


def resize_scene(scene: Scene, spec: ImageSpec) -> Scene:
    """Return the scene for a copy of the surveyed picture in another size.

    A scene uses relative coordinates. Only the image spec changes, and the origin column of a
    panorama.

    Args:
        scene: scene of the surveyed picture.
        spec: spec of the copy.

    Raises:
        InputError: a copy in gray of a picture in colour, or the reverse.
    """
    if spec.colours != scene.spec.colours:
        raise InputError(
            f"the picture has {spec.colours} colours; the surveyed one {scene.spec.colours}"
        )
    return replace(scene, spec=spec, origin=scene.origin * spec.width // scene.spec.width)
