"""A large new file, written from its first byte to its last."""

import errno
import mmap
import os
from pathlib import Path

from drht_plugin.storage import reserve

_CHUNK = 8 << 20
_DIRECT = getattr(os, "O_DIRECT", 0)


class DirectFile:
    """Bytes into a new file, past the page cache where the system can.

    Copied into the page cache first, a gigapixel costs as much CPU time as it takes to correct it,
    and drives out what is of more use there.

    Args:
        path: Must not exist.
        size: Bytes that will come, at least; the disk is asked for them at once.

    Raises:
        OSError: No room, or the file cannot be made.
    """

    def __init__(self, path: Path, size: int) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
        try:
            self._file = os.open(path, flags | _DIRECT, 0o666)
            self._direct = bool(_DIRECT)
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            path.unlink(missing_ok=True)  # some file systems make it before they refuse
            self._file, self._direct = os.open(path, flags, 0o666), False
        self._open = True
        # Memory maps begin at a page, as direct writing demands; its chunks are whole pages.
        self._chunk = mmap.mmap(-1, _CHUNK)
        self._held = 0
        try:
            reserve(self._file, size)
        except BaseException:
            self.close()
            raise

    def write(self, data: memoryview) -> None:
        """Take the next bytes."""
        while len(data):
            count = min(len(data), _CHUNK - self._held)
            self._chunk[self._held : self._held + count] = data[:count]
            self._held += count
            data = data[count:]
            if self._held == _CHUNK:
                self._flush()

    def _flush(self) -> None:
        left = memoryview(self._chunk)[: self._held]
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
        self._held = 0

    def _go_buffered(self) -> None:
        import fcntl  # where O_DIRECT is, this is too

        fcntl.fcntl(self._file, fcntl.F_SETFL, fcntl.fcntl(self._file, fcntl.F_GETFL) & ~_DIRECT)
        self._direct = False

    def finish(self, size: int, head: bytes) -> None:
        """Write what is held; end the file at `size` bytes, and replace its first ones."""
        if self._direct:
            self._go_buffered()
        self._flush()
        os.ftruncate(self._file, size)
        os.lseek(self._file, 0, os.SEEK_SET)
        self._chunk[: len(head)] = head
        self._held = len(head)
        self._flush()
        self.close()

    def close(self) -> None:
        """Let the file go."""
        if self._open:
            self._open = False
            self._chunk.close()
            os.close(self._file)
