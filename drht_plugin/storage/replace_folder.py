"""Replace a folder of files, which appears whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from drht_plugin.storage.scratch import scratch_folder


@contextmanager
def replacing_folder(target: Path) -> Iterator[Path]:
    """Replace a folder by the one that the body fills, once that is complete.

    When the body raises, what it wrote is removed and `target` is left as it was. Unfinished
    folders of killed processes are removed by the next one that writes there.

    Args:
        target: the folder to replace or create; its parent exists. Where it is a link, the folder
            it points to is meant.

    Yields:
        The path of an empty folder, which the body is to fill. What it writes beside that folder is
        removed.

    Raises:
        OSError: the folder cannot be stored.
    """
    real = Path(os.path.realpath(target))
    with scratch_folder(real.parent) as place:
        new, old = place / "new", place / "replaced"
        new.mkdir()
        yield new
        replaces = real.exists()
        if replaces:  # a folder with files in it cannot be renamed over
            os.rename(real, old)
        try:
            os.rename(new, real)
        except OSError:
            if replaces:
                with suppress(OSError):
                    os.rename(old, real)
            raise
