"""Who is at the other end of a Unix socket."""

from __future__ import annotations

import os
import socket
import struct
import sys

_SOL_LOCAL, _LOCAL_PEERCRED = 0, 1
_XUCRED = struct.Struct("=II")
"""How macOS's `xucred` begins: its version, and the user; FreeBSD's alike."""


def is_own(connection: socket.socket) -> bool:
    """Return whether the process at the other end belongs to this process's user.

    Where the system does not tell, the folder that the socket lies in has to keep others out.

    Args:
        connection: a connected Unix socket.

    Raises:
        OSError: the other end has gone.
    """
    user = _user_of(connection)
    return user is None or user == os.geteuid()


def _user_of(connection: socket.socket) -> int | None:
    if hasattr(socket, "SO_PEERCRED"):
        size = struct.calcsize("3i")
        data = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
        return int(struct.unpack("iII", data)[1])
    if sys.platform == "darwin" or "bsd" in sys.platform:
        data = connection.getsockopt(_SOL_LOCAL, _LOCAL_PEERCRED, 76)
        return int(_XUCRED.unpack(data[: _XUCRED.size])[1])
    return None
