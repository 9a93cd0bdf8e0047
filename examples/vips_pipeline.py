"""Use the correction in a libvips pipeline: crop, correct, shrink, sharpen, write.

    python examples/vips_pipeline.py examples/pictures/golden_gate_dark.jpg out.jpg

Nothing is computed until `vips.write` asks for pixels. Then the picture is processed in tiles, with
progress on the terminal. Ctrl-C stops it and leaves no file.
"""

import argparse
import sys
from typing import Any

import pyvips

from drht_plugin import vips


def show(_image: pyvips.Image, progress: Any) -> None:
    """Print libvips' progress."""
    print(f"\r{progress.percent:3d} %, {progress.eta} s to go ", end="", file=sys.stderr)


def main() -> None:
    """Build the pipeline and run it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", help="picture to read")
    parser.add_argument("target", help="picture to write")
    parser.add_argument("--width", type=int, default=800, help="width of the result in pixels")
    parser.add_argument(
        "--shadows", type=float, default=1.0, help="how much to lift shadows, 0 to 1"
    )
    arguments = parser.parse_args()

    vips.register()
    image = pyvips.Image.new_from_file(arguments.source)
    border = min(image.width, image.height) // 50
    inner = image.crop(border, border, image.width - 2 * border, image.height - 2 * border)
    corrected = inner.drht_correct(shadows=arguments.shadows)
    result = corrected.resize(arguments.width / corrected.width).sharpen(sigma=0.6)

    result.set_progress(True)
    result.signal_connect("eval", show)
    vips.write(result, arguments.target)
    print(f"\r{arguments.target}: {result.width}×{result.height} pixels", file=sys.stderr)


if __name__ == "__main__":
    main()
