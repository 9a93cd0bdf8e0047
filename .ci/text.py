#!/usr/bin/env python3
"""Checks text files: no trailing blanks, one newline at the end, YAML and TOML that can be read.

.ci/text.py [FILE ...]      without files: all that are committed
"""

import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import yaml

BINARY = {".jpg", ".mo", ".npz", ".png", ".safetensors"}
VENDORED = ("drht_plugin/compare/viewer/openseadragon/",)  # as published, byte for byte


def faults(path: Path) -> Iterator[str]:
    """What is wrong with a file."""
    text = path.read_bytes().decode("utf-8")
    if text and (not text.endswith("\n") or text.endswith("\n\n")):
        yield "does not end with one newline"
    if any(line != line.rstrip() for line in text.split("\n")):
        yield "has lines that end with blanks"
    if "\n<<<<<<< " in text or "\n>>>>>>> " in text:
        yield "has a merge conflict"
    try:
        if path.suffix in {".yaml", ".yml"}:
            yaml.compose(text)  # tags of tools are not resolved
        elif path.suffix == ".toml":
            tomllib.loads(text)
    except (yaml.YAMLError, tomllib.TOMLDecodeError) as error:
        yield f"cannot be read: {error}"


def main() -> int:
    """Print the faults of the files; 1 if there are any."""
    listed = sys.argv[1:] or subprocess.check_output(["git", "ls-files"], text=True).splitlines()
    files = [
        Path(name)
        for name in listed
        if Path(name).suffix not in BINARY and not name.startswith(VENDORED)
    ]
    found = [f"{path}: {fault}" for path in files if path.is_file() for fault in faults(path)]
    print("\n".join(found), end="\n" if found else "")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
