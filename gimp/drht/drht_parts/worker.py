"""The worker: another process, `drht worker`, that corrects the pixels.

docs/worker-protocol.md describes how it is talked to.
"""

import contextlib
import json
import os
import queue
import struct
import threading
import time

from .channels import open_channel
from .problem import INSTALL, Problem
from .text import _

PROTOCOL = 1

_HEADER = struct.Struct("<4sI")
_MAGIC = b"DRHT"
_LONGEST = 1 << 16
_HELLO_SECONDS = 120
_UNCHANGED = _("The image is unchanged.")
_AGAIN = _(
    "Try again. If it happens again, run `drht gimp check` in a terminal to find out what is wrong."
)
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
        text = _(
            "The plug-in does not know where drht_plugin is installed: {path} cannot be read "
            "({reason})."
        )
        raise Problem(f"{text.format(path=path, reason=error)}\n{INSTALL}") from error
    return setup


def own_version():
    """Return the version of drht_plugin that installed this plug-in."""
    return read_setup().get("version", "?")


class Worker:
    """The worker, for one correction; `close` ends what it does, and so does this process's end.

    Args:
        patience: longest time that a step waits for the worker before it yields, in seconds.

    Raises:
        Problem: the worker cannot be started.
    """

    def __init__(self, patience):
        self._patience, self._setup = patience, read_setup()
        self._greeted = False
        self._open()

    def _open(self):
        self._number = 0
        self._arrivals = queue.Queue()
        self._channel = open_channel(self._setup)
        arguments = self._channel, self._arrivals
        threading.Thread(target=_listen, args=arguments, daemon=True).start()

    def greet(self):
        """Check in steps that the worker speaks this plug-in's protocol; return its version."""
        hello = {"limit": _HELLO_SECONDS, "protocol": PROTOCOL}
        try:
            try:
                reply = yield from self.ask("hello", **hello)
            except WorkerEnded:
                if self._channel.is_new:
                    raise
                # One that stayed was about to end.
                self._channel.close()
                self._open()
                reply = yield from self.ask("hello", **hello)
        except Refusal as error:
            if error.code != "protocol":
                raise
            reply = {}
        if reply.get("protocol") != PROTOCOL:
            text = _(
                "The worker is from another version of drht_plugin than this plug-in ({version}) "
                "and speaks a different protocol."
            )
            raise Problem(f"{text.format(version=own_version())}\n{INSTALL}")
        self._greeted = True
        self._channel.keep()
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
            WorkerEnded: the worker has ended.
            Problem: it does not answer, or not by the protocol.
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
                    raise self._worker_problem(_("The worker does not answer{ending}.")) from None
                yield share
                continue
            if message is None:
                raise self._ended()
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
        """End what the worker does for this correction, at once."""
        self._channel.close()

    def _send(self, message):
        body = json.dumps(message).encode()
        try:
            self._channel.write(_HEADER.pack(_MAGIC, len(body)) + body)
        except (OSError, ValueError):
            raise self._ended() from None

    def _ended(self):
        problem = self._worker_problem(
            _("The worker has ended before it was done{ending}."), WorkerEnded
        )
        # One that ended at once would do so again.
        problem.may_start_again = self._greeted
        return problem

    def _worker_problem(self, what, kind=Problem):
        """Return a problem with how the worker ended and the last lines of its output.

        Args:
            what: what is wrong, with a place for the ending.
            kind: of the problem.
        """
        ending, output = self._channel.last_words()
        lines = [f"{what.format(ending=ending)} {_UNCHANGED}", _AGAIN]
        lines += [_("Output of the worker:"), *output] if output else []
        return kind("\n".join(lines))


class WorkerEnded(Problem):
    """The worker has ended in mid work.

    Attributes:
        may_start_again: whether another worker may do the work.
    """

    may_start_again = False


class Refusal(Problem):
    """A request that the worker refuses.

    Args:
        code: the protocol's error code.
        message: the worker's reason.
    """

    def __init__(self, code, message):
        super().__init__(_("The worker cannot do this: {reason}").format(reason=message))
        self.code = code


def _listen(channel, arrivals):
    """Queue the worker's messages; finally, None if it has ended, or what is wrong as text."""
    try:
        while True:
            head = channel.read(_HEADER.size)
            if not head:
                break
            magic, length = _HEADER.unpack(head)
            if magic != _MAGIC or length > _LONGEST:
                raise ValueError(head)
            message = json.loads(channel.read(length).decode())
            if not isinstance(message, dict):
                raise ValueError(message)
            arrivals.put(message)
    except OSError:
        pass  # it was killed
    except (ValueError, struct.error, RecursionError):
        arrivals.put(_("The worker sent an invalid answer{ending}."))
    arrivals.put(None)
