"""What correction does to pictures that were exposed well already.

    python -m benchmarks.well_exposed --pairs ../shared/data/pairs_dev/manifest.csv
    python -m benchmarks.well_exposed --hdr ../shared/data/hdr_val

Well exposed: the mean luminance of the input is within `--within` EV of its reference's. Views are
those of `drht evaluate --hdr` (seed 7, 200 views).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import numpy.typing as npt

from drht_plugin import Corrector
from drht_plugin.bridge.transfer import srgb_decode
from drht_plugin.evaluation.datasets import unit
from drht_plugin.evaluation.manifest import Pairs
from drht_plugin.evaluation.metrics import psnr
from drht_plugin.evaluation.views import Views

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
_LUMINANCE = np.array([0.2126, 0.7152, 0.0722], np.float32)


def exposure(picture: npt.NDArray[np.float32]) -> float:
    """Mean luminance of H×W×3 display codes, in EV."""
    return float(np.log2((srgb_decode(picture) @ _LUMINANCE).mean() + 1e-6))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    data = parser.add_mutually_exclusive_group(required=True)
    data.add_argument("--pairs", type=Path, help="manifest of pairs")
    data.add_argument("--hdr", type=Path, help="folder of HDR images")
    parser.add_argument("--within", type=float, default=0.3, help="EV (default: 0.3)")
    parser.add_argument("--model", default="default")
    options = parser.parse_args()
    items = Pairs(options.pairs).items() if options.pairs else Views(options.hdr, 7, 200).items()
    corrector = Corrector(model=options.model)
    changes, gains = [], []
    for lazy in items:
        item = lazy.load()
        reference = unit(item.reference)
        if abs(exposure(item.picture) - exposure(reference)) > options.within:
            continue
        corrected = unit(corrector.correct(item.ldr))
        changes.append(255 * abs(float(((corrected - item.picture) @ _LUMA).mean())))
        gains.append(psnr(corrected, reference) - psnr(item.picture, reference))
    if not gains:
        print(f"no input is within {options.within} EV of its reference")
        return
    kept = np.mean([gain >= -0.5 for gain in gains])
    print(f"{len(gains)} inputs within {options.within} EV of their reference")
    print(f"median change of mean luma {np.median(changes):.1f} codes")
    print(f"mean change of PSNR {np.mean(gains):+.2f} dB; losing at most 0.5 dB {100 * kept:.0f} %")


if __name__ == "__main__":
    main()
