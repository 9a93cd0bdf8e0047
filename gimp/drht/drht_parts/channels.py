"""The two ways to a worker: one that stays for GIMP's session, or a child process for one run.

Both have `read(count)`, `write(data)`, `close()`, and `last_words()`, which tells how the worker
ended.
"""

import contextlib
import os
import subprocess
import sys
import tempfile

from . import session_folder
from .environment import for_worker
from .problem import INSTALL, Problem
from .text import _

IDLE_SECONDS = 600
"""How long a worker that stays is kept without a run."""

_TAIL = 2000  # bytes of the worker's output that a message shows the last lines of


def open_channel(setup):
    """Return a channel to the worker that stays; where none can stay, to one for this run.

    Args:
        setup: see `worker.read_setup`.

    Raises:
        Problem: the worker cannot be started.
    """
    try:
        return SessionWorker(setup)
    except OSError:
        # No Unix sockets, as on Windows, or no folder to keep one in.
        return ChildWorker(setup["command"])


class SessionWorker:
    """A connection to the worker that stays for GIMP's session; it is started if there is none.

    Args:
        setup: see `worker.read_setup`.

    Attributes:
        is_new: whether the worker was started now.

    Raises:
        OSError: no worker can stay here.
        Problem: the worker cannot be started.
    """

    def __init__(self, setup):
        self._process, self._greeted = None, False
        with session_folder.lock() as folder:
            name = session_folder.name_of(setup)
            self._path = os.path.join(folder, f"{name}.sock")
            log = os.path.join(folder, f"{name}.log")
            connection = session_folder.connect(self._path)
            if connection is None:
                session_folder.remove_stale(folder)
                connection = self._start(setup["command"], log)
            self._log = open(log, "rb")  # noqa: SIM115
        self.is_new = self._process is not None
        self._connection, self._source = connection, connection.makefile("rb")

    def _start(self, command, log):
        stays = ["--stay", str(IDLE_SECONDS), "--parent", str(os.getppid())]
        try:
            with session_folder.listen(self._path) as listener, open(log, "wb") as output:
                # A session of its own, since the plug-in is not the last to be served.
                apart = {"start_new_session": True, "cwd": os.sep}
                self._process = _start([*command, *stays], listener, output, output, **apart)
                return session_folder.connect(self._path)
        except (OSError, Problem):
            session_folder.remove(self._path)
            raise

    def read(self, count):
        """Read bytes; fewer than `count` only at the end."""
        return self._source.read(count)

    def write(self, data):
        """Write all bytes."""
        self._connection.sendall(data)

    def keep(self):
        """Let the worker stay when the channel is closed; it has answered."""
        self._greeted = True

    def close(self):
        """Leave the worker, which stops what it does for this run; end it if it never answered."""
        # Shut down first: a reading thread holds the connection open otherwise.
        with contextlib.suppress(OSError):
            self._connection.shutdown(2)
        if self._process is not None and not self._greeted:
            self._process.kill()
            self._process.wait()
            session_folder.remove(self._path)
        self._connection.close()
        self._log.close()

    def last_words(self):
        """Return how the worker ended, and the last of its output."""
        return _ending(self._process), _tail(self._log)


class ChildWorker:
    """A worker that is a child process, and ends with this one.

    Args:
        command: the worker's command.

    Raises:
        Problem: the worker cannot be started.
    """

    is_new = True

    def __init__(self, command):
        self._log = tempfile.TemporaryFile()  # noqa: SIM115
        pipe = subprocess.PIPE
        try:
            self._process = _start(command, pipe, pipe, self._log)
        except Problem:
            self._log.close()
            raise

    def read(self, count):
        """Read bytes; fewer than `count` only at the end."""
        return self._process.stdout.read(count)

    def write(self, data):
        """Write all bytes."""
        self._process.stdin.write(data)
        self._process.stdin.flush()

    def keep(self):
        """Do nothing: it does not stay."""

    def close(self):
        """End the worker at once."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._log):
            with contextlib.suppress(OSError):
                stream.close()

    def last_words(self):
        """Return how the worker ended, and the last of its output."""
        return _ending(self._process), _tail(self._log)


def _start(command, stdin, stdout, stderr, **settings):
    environment = for_worker(os.environ)
    if sys.platform == "win32":
        settings["creationflags"] = subprocess.CREATE_NO_WINDOW
    try:
        return subprocess.Popen(
            command, stdin=stdin, stdout=stdout, stderr=stderr, env=environment, **settings
        )
    except OSError as error:
        text = _(
            "The worker cannot be started: {program}: {reason}. Perhaps the Python in which "
            "drht_plugin was installed has been moved or removed."
        ).format(program=command[0], reason=error.strerror)
        raise Problem(f"{text}\n{INSTALL}") from error


def _ending(process):
    """Return how a process ended; empty text if it is not known."""
    if process is None:
        return ""
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(timeout=2)
    code = process.poll()
    if code is None:
        return ""
    said = _("signal {number}") if code < 0 else _("exit code {number}")
    return f" ({said.format(number=abs(code))})"


def _tail(log):
    log.seek(0, os.SEEK_END)
    log.seek(max(0, log.tell() - _TAIL))
    return log.read().decode(errors="replace").strip().splitlines()[-8:]
