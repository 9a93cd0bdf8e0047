"""The worker: a child process, `drht worker`, that corrects the pixels.

docs/worker-protocol.md describes how it is talked to.
"""

import contextlib
import json
import os
import queue
import struct
import subprocess
import sys
import tempfile
import threading
import time

from .problem import INSTALL, Problem

VERSION = "0.1.0"
PROTOCOL = 1

_HEADER = struct.Struct("<4sI")
_MAGIC = b"DRHT"
_LONGEST = 1 << 16
_HELLO_SECONDS = 120
_FOLDER = os.path.dirname(os.path.abspath(__file__))


def read_setup():
    """Read worker.json: the worker's command, and the kinds of detail that it has.

    Raises:
        Problem: it is missing or malformed.
    """
    path = os.path.join(os.path.dirname(_FOLDER), "worker.json")
    try:
        with open(path, encoding="utf-8") as file:
            setup = json.load(file)
        command, details = setup["command"], setup["details"]
        if not all(isinstance(each, str) for each in [*command, *details]) or not command:
            raise ValueError("command and details must be lists of text")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Problem(
            f"The plug-in does not know where drht_plugin is installed: {path} cannot be read "
            f"({error}).\n{INSTALL}"
        ) from error
    return setup


class Worker:
    """The child process that corrects; `close` ends it, and so does the end of this process.

    Args:
        patience: longest time that a step waits for the worker before it yields, in seconds.

    Raises:
        Problem: the worker cannot be started.
    """

    def __init__(self, patience):
        self._patience, self._number = patience, 0
        self._arrivals = queue.Queue()
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115
        command = read_setup()["command"]
        # GIMP's settings for its own Python and libraries must not reach the worker.
        foreign = ("PYTHON", "LD_", "DYLD_", "GI_", "GIO_")
        environment = {k: v for k, v in os.environ.items() if not k.startswith(foreign)}
        flags = {"creationflags": subprocess.CREATE_NO_WINDOW} if sys.platform == "win32" else {}
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._stderr,
                env=environment,
                **flags,
            )
        except OSError as error:
            self._stderr.close()
            raise Problem(
                f"The worker cannot be started: {command[0]}: {error.strerror}. Perhaps the Python "
                f"in which drht_plugin was installed has been moved or removed.\n{INSTALL}"
            ) from error
        threading.Thread(target=self._listen, daemon=True).start()

    def greet(self):
        """Check in steps that the worker speaks this plug-in's protocol; return its version."""
        try:
            reply = yield from self.ask("hello", limit=_HELLO_SECONDS, protocol=PROTOCOL)
        except Refusal as error:
            if error.code != "protocol":
                raise
            reply = {}
        if reply.get("protocol") != PROTOCOL:
            raise Problem(
                f"The worker is from another version of drht_plugin than this plug-in ({VERSION}) "
                f"and speaks a different protocol.\n{INSTALL}"
            )
        return reply.get("version")

    def ask(self, kind, limit=None, **fields):
        """Send a request and wait for its reply in steps.

        Args:
            kind: type of the request.
            limit: longest time to wait for an answer, in seconds; None for no limit.
            fields: fields of the request.

        Yields:
            The share of the work that is done, 0 to 1.

        Returns:
            The reply.

        Raises:
            Refusal: the worker refuses the request.
            Problem: the worker has ended or does not answer.
        """
        self._number += 1
        self._send({"type": kind, "id": self._number, **fields})
        end = None if limit is None else time.monotonic() + limit
        share = 0.0
        while True:
            try:
                message = self._arrivals.get(timeout=self._patience)
            except queue.Empty:
                if end is not None and time.monotonic() > end:
                    raise self._worker_problem("The worker does not answer") from None
                yield share
                continue
            if isinstance(message, str):
                raise self._worker_problem(message)
            if message.get("type") == "error" and message.get("id") in (None, self._number):
                raise Refusal(str(message.get("code")), str(message.get("message")))
            if message.get("id") != self._number:
                continue  # belongs to a request that was abandoned
            if message.get("type") == "done":
                return message
            with contextlib.suppress(TypeError, ValueError):
                share = min(1.0, max(0.0, float(message.get("share"))))
            yield share

    def close(self):
        """End the worker at once."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._stderr):
            with contextlib.suppress(OSError):
                stream.close()

    def _send(self, message):
        body = json.dumps(message).encode()
        try:
            self._process.stdin.write(_HEADER.pack(_MAGIC, len(body)) + body)
            self._process.stdin.flush()
        except (OSError, ValueError):
            raise self._worker_problem("The worker has ended") from None

    def _listen(self):
        """Read messages into the queue; finally, add the reason why there are no more, as text."""
        source = self._process.stdout
        try:
            while True:
                head = source.read(_HEADER.size)
                if not head:
                    self._arrivals.put("The worker has ended before it was done")
                    return
                magic, length = _HEADER.unpack(head)
                if magic != _MAGIC or length > _LONGEST:
                    raise ValueError(head)
                message = json.loads(source.read(length).decode())
                if not isinstance(message, dict):
                    raise ValueError(message)
                self._arrivals.put(message)
        except (OSError, ValueError, struct.error, RecursionError):
            self._arrivals.put("The worker sent an invalid answer")

    def _worker_problem(self, what):
        """Return a problem with the worker's exit code and the last lines of its output."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=2)
        code = self._process.poll()
        how = "" if code is None else f" (signal {-code})" if code < 0 else f" (exit code {code})"
        self._stderr.seek(0, os.SEEK_END)
        self._stderr.seek(max(0, self._stderr.tell() - 2000))
        lines = self._stderr.read().decode(errors="replace").strip().splitlines()[-8:]
        output = "\nOutput of the worker:\n" + "\n".join(lines) if lines else ""
        return Problem(
            f"{what}{how}. The image is unchanged.\nTry again. If it happens again, run "
            f"`drht gimp check` in a terminal to find out what is wrong.{output}"
        )


class Refusal(Problem):
    """A request that the worker refuses.

    Args:
        code: the protocol's error code.
        message: the worker's reason.
    """

    def __init__(self, code, message):
        super().__init__(f"The worker cannot do this: {message}")
        self.code = code
