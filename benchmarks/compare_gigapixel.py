"""Time and memory of a page of a gigapixel pair, and how fast it opens in a browser.

    python -m benchmarks.compare_gigapixel [--megapixels 1024] [--folder FOLDER]

Tiles an example picture to a JPEG of that size and a darker copy, writes their page, and opens it
from the disk in headless Chromium, in a fresh profile each time, until every tile of the screen is
seen.
"""

import argparse
import resource
import statistics
import sys
import tempfile
import time
from pathlib import Path

import pyvips

from drht_plugin.compare import Pair, write_page

TOP = Path(__file__).parents[1]
sys.path.insert(0, str(TOP / "tests"))
SCREENS = ((360, 740), (1280, 800), (3840, 2160))
BUSY = "document.getElementById('stage')?.getAttribute('aria-busy')"


def make_pair(folder: Path, megapixels: int) -> tuple[Path, Path]:
    """Write the two JPEG files, unless they are there."""
    before, after = folder / "before.jpg", folder / "after.jpg"
    if not after.exists():
        tile = pyvips.Image.new_from_file(
            str(TOP / "examples" / "pictures" / "golden_gate_bright.jpg")
        )
        times = round((megapixels * 1e6 / (tile.width * tile.height)) ** 0.5)
        large = tile.copy_memory().replicate(times, times)
        large.jpegsave(str(before), Q=90)
        (large * 0.5).cast("uchar").jpegsave(str(after), Q=90)
    return before, after


def open_seconds(page: Path, width: int, height: int) -> float:
    """Open a page in a fresh browser; seconds to the last tile of the screen."""
    from browser import Browser

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        browser = Browser(Path(profile))
        start = time.perf_counter()
        browser.open(page, width=width, height=height)
        while browser.run(BUSY) != "false":
            time.sleep(0.01)
        seconds = time.perf_counter() - start
        browser.close()
    return seconds


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--megapixels", type=int, default=1024)
    parser.add_argument("--folder", type=Path, help="where the pair and the page go, and stay")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        before, after = make_pair(folder, arguments.megapixels)
        size = pyvips.Image.new_from_file(str(before))
        start = time.perf_counter()
        page = write_page([Pair("pair", before, after)], folder / "page", overwrite=True)
        seconds = time.perf_counter() - start
        files = [path for path in page.index.parent.rglob("*") if path.is_file()]
        total = sum(path.stat().st_size for path in files)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"2 × {size.width}×{size.height}: page in {seconds:.0f} s, at most {peak:.0f} MB")
        print(f"{len(files)} files, {total / 1e6:.0f} MB")
        for width, height in SCREENS:
            times = [open_seconds(page.index, width, height) for _ in range(5)]
            print(
                f"opens at {width}×{height}: median {statistics.median(times):.2f} s, "
                f"slowest {max(times):.2f} s"
            )


if __name__ == "__main__":
    main()
