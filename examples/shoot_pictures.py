"""Take the example pictures, which are badly exposed shots of freely licensed HDR images.

    python examples/shoot_pictures.py HDR_FOLDER

HDR_FOLDER contains goldengate.exr (OpenEXR's sample images, BSD-3-Clause), st_fagans_interior.exr
and potsdamer_platz.exr (Poly Haven, CC0). The shipped weights were not trained on these images.
"""

import argparse
import math
from pathlib import Path

import numpy as np
import pyvips
import torch

from drht_plugin.training.scenes import load_scenes
from drht_plugin.virtual_camera import Aim, Curve, HdrImage, Sensor, metered_exposure, shoot, view

PICTURES = Path(__file__).parent / "pictures"
SHOTS = (
    ("golden_gate_dark.jpg", "goldengate", Aim(), (856, 1256), -2.6),
    ("golden_gate_bright.jpg", "goldengate", Aim(), (856, 1256), 2.2),
    (
        "st_fagans_window.jpg",
        "st_fagans_interior",
        Aim(yaw=0.0, field_of_view=math.radians(85)),
        (424, 640),
        -1.5,
    ),
    ("potsdamer_platz_dark.jpg", "potsdamer_platz", None, (512, 1024), -2.5),
)
"""File name, scene, aim (None for the whole panorama), height and width, EV relative to metered."""


def picture(scene: HdrImage, aim: Aim | None, size: tuple[int, int], stops: float) -> np.ndarray:
    """Take an 8-bit shot, H×W×3, at `stops` EV relative to the metered exposure."""
    planes = scene.radiance.float() if aim is None else view(scene, aim, *size)
    radiance = planes[None, :3]
    exposure = metered_exposure(radiance).view(-1, 1, 1, 1) * 2.0**stops
    curve = Curve(torch.tensor([0.8]), torch.tensor([0.14]), torch.tensor([False]))
    sensor = Sensor(*(torch.tensor([v]) for v in (2e-5, 3e-4, True, 0.0)))
    coded = shoot(radiance * exposure, curve, sensor, torch.Generator().manual_seed(1))
    return (coded[0].permute(1, 2, 0).contiguous().numpy() * 255).round().astype(np.uint8)


def main() -> None:
    """Write every picture of `SHOTS`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    scenes = {scene.name: scene for scene in load_scenes(parser.parse_args().folder)}
    PICTURES.mkdir(exist_ok=True)
    for name, scene, aim, size, stops in SHOTS:
        image = pyvips.Image.new_from_array(picture(scenes[scene], aim, size, stops))
        image.copy(interpretation="srgb").write_to_file(str(PICTURES / name), Q=92)
        print(PICTURES / name)


if __name__ == "__main__":
    main()
