"""The folder of the sockets of workers that stay: it is this user's alone, and others are kept out.

All functions raise OSError where there are no such folders or sockets.
"""

import contextlib
import hashlib
import json
import os
import socket
import stat
import struct
import sys
import tempfile

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

_WAITING = 16  # connections that may wait for a worker
_SECONDS = 5  # that connecting may take
_SOL_LOCAL, _LOCAL_PEERCRED = 0, 1  # of macOS and the BSDs


@contextlib.contextmanager
def lock():
    """Open the folder, and keep other plug-ins from starting a worker meanwhile; yield its path."""
    if fcntl is None or not hasattr(socket, "AF_UNIX"):
        raise OSError("there are no Unix sockets")
    folder = _folder()
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        _require_private(folder, os.fstat(descriptor))
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield folder
    finally:
        os.close(descriptor)


def name_of(setup):
    """Return the name of the worker of this GIMP, of this installation."""
    gimp = os.getppid()
    facts = [gimp, _start_of(gimp), setup["command"], setup.get("version")]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]


def listen(path):
    """Return a socket that listens at a path."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(path)
        os.chmod(path, 0o600)
        listener.listen(_WAITING)
    except BaseException:
        listener.close()
        raise
    return listener


def connect(path):
    """Return a connection to the worker at a path; None if there is none."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.settimeout(_SECONDS)
        connection.connect(path)
        connection.settimeout(None)
        _require_own(connection)
    except (ConnectionRefusedError, FileNotFoundError):
        connection.close()
        return None
    except BaseException:
        connection.close()
        raise
    return connection


def remove_stale(folder):
    """Remove the sockets that no worker listens at any more, such as those of killed ones."""
    for name in os.listdir(folder):
        path = os.path.join(folder, name)
        if name.endswith(".sock"):
            with contextlib.suppress(OSError):
                connection = connect(path)
                if connection is None:
                    remove(path)
                else:
                    connection.close()


def remove(path):
    """Remove a socket, and the output of its worker."""
    for each in (path, path.removesuffix(".sock") + ".log"):
        with contextlib.suppress(OSError):
            os.unlink(each)


def _folder():
    """Return the folder, made if it is not there."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    places = [os.path.join(runtime, "drht-gimp")] if runtime and os.path.isabs(runtime) else []
    places.append(os.path.join(tempfile.gettempdir(), f"drht-gimp-{os.geteuid()}"))
    problem = None
    for place in places:
        try:
            with contextlib.suppress(FileExistsError):
                os.mkdir(place, 0o700)
            _require_private(place, os.lstat(place))
        except OSError as error:
            problem = error
        else:
            return place
    raise problem


def _require_private(folder, status):
    if not stat.S_ISDIR(status.st_mode):
        raise OSError(f"{folder}: is no folder")
    if status.st_uid != os.geteuid() or status.st_mode & 0o077:
        raise OSError(f"{folder}: is open to other users")


def _require_own(connection):
    """Check that the other end is this user's, where the system tells."""
    if hasattr(socket, "SO_PEERCRED"):
        size = struct.calcsize("iII")
        data = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
        user = struct.unpack("iII", data)[1]
    elif sys.platform == "darwin" or "bsd" in sys.platform:
        data = connection.getsockopt(_SOL_LOCAL, _LOCAL_PEERCRED, 76)
        user = struct.unpack("=II", data[:8])[1]
    else:
        return
    if user != os.geteuid():
        raise OSError("the worker belongs to another user")


def _start_of(process):
    """Return when a process started, as the system says it; None where it does not."""
    try:
        with open(f"/proc/{process}/stat", encoding="utf-8", errors="replace") as file:
            # The second field, a name in brackets, may hold anything.
            return file.read().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return None
