"""Measure how much nearer a gain map brings the corrected picture to the scene's true light.

    python -m benchmarks.ultra_hdr ../shared/data/hdr_val [--count 60] [--headroom 2]

Each view of an HDR image is shot badly exposed, as in `drht evaluate`, corrected to an Ultra HDR
file, and read back by libvips, as a screen of the given headroom shows it (all of it by default).
Prints PU21-PSNR in dB against the true radiance for the base alone and for base and map, white at
100 cd/m². Radiance is relative, so each is compared at the exposure of the truth that suits it
best, in steps of an eighth of a stop.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import defaultdict
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyvips

from drht_plugin import Corrector, correct_file
from drht_plugin.evaluation.metrics import pu21_psnr
from drht_plugin.evaluation.views import Views

Light = npt.NDArray[np.float32]

_WHITE, _RANGE = 100.0, (0.01, 10_000.0)


def shown(file: Path, headroom: float) -> tuple[Light, Light, float]:
    """Return the base's light, that on a screen of a headroom in stops, and the map's headroom."""
    image = pyvips.Image.uhdrload(str(file))
    base = image.colourspace("scrgb").numpy()[..., :3]
    full = image.uhdr2scRGB().numpy()
    needed = float(np.log2(image.get("gainmap-hdr-capacity-max")))
    offset = np.float32(image.get("gainmap-offset-sdr")[0])
    share = min(headroom / needed, 1.0)
    gain = ((full + offset) / (base + offset)).clip(2**-16)
    return base, (base + offset) * gain**share - offset, needed


def nearness(light: Light, truth: Light) -> float:
    """Return the PU21-PSNR at the exposure of the truth that suits best, in dB."""

    def at(stops: float) -> float:
        both = (light * _WHITE, truth * (_WHITE * 2.0**stops))
        return pu21_psnr(*(each.clip(*_RANGE) for each in both))

    near = max(np.arange(-4, 6, 0.5), key=at)
    return max(at(near + step) for step in np.arange(-0.5, 0.51, 0.125))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("images", type=Path, help="folder of HDR images")
    parser.add_argument("--count", type=int, default=60, help="number of views (default: 60)")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--headroom", type=float, default=16.0, help="of the screen, in stops")
    options = parser.parse_args()
    corrector = Corrector()
    figures = defaultdict(list)
    with tempfile.TemporaryDirectory() as folder:
        for lazy in Views(options.images, options.seed, options.count).items():
            item = lazy.load()
            # Names of their own, since libvips keeps opened files by name.
            source, target = (Path(folder, f"{item.name}{end}") for end in (".png", ".jpg"))
            assert item.radiance is not None
            pyvips.Image.new_from_array(item.ldr).write_to_file(str(source))
            correct_file(source, target, ultra_hdr=True, corrector=corrector)
            base, hdr, needed = shown(target, options.headroom)
            row = [nearness(base, item.radiance), nearness(hdr, item.radiance), needed]
            figures[item.groups["class"]].append(row)
            figures["all"].append(row)
    print("class    views   base    map   gain   (gain's p10)   headroom")
    for name, rows in figures.items():
        base, hdr, needed = np.array(rows).T
        gained = np.quantile(hdr - base, 0.1)
        print(
            f"{name:8} {len(rows):5} {base.mean():6.2f} {hdr.mean():6.2f} "
            f"{(hdr - base).mean():+6.2f} {gained:+10.2f} {needed.mean():13.2f}"
        )


if __name__ == "__main__":
    main()
