"""Make a web page to zoom into a picture and its correction, side by side and synchronised.

    python examples/deep_zoom.py panorama.tif site/
    python -m http.server --directory site

Writes deep-zoom pyramids of the picture and of its correction with libvips, and a page that shows
them with the OpenSeadragon that comes with drht_plugin. No corrected file is written. The picture
may have any size. The folder of the site appears only when it is complete. `drht compare` makes a
page of files, with more to it.
"""

import argparse
import html
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import pyvips

import drht_plugin.compare
from drht_plugin import vips
from drht_plugin.errors import DrhtError

VIEWER = Path(drht_plugin.compare.__file__).parent / "viewer" / "openseadragon"

PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}: before and after</title>
<style>
  html, body {{ margin: 0; height: 100%; background: #111; color: #ddd;
    font: 15px/1.4 system-ui, sans-serif; }}
  main {{ display: grid; grid-template-columns: 1fr 1fr; gap: 3px; height: 100%; }}
  figure {{ margin: 0; position: relative; min-height: 0; }}
  figure > div {{ position: absolute; inset: 0; }}
  figcaption {{ position: absolute; left: 12px; bottom: 12px; padding: 2px 10px; z-index: 1;
    background: #000a; border-radius: 4px; pointer-events: none; }}
  @media (orientation: portrait) {{
    main {{ grid-template-columns: 1fr; grid-template-rows: 1fr 1fr; }}
  }}
</style>
<main>
  <figure><div id="before"></div><figcaption>before</figcaption></figure>
  <figure><div id="after"></div><figcaption>after</figcaption></figure>
</main>
<script src="openseadragon.min.js"></script>
<script>
  const sources = {sources};
  const [before, after] = ["before", "after"].map(id => OpenSeadragon({{
    id, tileSources: sources[id], showNavigationControl: false, maxZoomPixelRatio: 4,
  }}));
  // The view that the pointer entered last leads, and the other one follows.
  let leader = before;
  const follow = (one, other) => {{
    for (const event of ["canvas-enter", "canvas-press", "canvas-key"])
      one.addHandler(event, () => {{ leader = one; }});
    const lead = () => {{
      if (leader !== one || !other.isOpen()) return;
      other.viewport.zoomTo(one.viewport.getZoom(true), null, true);
      other.viewport.panTo(one.viewport.getCenter(true), true);
    }};
    one.addHandler("viewport-change", lead);
    other.addHandler("open", lead);
  }};
  follow(before, after);
  follow(after, before);
</script>
"""


def copy_viewer(target: Path) -> None:
    """Copy OpenSeadragon's script and licence into the site."""
    shutil.copy(VIEWER / "openseadragon.min.js", target)
    shutil.copy(VIEWER / "LICENSE.txt", target / "openseadragon-license.txt")


def pyramid(image: pyvips.Image, folder: Path, name: str) -> dict[str, Any]:
    """Write a pyramid of JPEG tiles and return its description for OpenSeadragon."""

    def show(_image: pyvips.Image, progress: Any) -> None:
        print(f"\r{name}: {progress.percent:3d} %", end="", file=sys.stderr, flush=True)

    # The viewer shows 8-bit sRGB.
    if image.get_typeof("icc-profile-data"):
        image = image.icc_transform("srgb", embedded=True)
    image = image.colourspace("srgb").copy()
    image.set_progress(True)
    image.signal_connect("eval", show)
    size, overlap = 254, 1
    options: dict[str, Any] = {"tile_size": size, "overlap": overlap, "suffix": ".jpg[Q=85]"}
    vips.run(image, lambda: image.dzsave(str(folder / name), **options))
    (folder / f"{name}.dzi").unlink()
    print(file=sys.stderr)
    return {
        "Image": {
            "xmlns": "http://schemas.microsoft.com/deepzoom/2008",
            "Url": f"{name}_files/",
            "Format": "jpg",
            "Overlap": overlap,
            "TileSize": size,
            "Size": {"Width": image.width, "Height": image.height},
        }
    }


def make_site(source: str, folder: Path, shadows: float, wrap: bool) -> None:
    """Write the pyramids, the viewer and the page into an empty folder."""
    image = pyvips.Image.new_from_file(source)
    corrected = vips.correct(image, shadows=shadows, wrap=wrap)
    copy_viewer(folder)
    sources = {
        "before": pyramid(image, folder, "before"),
        "after": pyramid(corrected, folder, "after"),
    }
    title = html.escape(Path(source).name)
    page = PAGE.format(title=title, sources=json.dumps(sources))
    (folder / "index.html").write_text(page, "utf-8")


def main() -> None:
    """Make the site in a temporary folder, then move it to its place."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", help="a picture that libvips can read")
    parser.add_argument("site", type=Path, help="folder to create; it must not exist")
    parser.add_argument(
        "--shadows", type=float, default=1.0, help="how much to lift shadows, 0 to 1"
    )
    parser.add_argument("--wrap", action="store_true", help="the picture is a 360° panorama")
    arguments = parser.parse_args()
    site: Path = arguments.site.absolute()
    if site.exists():
        parser.error(f"{site} already exists")
    site.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=site.parent, prefix=".site-") as folder:
        whole = Path(folder, "site")
        whole.mkdir()
        try:
            make_site(arguments.source, whole, arguments.shadows, arguments.wrap)
        except (DrhtError, pyvips.Error) as error:
            sys.exit(f"{arguments.source}: {error}")
        os.replace(whole, site)
    print(f"python -m http.server --directory {arguments.site}", file=sys.stderr)


if __name__ == "__main__":
    main()
