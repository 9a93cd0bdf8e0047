"""Write large new files past the page cache."""

import errno
import mmap
import os
from pathlib import Path

from drht_plugin.storage import reserve

_CHUNK = 8 << 20
_DIRECT = getattr(os, "O_DIRECT", 0)


class DirectFile:
    """New file written sequentially, past the page cache where the system allows it.

    Copying a gigapixel into the page cache takes as much CPU time as correcting it, and evicts
    pages that are of more use.

    Args:
        path: of the new file; must not exist.
        size: bytes to reserve on the disk, at most as many as will be written.

    Raises:
        OSError: the disk is full, or the file cannot be made.
    """

    def __init__(self, path: Path, size: int) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
        try:
            self._file = os.open(path, flags | _DIRECT, 0o666)
            self._direct = bool(_DIRECT)
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            path.unlink(missing_ok=True)  # some file systems create it before they refuse
            self._file, self._direct = os.open(path, flags, 0o666), False
        self._open = True
        # Direct writes need page-aligned memory in whole pages, which a memory map provides.
        self._chunk = mmap.mmap(-1, _CHUNK)
        self._buffered = 0
        try:
            reserve(self._file, size)
        except BaseException:
            self.close()
            raise

    def write(self, data: memoryview) -> None:
        """Write the next bytes.

        Raises:
            OSError: they cannot be written.
        """
        while len(data):
            count = min(len(data), _CHUNK - self._buffered)
            self._chunk[self._buffered : self._buffered + count] = data[:count]
            self._buffered += count
            data = data[count:]
            if self._buffered == _CHUNK:
                self._flush()

    def _flush(self) -> None:
        left = memoryview(self._chunk)[: self._buffered]
        try:
            while len(left):
                try:
                    left = left[os.write(self._file, left) :]
                except OSError as error:
                    if not self._direct or error.errno != errno.EINVAL:
                        raise
                    self._go_buffered()
        finally:
            left.release()
        self._buffered = 0

    def _go_buffered(self) -> None:
        import fcntl  # exists wherever O_DIRECT does

        fcntl.fcntl(self._file, fcntl.F_SETFL, fcntl.fcntl(self._file, fcntl.F_GETFL) & ~_DIRECT)
        self._direct = False

    def finish(self, size: int, head: bytes) -> None:
        """Write the remaining bytes, set the file's size, replace its head and close it.

        Args:
            size: of the finished file, in bytes.
            head: replaces the file's first bytes.

        Raises:
            OSError: the file cannot be written.
        """
        if self._direct:
            self._go_buffered()
        self._flush()
        os.ftruncate(self._file, size)
        os.lseek(self._file, 0, os.SEEK_SET)
        self._chunk[: len(head)] = head
        self._buffered = len(head)
        self._flush()
        self.close()

    def close(self) -> None:
        """Close the file; may be called twice."""
        if self._open:
            self._open = False
            self._chunk.close()
            os.close(self._file)
