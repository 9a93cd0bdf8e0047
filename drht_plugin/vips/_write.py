"""Write an image to a file, complete or not at all."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pyvips

from drht_plugin.errors import InputError, WriteError
from drht_plugin.libvips.lazy import run
from drht_plugin.libvips.said import said
from drht_plugin.storage import replacing


def write(image: pyvips.Image, target: str | os.PathLike[str], **options: Any) -> None:
    """Write an image to a file, complete or not at all.

    Like `image.write_to_file(target, **options)`, whose sinks leave an unfinished file when they
    fail, and ignore Ctrl-C. This function writes to a temporary file beside the target, and
    renames it when it is complete.

    Args:
        image: to write.
        target: its suffix names the format; an existing file is replaced.
        **options: of the format's saver.

    Raises:
        InputError: it is no image.
        WriteError: the file cannot be written.
        BaseException: the original exception of the pipeline; see `run`.
    """
    if not isinstance(image, pyvips.Image):
        raise InputError(f"the image is a {type(image).__name__}; expected a pyvips.Image")
    path = Path(target)
    try:
        with replacing(path) as temporary:
            run(image, lambda: image.write_to_file(str(temporary), **options))
    except pyvips.Error as error:
        raise WriteError(f"{path.name}: cannot be written: {said(error)}") from error
    except OSError as error:
        raise WriteError(f"{path.name}: cannot be written: {error.strerror or error}") from error
