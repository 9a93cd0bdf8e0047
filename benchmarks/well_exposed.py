"""Measure what the correction does to pictures that are already well exposed.

    python -m benchmarks.well_exposed --pairs ../shared/data/pairs_dev/manifest.csv
    python -m benchmarks.well_exposed --hdr ../shared/data/hdr_val
    python -m benchmarks.well_exposed --alone FOLDER

An input is well exposed if its mean luminance is within `--within` EV of its reference's. Views are
those of `drht evaluate --hdr` (seed 7, 200 views). Pictures of --alone have no references and
should stay unchanged. For each, prints the mean change in codes, the largest mean change of one
channel relative to another, and the lowest code that remains of white (250 or more in all
channels).
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from drht_plugin import Corrector
from drht_plugin.bridge.transfer import srgb_decode
from drht_plugin.evaluation.datasets import LazyItem, unit
from drht_plugin.evaluation.manifest import Pairs
from drht_plugin.evaluation.metrics import psnr
from drht_plugin.evaluation.views import Views
from drht_plugin.io import read_picture, upright

WITHIN = 0.3
"""Largest difference of mean luminance between a well-exposed input and its reference, in EV."""

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
_LUMINANCE = np.array([0.2126, 0.7152, 0.0722], np.float32)
_WHITE = 250


def exposure(picture: npt.NDArray[np.float32]) -> float:
    """Return the mean luminance of H×W×3 display codes, in EV."""
    return float(np.log2((srgb_decode(picture) @ _LUMINANCE).mean() + 1e-6))


def against_references(items: Sequence[LazyItem], corrector: Corrector, within: float) -> None:
    """Print how the PSNR of well-exposed inputs changes, and which of them lose."""
    changes, gains = [], []
    for lazy in items:
        item = lazy.load()
        reference = unit(item.reference)
        if abs(exposure(item.picture) - exposure(reference)) > within:
            continue
        corrected = unit(corrector.correct(item.ldr))
        changes.append(255 * abs(float(((corrected - item.picture) @ _LUMA).mean())))
        gains.append(psnr(corrected, reference) - psnr(item.picture, reference))
        if gains[-1] < -0.5:
            print(f"  {item.name}: {gains[-1]:+.1f} dB")
    if not gains:
        print(f"no input is within {within} EV of its reference")
        return
    kept = np.mean([gain >= -0.5 for gain in gains])
    print(f"{len(gains)} inputs within {within} EV of their reference")
    print(f"median change of mean luma {np.median(changes):.1f} codes")
    print(f"mean change of PSNR {np.mean(gains):+.2f} dB; losing at most 0.5 dB {100 * kept:.0f} %")


def alone(folder: Path, corrector: Corrector) -> None:
    """Print how much the pictures of a folder change."""
    print("picture                    mean change  against another  white left")
    for path in sorted(folder.glob("*.[jp][pn]g")):
        ldr = np.ascontiguousarray(upright(read_picture(path))[..., :3])
        change = corrector.correct(ldr).astype(np.float32) - ldr
        white = ldr.min(-1) >= _WHITE
        left = f"{(ldr + change)[white].min():10.0f}" if white.any() else "         -"
        moved = np.ptp(change.mean((0, 1)))
        print(f"{path.stem[:26]:26} {np.abs(change).mean():11.2f} {moved:16.2f}  {left}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    data = parser.add_mutually_exclusive_group(required=True)
    data.add_argument("--pairs", type=Path, help="manifest of pairs")
    data.add_argument("--hdr", type=Path, help="folder of HDR images")
    data.add_argument("--alone", type=Path, help="folder of pictures that should stay unchanged")
    parser.add_argument("--within", type=float, default=WITHIN, help=f"EV (default: {WITHIN})")
    parser.add_argument("--model", default="default")
    options = parser.parse_args()
    corrector = Corrector(model=options.model)
    if options.alone:
        alone(options.alone, corrector)
        return
    items = Pairs(options.pairs).items() if options.pairs else Views(options.hdr, 7, 200).items()
    against_references(items, corrector, options.within)


if __name__ == "__main__":
    main()
