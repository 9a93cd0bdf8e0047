"""Write an image to a file, all or nothing."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pyvips

from drht_plugin.errors import WriteError, first_line
from drht_plugin.libvips.lazy import run
from drht_plugin.storage import replacing


def write(image: pyvips.Image, target: str | os.PathLike[str], **options: Any) -> None:
    """`image.write_to_file(target, **options)`, but whole or not at all.

    libvips' own sinks leave what they have written when they fail, and do not hear Ctrl-C. This
    one writes under a temporary name beside the target, and renames the file when it is whole.

    Args:
        target: its suffix names the format; an existing file is replaced.
        options: of the format's saver.

    Raises:
        WriteError: the file cannot be written.
        BaseException: what went wrong in the pipeline; see `run`.
    """
    path = Path(target)
    try:
        with replacing(path) as temporary:
            run(image, lambda: image.write_to_file(str(temporary), **options))
    except pyvips.Error as error:
        said = first_line(error.detail or str(error))
        raise WriteError(f"{path.name}: cannot be written: {said}") from error
    except OSError as error:
        raise WriteError(f"{path.name}: cannot be written: {error.strerror or error}") from error
