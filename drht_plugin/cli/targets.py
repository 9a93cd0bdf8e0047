"""Where the results of `drht correct` go, what they are called, and what kind they are."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from drht_plugin.cli.inputs import RESULT_ENDINGS, Input
from drht_plugin.errors import InputError

if TYPE_CHECKING:
    from drht_plugin.io import Bits

STDOUT = Path("-")
"""The output that stands for stdout."""

_ENDING = "-corrected"
_BITS: dict[str, Bits] = {"8": 8, "16": 16, "half": "half", "float": "float"}


@dataclass(frozen=True)
class Naming:
    """How results are named.

    Attributes:
        output: file or folder of the results; None puts each beside its picture.
        ending: what is added to a picture's name; None for "-corrected" beside the picture, and
            nothing in a folder.
        extension: suffix, dot included, of the format that is asked for; None keeps the picture's.
        jpeg: whether results that no file is named for are JPEG files.
    """

    output: Path | None = None
    ending: str | None = None
    extension: str | None = None
    jpeg: bool = False

    @property
    def endings(self) -> tuple[str, ...]:
        """What names of results beside their pictures end in."""
        return (*RESULT_ENDINGS, *([self.ending] if self.ending else []))

    def is_file(self, sources: Sequence[Input]) -> bool:
        """Return whether the output is the one result, rather than a folder of results."""
        output = self.output
        if output is None or output == STDOUT:
            return False
        return len(sources) == 1 and sources[0].named and self._names_a_file()

    def _names_a_file(self) -> bool:
        return bool(self.output and self.output.suffix) and not os.path.isdir(self.output or "")

    def target(self, source: Input, *, alone: bool) -> Path:
        """Return where a result goes if no other has the same name.

        Args:
            source: the picture.
            alone: whether the output is its result, see `is_file`.
        """
        from drht_plugin.io import is_jpeg_name, result_suffix

        if self.output is not None and alone:
            return self.output
        extension = self.extension or result_suffix(source.path)
        if self.jpeg and not is_jpeg_name(Path(f"a{extension}")):
            extension = ".jpg"
        stem = source.place.stem
        if self.output is None:
            ending = _ENDING if self.ending is None else self.ending
            return Path(source.path).parent / f"{stem}{ending}{extension}"
        return self.output / source.place.with_name(f"{stem}{self.ending or ''}{extension}")


def add_target_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that say where results go, and what kind they are.

    Args:
        parser: the subcommand's parser.
    """
    parser.add_argument(
        "-o",
        "--output",
        type=_output,
        help="where to write: a file (for one picture), a folder, NAME.zarr or its address, or - "
        "for stdout (default: NAME-corrected.EXT beside each picture)",
    )
    parser.add_argument(
        "--format",
        type=_extension,
        metavar="FORMAT",
        help="format of the results: jpeg, png, tiff, webp, avif, jxl, jp2, exr, hdr, pfm or ppm "
        "(default: the picture's own, or what the suffix of --output says)",
    )
    parser.add_argument(
        "--suffix",
        type=_ending,
        metavar="TEXT",
        help="what is added to a picture's name, such as -fixed for NAME-fixed.EXT "
        "(default: -corrected beside the picture, nothing in a folder)",
    )
    parser.add_argument(
        "--bits",
        type=_bits,
        metavar="{8,16,half,float}",
        help="depth of the results' pixels; what is lost is dithered (default: the picture's, or "
        "the nearest to it that the format holds)",
    )
    parser.add_argument(
        "--background",
        type=_ground,
        metavar="COLOUR",
        help="what transparent pixels are laid over where the format holds no alpha: white, "
        "black, gray or an sRGB colour like #8090a0 (default: white)",
    )
    existing = parser.add_mutually_exclusive_group()
    existing.add_argument(
        "--overwrite", action="store_true", help="replace results that already exist"
    )
    existing.add_argument(
        "--skip-existing",
        action="store_true",
        help="leave out pictures whose results already exist, such as those of an earlier run",
    )
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="write nothing; say what would be written, and what could not be",
    )


def with_endings(arguments: Sequence[str]) -> list[str]:
    """Join --suffix and its text, which argparse would take for options where it has a dash.

    Args:
        arguments: the command line.
    """
    joined: list[str] = []
    for argument in arguments:
        if joined and joined[-1] == "--suffix" and argument[:2] != "--":
            joined[-1] += f"={argument}"
        else:
            joined.append(argument)
    return joined


def naming_of(options: argparse.Namespace) -> Naming:
    """Return how results are named.

    Args:
        options: the parsed arguments.

    Raises:
        InputError: options contradict each other.
    """
    from drht_plugin.io import is_jpeg_name

    jpeg = bool(options.ultra_hdr)
    naming = Naming(options.output, options.suffix, options.format, jpeg)
    if jpeg and options.format and not is_jpeg_name(Path(f"a{options.format}")):
        raise InputError("an Ultra HDR picture is a JPEG; expected --format jpeg, or none")
    if naming.output == STDOUT:
        _require_for_stdout(options)
    return naming


def require_naming(naming: Naming, sources: Sequence[Input]) -> None:
    """Check that an output fits the pictures, before any work.

    Args:
        naming: how results are named.
        sources: the pictures.

    Raises:
        InputError: one file is named for several pictures; its suffix is not written, or is that of
            another format than the one that is asked for; or it has the pictures' ending, too.
    """
    from drht_plugin.io import is_jpeg_name, suffixes_of, writable_suffixes

    output = naming.output
    if output is None:
        return
    if not naming.is_file(sources):
        _require_no_file(output, len(sources))
        return
    suffix = output.suffix.lower()
    if naming.jpeg and not is_jpeg_name(output):
        raise InputError(f"{output}: an Ultra HDR picture is a JPEG; expected NAME.jpg")
    if suffix not in writable_suffixes():
        known = ", ".join(sorted(writable_suffixes()))
        raise InputError(f"{output}: suffix '{output.suffix}' is not written; these are: {known}")
    if naming.extension and suffix not in suffixes_of(naming.extension):
        raise InputError(
            f"{output}: is not named as --format {naming.extension[1:]} asks for; leave one out"
        )
    if naming.ending:
        raise InputError(f"{output}: is a whole name; --suffix adds to the names of pictures")


def _require_no_file(output: Path, count: int) -> None:
    """Refuse one file, there or not, as the result of several pictures or of a folder's."""
    if output == STDOUT:
        if count != 1:
            raise InputError(f"stdout takes one picture; {count} are given")
        return
    from drht_plugin.io import writable_suffixes

    named = output.suffix.lower() in writable_suffixes() and not output.is_dir()
    if named or os.path.isfile(output):
        pictures = f"{count} pictures" if count > 1 else "a folder's pictures"
        raise InputError(f"{output}: is one file for {pictures}; expected a folder")


def _require_for_stdout(options: argparse.Namespace) -> None:
    for name in ("hdr", "resume", "compare", "suffix", "skip_existing"):
        if getattr(options, name, None):
            option = name.replace("_", "-")
            raise InputError(f"--{option} needs a file; --output is -, which is stdout")
    if not options.dry_run and (sys.stdout is None or sys.stdout.isatty()):
        raise InputError("--output is -, which is stdout; it is a terminal, so redirect it")


def _output(text: str) -> Path | str:
    """Return a path; an address as it is, for a path has no //."""
    return text if "://" in text else Path(text)


def _extension(text: str) -> str:
    from drht_plugin.io import suffix_named, writable_suffixes

    suffix = suffix_named(text)
    if suffix is None:
        known = ", ".join(sorted(each[1:] for each in writable_suffixes()))
        raise argparse.ArgumentTypeError(f"{text!r} is not written; these are: {known}")
    return suffix


def _ending(text: str) -> str:
    if not text or set(text) & {"/", "\\", "\0", os.sep}:
        raise argparse.ArgumentTypeError(f"{text!r} cannot be a part of a file's name")
    return text


def _bits(text: str) -> Bits:
    found = _BITS.get(text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not one of 8, 16, half, float")
    return found


def _ground(text: str) -> str:
    from drht_plugin.io import parse_ground

    try:
        parse_ground(text)
    except InputError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return text
