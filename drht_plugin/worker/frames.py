"""Encode and read the frames of the worker's protocol, checking every length."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from typing import Any

from drht_plugin.errors import InputError
from drht_plugin.storage import parse_json

PROTOCOL = 1
"""Version of the protocol, sent in the first request and its reply."""

MAX_MESSAGE_BYTES = 1 << 16
"""Greatest length of a message (bytes)."""

Message = dict[str, Any]
Read = Callable[[int], bytes]
"""(count) → at least one and at most `count` bytes; none at the end of the stream."""

_HEAD = struct.Struct("<4sI")
_MAGIC = b"DRHT"


class FrameError(InputError):
    """The bytes are not a frame, so that the rest of the stream is meaningless."""


def encode(message: Message) -> bytes:
    """Return a message as the bytes of a frame.

    Raises:
        FrameError: the message is longer than `MAX_MESSAGE_BYTES`.
    """
    body = json.dumps(message, allow_nan=False).encode()
    if len(body) > MAX_MESSAGE_BYTES:
        raise FrameError(f"a message has {len(body)} bytes; expected at most {MAX_MESSAGE_BYTES}")
    return _HEAD.pack(_MAGIC, len(body)) + body


def read(source: Read) -> Message | None:
    """Read the next message.

    Args:
        source: reads bytes from the stream.

    Returns:
        None at the end of the stream.

    Raises:
        FrameError: the bytes are not a frame, or the stream ends within one.
    """
    head = _read_exactly(source, _HEAD.size)
    if not head:
        return None
    if len(head) < _HEAD.size:
        raise FrameError(f"the stream ends within a frame, after {len(head)} bytes")
    magic, length = _HEAD.unpack(head)
    if magic != _MAGIC:
        raise FrameError(f"a frame begins with {magic!r}; expected {_MAGIC!r}")
    if length > MAX_MESSAGE_BYTES:
        raise FrameError(f"a frame announces {length} bytes; expected at most {MAX_MESSAGE_BYTES}")
    body = _read_exactly(source, length)
    if len(body) < length:
        raise FrameError(f"the stream ends within a frame, after {len(body)} of {length} bytes")
    return _parse(body)


def _read_exactly(source: Read, count: int) -> bytes:
    """Read `count` bytes; fewer only at the end of the stream."""
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
        message = parse_json(body)
    except ValueError as error:
        raise FrameError(f"a frame holds invalid JSON: {error}") from error
    if not isinstance(message, dict):
        raise FrameError(f"a frame holds a {type(message).__name__}; expected a JSON object")
    return message
