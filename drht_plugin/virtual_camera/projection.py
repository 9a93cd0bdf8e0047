"""Projection of views from HDR images."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from drht_plugin.virtual_camera.light import to_device


@dataclass(frozen=True)
class HdrImage:
    """An HDR image, or a photograph in linear light, to take pictures of.

    Attributes:
        name: name of the image.
        radiance: 4×H×W float tensor: linear RGB, 0 or more, and a mask that is 1 where the source
            itself is clipped.
        panorama: whether it is equirectangular, with the zenith in the first row; otherwise it is
            a perspective picture.
        rendition: whether it is a well-exposed photograph, whose white is 1.0.
    """

    name: str
    radiance: Tensor
    panorama: bool
    rendition: bool = False


@dataclass(frozen=True)
class Aim:
    """Direction and size of a view.

    Attributes:
        yaw: angle to the right in radians, for panoramas.
        pitch: angle upwards in radians, for panoramas.
        roll: rotation about the line of sight in radians.
        field_of_view: angle across the longer side in radians, for panoramas.
        x: horizontal position in 0..1, for other images.
        y: vertical position in 0..1, for other images.
        zoom: size of the view relative to the largest that fits, for other images.
        mirrored: whether left and right are swapped.
    """

    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0
    field_of_view: float = math.pi / 2
    x: float = 0.5
    y: float = 0.5
    zoom: float = 1.0
    mirrored: bool = False


def view(scene: HdrImage, aim: Aim, height: int, width: int) -> Tensor:
    """Project one view; see `views`.

    Args:
        scene: the image.
        aim: where the camera looks.
        height: height in pixels.
        width: width in pixels.

    Returns:
        4×height×width linear radiance and clip mask.
    """
    return views([scene], [aim], height, width)[0]


def views(scenes: Sequence[HdrImage], aims: Sequence[Aim], height: int, width: int) -> Tensor:
    """Project a view of each image.

    Panoramas are projected gnomonically. Each pixel is the mean of 2×2 bilinear samples. On the
    CPU, a view whose sides are multiples of 8 has the same bits in every batch.

    Args:
        scenes: B images, all on one device.
        aims: B aims.
        height: height in pixels.
        width: width in pixels.

    Returns:
        B×4×height×width linear radiance and clip mask.
    """
    device = scenes[0].radiance.device
    result = torch.empty(len(scenes), 4, height, width, device=device)
    for which in _alike(scenes):
        chosen, aimed = [scenes[i] for i in which], [aims[i] for i in which]
        lay_out = _gnomonic if chosen[0].panorama else _crop
        grid = lay_out(chosen[0], aimed, 2 * height, 2 * width)
        mirrored = to_device([aim.mirrored for aim in aimed], device).view(-1, 1, 1, 1)
        grid = torch.where(mirrored, grid.flip(2), grid)
        source = torch.stack([scene.radiance for scene in chosen])
        if chosen[0].panorama:
            source = torch.cat([source[..., -1:], source, source[..., :1]], -1)
        samples = F.grid_sample(source.float(), grid, "bilinear", "border", align_corners=False)
        result[to_device(which, device)] = F.avg_pool2d(samples, 2)
    return result


def _alike(scenes: Sequence[HdrImage]) -> list[list[int]]:
    """Group the indices of scenes of the same kind and size, which are projected together."""
    groups: dict[tuple[bool, torch.Size], list[int]] = {}
    for index, scene in enumerate(scenes):
        groups.setdefault((scene.panorama, scene.radiance.shape), []).append(index)
    return list(groups.values())


def _plane(height: int, width: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return the coordinates of pixel centres, with the longer side spanning −1..1."""
    longer = max(height, width)
    y = (torch.arange(height, device=device) + 0.5 - height / 2) * (2 / longer)
    x = (torch.arange(width, device=device) + 0.5 - width / 2) * (2 / longer)
    return y.view(-1, 1).expand(height, width), x.view(1, -1).expand(height, width)


def _each(rows: list[tuple[float, ...]], device: torch.device) -> list[Tensor]:
    """Return each column of numbers per view as a B×1×1 tensor."""
    return [column.view(-1, 1, 1) for column in to_device(rows, device).unbind(1)]


def _gnomonic(scene: HdrImage, aims: Sequence[Aim], height: int, width: int) -> Tensor:
    """Return the sampling grid of panorama views, B×height×width×2 in −1..1."""
    y, x = _plane(height, width, scene.radiance.device)
    reach, roll_cos, roll_sin, pitch_cos, pitch_sin, yaw = _each(
        [
            (
                math.tan(a.field_of_view / 2),
                math.cos(a.roll),
                math.sin(a.roll),
                math.cos(a.pitch),
                math.sin(a.pitch),
                a.yaw,
            )
            for a in aims
        ],
        scene.radiance.device,
    )
    right, up = x * reach, -y * reach
    right, up = right * roll_cos - up * roll_sin, right * roll_sin + up * roll_cos
    forward, up = pitch_cos - up * pitch_sin, pitch_sin + up * pitch_cos
    longitude = torch.atan2(right, forward) + yaw
    latitude = torch.atan2(up, torch.hypot(right, forward))
    columns = scene.radiance.shape[-1]
    turn = torch.remainder(longitude / (2 * math.pi) + 0.5, 1.0)
    # The source has an additional column on each side, copied from the other.
    u = (turn * columns + 1) * (2 / (columns + 2)) - 1
    v = -latitude * (2 / math.pi)
    return torch.stack([u, v], -1)


def _crop(scene: HdrImage, aims: Sequence[Aim], height: int, width: int) -> Tensor:
    """Return the sampling grid of views of other images, B×height×width×2 in −1..1."""
    rows, columns = scene.radiance.shape[-2:]
    y, x = _plane(height, width, scene.radiance.device)
    longer = max(height, width)

    def numbers(aim: Aim) -> tuple[float, ...]:
        cos, sin = math.cos(aim.roll), math.sin(aim.roll)
        bound_w = (width * abs(cos) + height * abs(sin)) / longer
        bound_h = (width * abs(sin) + height * abs(cos)) / longer
        scale = min(columns / bound_w, rows / bound_h) * aim.zoom
        centre_u = (2 * aim.x - 1) * (1 - bound_w * scale / columns)
        centre_v = (2 * aim.y - 1) * (1 - bound_h * scale / rows)
        return cos, sin, scale, centre_u, centre_v

    cos, sin, scale, centre_u, centre_v = _each([numbers(a) for a in aims], y.device)
    u = (x * cos - y * sin) * scale / columns + centre_u
    v = (x * sin + y * cos) * scale / rows + centre_v
    return torch.stack([u, v], -1)
