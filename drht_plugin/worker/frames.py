"""Frames of the worker's protocol: bytes to messages and back, with every length checked."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from typing import Any, NoReturn

from drht_plugin.errors import InputError

PROTOCOL = 1
"""Version of the protocol; the first request and its reply carry it."""

LONGEST = 1 << 16
"""Most bytes of a message."""

Message = dict[str, Any]
Read = Callable[[int], bytes]

_HEAD = struct.Struct("<4sI")
_MAGIC = b"DRHT"


class FrameError(InputError):
    """Bytes that are no frame: what follows them in the stream means nothing."""


def encode(message: Message) -> bytes:
    """One message as a frame.

    Raises:
        FrameError: the message is too long.
    """
    body = json.dumps(message, allow_nan=False).encode()
    if len(body) > LONGEST:
        raise FrameError(f"a message has {len(body)} bytes; expected at most {LONGEST}")
    return _HEAD.pack(_MAGIC, len(body)) + body


def read(source: Read) -> Message | None:
    """The next message; None at the end of the stream.

    source: gives at most so many bytes, at least one, or none at the end.

    Raises:
        FrameError: what came is no frame, or the stream ends within one.
    """
    head = _exactly(source, _HEAD.size)
    if not head:
        return None
    if len(head) < _HEAD.size:
        raise FrameError(f"the stream ends within a frame, after {len(head)} bytes")
    magic, length = _HEAD.unpack(head)
    if magic != _MAGIC:
        raise FrameError(f"a frame begins with {magic!r}; expected {_MAGIC!r}")
    if length > LONGEST:
        raise FrameError(f"a frame announces {length} bytes; expected at most {LONGEST}")
    body = _exactly(source, length)
    if len(body) < length:
        raise FrameError(f"the stream ends within a frame, after {len(body)} of {length} bytes")
    return _parse(body)


def _exactly(source: Read, count: int) -> bytes:
    """So many bytes, or what there is before the end."""
    parts = []
    while count:
        part = source(count)
        if not part:
            break
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


def _parse(body: bytes) -> Message:
    try:
        message = json.loads(body.decode(), parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise FrameError(f"a frame holds no JSON: {error}") from error
    if not isinstance(message, dict):
        raise FrameError(f"a frame holds a {type(message).__name__}; expected a JSON object")
    return message


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")
