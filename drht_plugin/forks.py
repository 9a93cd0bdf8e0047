"""Notice that the process was forked after first use of a library that keeps threads.

A fork takes along the thread that forks, and no other. A library that waits for its own threads in
the new process waits for ever.
"""

import os

from drht_plugin.errors import ForkError

_used_in: dict[str, int] = {}
"""The process that first used each library."""


def require_own_process(library: str) -> None:
    """Note that this process uses a library; refuse one that was in use before a fork.

    Call it before each use; it costs a system call.

    Args:
        library: its name.

    Raises:
        ForkError: the library was used before this process was forked.
    """
    process = os.getpid()
    if _used_in.setdefault(library, process) != process:
        raise ForkError(
            f"{library} was in use before this process was forked, and its threads are missing "
            "here; fork before the first use, or start processes by 'spawn' or 'forkserver'"
        )
