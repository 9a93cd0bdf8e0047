#!/usr/bin/env python3
"""Brings OpenSeadragon, the viewer of the pages of `drht compare`, into the package.

.ci/vendor.py      fetches the release below with npm, checks it, and replaces the files

To go to another release, change VERSION, and INTEGRITY to what `npm view openseadragon@VERSION
dist.integrity` says.
"""

import base64
import hashlib
import subprocess
import tarfile
import tempfile
from pathlib import Path

VERSION = "6.1.1"
INTEGRITY = (
    "sha512-g4iKe2q8B642SaBT3+x4ZF3/8b1TxPPydyjmtrOLgDrlYWMKd9ZXM+1Cb/xa9DVySkvs/7l6HR1nHKfD5F3Tsw"
    "=="
)
VIEWER = Path(__file__).parents[1] / "drht_plugin" / "compare" / "viewer" / "openseadragon"
FILES = {
    "package/build/openseadragon/openseadragon.min.js": "openseadragon.min.js",
    "package/LICENSE.txt": "LICENSE.txt",
}


def main() -> None:
    """Fetch, check and store the files, byte for byte as they are published."""
    with tempfile.TemporaryDirectory() as folder:
        command = ["npm", "pack", "--silent", f"openseadragon@{VERSION}"]
        subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
        [archive] = Path(folder).glob("*.tgz")
        kind, _, expected = INTEGRITY.partition("-")
        found = base64.b64encode(hashlib.new(kind, archive.read_bytes()).digest()).decode()
        if found != expected:
            raise SystemExit(f"{archive.name}: its {kind} is {found}; expected {expected}")
        with tarfile.open(archive) as package:
            for member, name in FILES.items():
                content = package.extractfile(member)
                assert content is not None
                (VIEWER / name).write_bytes(content.read())
    print(f"{VIEWER}: OpenSeadragon {VERSION}")


if __name__ == "__main__":
    main()
