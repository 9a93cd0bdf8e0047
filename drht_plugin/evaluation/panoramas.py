"""Whole 360° panoramas, each shot at several exposures by a typical camera."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drht_plugin.errors import InputError
from drht_plugin.evaluation.datasets import Item, LazyItem
from drht_plugin.evaluation.hdr_folder import describe, raise_error, read_scenes, to_codes, to_image

if TYPE_CHECKING:
    from drht_plugin.virtual_camera import HdrImage

EXPOSURES = (-2.5, 0.0, 2.0)
"""EV relative to the metered exposure."""

_EXPONENT, _MIDDLE = 0.82, 0.12
_SHOT_NOISE, _READ_NOISE = 2e-5, 4e-4
"""Curve and noise of a typical camera, see `virtual_camera.Curve` and `virtual_camera.Sensor`."""

_UNKNOWN_FROM = 0.01
"""Share of clipped source pixels in a pixel at which its radiance counts as unknown."""


@dataclass(frozen=True)
class Panoramas:
    """Data set of the equirectangular images of a folder, at each of `EXPOSURES`.

    The reference is the true LDR of the whole panorama. All pixels have the same weight, although
    those near the poles cover little of the sphere, because people look at the picture as it is.

    Attributes:
        folder: folder of HDR images.
        seed: seed of the noise.
    """

    folder: Path
    seed: int

    def items(self) -> list[LazyItem]:
        """Return an item per panorama and exposure; an unreadable image is an item that fails.

        Raises:
            InputError: no panorama can be read.
        """
        scenes, broken = read_scenes(self.folder)
        panoramas = [scene for scene in scenes if scene.panorama]
        if not panoramas:
            why = "; ".join(str(error) for error in broken.values()) or "all are photographs"
            raise InputError(f"{self.folder}: no panorama can be read: {why}")
        lazies = [LazyItem(name, partial(raise_error, error)) for name, error in broken.items()]
        for scene in panoramas:
            for stops in EXPOSURES:
                name, seed = f"{scene.name} {stops:+g} EV", self.seed + len(lazies)
                lazies.append(LazyItem(name, partial(_shot, scene, stops, name, seed)))
        return lazies

    def describe(self) -> dict[str, Any]:
        """Return the folder's name, the exposures, the seed and a SHA-256 of the images."""
        return {**describe(self.folder), "panoramas at EV": list(EXPOSURES), "seed": self.seed}


def _shot(scene: HdrImage, stops: float, name: str, seed: int) -> Item:
    import torch

    from drht_plugin.bridge.transfer import H_MAX
    from drht_plugin.training.tonemap import fusion
    from drht_plugin.virtual_camera import Curve, Sensor, metered_exposure, shoot

    radiance = scene.radiance[None, :3].float().clamp_min(0)
    exposed = radiance * (metered_exposure(radiance) * 2**stops).view(-1, 1, 1, 1)
    one = torch.ones(1)
    curve = Curve(_EXPONENT * one, _MIDDLE * one, one < 0)
    sensor = Sensor(_SHOT_NOISE * one, _READ_NOISE * one, one > 0, 0 * one)
    shot = shoot(exposed, curve, sensor, torch.Generator().manual_seed(seed))
    # Wrapped by half a turn on each side, so that the fusion's pyramids see no edges there.
    width = radiance.shape[-1]
    half = width // 2
    around = torch.cat([radiance[..., -half:], radiance, radiance[..., :half]], -1)
    truth = fusion(around)[..., half : half + width]
    return Item(
        name=name,
        groups={"exposure": f"{stops:+g} EV"},
        ldr=to_codes(to_image(shot)),
        reference=to_codes(to_image(truth)),
        radiance=to_image(exposed.clamp(max=H_MAX)),
        known=to_image(scene.radiance[None, 3:].float())[..., 0] < _UNKNOWN_FROM,
        wrap=True,
    )
