"""What correction does to pictures that were good already.

    python -m benchmarks.well_exposed RESULT.json [--above 25]

RESULT.json comes from `drht evaluate --methods drht,identity --metrics psnr,luma-change --json`.
Prints, of the items whose input is within `--above` dB of its reference, how many there are, the
mean change of PSNR, the share that loses at most 0.5 dB, and the median change of mean luma.
"""

import argparse
import json
import statistics
from pathlib import Path


def main() -> None:
    """Print the figures of one result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("result", type=Path)
    parser.add_argument("--above", type=float, default=25.0, help="dB (default: 25)")
    options = parser.parse_args()
    values: dict[str, dict[str, dict[str, float]]] = {}
    for row in json.loads(options.result.read_text())["items"]:
        values.setdefault(row["item"], {})[row["method"]] = row["values"]
    good = [v for v in values.values() if v["identity"]["psnr"] >= options.above]
    if not good:
        print(f"no input is within {options.above} dB of its reference")
        return
    gains = [v["drht"]["psnr"] - v["identity"]["psnr"] for v in good]
    changes = [abs(v["drht"]["luma-change"]) for v in good]
    kept = sum(gain >= -0.5 for gain in gains) / len(gains)
    print(f"{len(good)} inputs within {options.above} dB of their reference")
    print(f"mean change of PSNR {statistics.mean(gains):+.2f} dB")
    print(f"losing at most 0.5 dB {100 * kept:.0f} %")
    print(f"median change of mean luma {statistics.median(changes):.1f} codes")


if __name__ == "__main__":
    main()
