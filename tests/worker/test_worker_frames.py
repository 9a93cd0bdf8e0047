"""The worker's frames and requests, under what no client should send."""

from __future__ import annotations

import io
import json
import random
import struct
import subprocess
import sys
from collections.abc import Callable
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import corrector

from drht_plugin import Corrector
from drht_plugin.engine.weigh import Correctors
from drht_plugin.worker import frames
from drht_plugin.worker.frames import FrameError, Message
from drht_plugin.worker.pictures import PictureStore
from drht_plugin.worker.session import ProtocolError, Session

FRAMES = 10_000
MOST_BYTES = 1 << 16

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**40), 2**40)
    | st.floats(allow_nan=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


def source(data: bytes, most: int = 1 << 20) -> frames.Read:
    """Reads from bytes, at most so many at a time; asking for much fails: pipes allocate it."""
    stream = io.BytesIO(data)

    def read(count: int) -> bytes:
        assert 0 < count <= frames.MAX_MESSAGE_BYTES
        return stream.read(min(count, most))

    return read


@given(
    messages=st.lists(
        st.dictionaries(st.text(), values.filter(lambda v: v not in (float("inf"), -float("inf")))),
        max_size=4,
    ),
    most=st.integers(1, 9),
)
def test_messages_come_back(messages: list[Message], most: int) -> None:
    """What is encoded is read again, in whatever pieces it arrives, and then the end."""
    try:
        data = b"".join(frames.encode(message) for message in messages)
    except ValueError:
        assert "Infinity" in json.dumps(messages)  # what JSON has not is not sent
        return
    read = source(data, most)
    assert [frames.read(read) for _ in messages] == messages
    assert frames.read(read) is None


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[1]",
        b"null",
        b"{",
        b"\xff\xfe",
        b'{"a": NaN}',
        b'{"a": ' + b"[" * 60_000,
        b'{"a": ' + b"1" * 60_000 + b"}",
    ],
    ids=["empty", "list", "null", "cut", "not UTF-8", "NaN", "deep", "huge number"],
)
def test_bodies_that_are_no_message(body: bytes) -> None:
    """A frame that holds no JSON object is refused as such, and nothing else happens."""
    with pytest.raises(FrameError, match="a frame holds"):
        frames.read(source(b"DRHT" + struct.pack("<I", len(body)) + body))


def test_announced_length_is_not_believed() -> None:
    """A frame that announces gigabytes is refused before any of them is asked for."""
    with pytest.raises(FrameError, match="announces 4294967295 bytes; expected at most 65536"):
        frames.read(source(b"DRHT\xff\xff\xff\xff" + b"x" * 100))


def noise(chance: random.Random) -> bytes:
    """Bytes that may be a frame: random, truncated, bent, or of random messages."""
    message = json.dumps(request(chance)).encode()
    frame = b"DRHT" + struct.pack("<I", len(message)) + message
    kind = chance.randrange(5)
    if kind == 0:
        return chance.randbytes(chance.randrange(40))
    if kind == 1:
        return frame[: chance.randrange(len(frame))]
    if kind == 2:
        bent = bytearray(frame)
        bent[chance.randrange(len(bent))] = chance.randrange(256)
        return bytes(bent)
    if kind == 3:
        return b"DRHT" + struct.pack("<I", chance.randrange(1 << 32)) + message
    return frame


def request(chance: random.Random) -> Message:
    """A request that is nearly right."""
    fields: dict[str, Callable[[], Any]] = {
        "protocol": lambda: 1,
        "height": lambda: chance.randrange(1, 40),
        "width": lambda: chance.randrange(1, 40),
        "channels": lambda: chance.randrange(1, 5),
        "dtype": lambda: chance.choice(["uint8", "uint16", "float16", "float32"]),
        "picture": lambda: chance.randrange(3),
        "side": lambda: chance.randrange(1, 30),
        "transfer": lambda: chance.choice(["srgb", "linear"]),
        "wrap": lambda: chance.random() < 0.5,
        "strength": lambda: chance.random(),
        "shadows": lambda: chance.random(),
        "highlights": lambda: chance.random(),
        "detail": lambda: "guided",
    }
    wrong: list[Any] = [None, -1, 1 << 40, 1e308, "x", [], {}, True, -0.5, "uint8" * 900]
    kinds = {
        "hello": ["protocol"],
        "status": [],
        "allocate": ["height", "width", "channels", "dtype"],
        "shrink": ["picture", "side"],
        "survey": ["picture", "transfer", "wrap"],
        "render": ["picture", "strength", "shadows", "highlights", "detail"],
    }
    kind = chance.choice(list(kinds))
    made: Message = {"type": kind, "id": chance.randrange(1000)}
    for name in kinds[kind]:
        made[name] = fields[name]() if chance.random() < 0.95 else chance.choice(wrong)
    if chance.random() < 0.03:
        made[chance.choice(["id", "type", "more"])] = chance.choice(wrong)
    return made


class AlwaysOne:
    """Stand-in for `Correctors`, whose networks are a stand-in."""

    def for_work(self, _pixels: int, _detail: str = "auto") -> Corrector:
        return corrector()


def test_ten_thousand_frames() -> None:
    """Random and truncated frames end in a reply or a refusal, and take no more than is allowed.

    The networks are a stand-in; a session that was ended by a wrong frame is followed by a new one.
    """
    chance = random.Random(7)
    replies: list[Message] = []

    def session() -> tuple[PictureStore, Session]:
        store = PictureStore(MOST_BYTES)
        return store, Session(cast(Correctors, AlwaysOne()), "stub", store, replies.append)

    outcomes = dict.fromkeys(["no frame", "protocol", "done", "error"], 0)
    store, current = session()
    greeting = {"type": "hello", "id": 0, "protocol": 1}
    current.handle(greeting)
    try:
        for _ in range(FRAMES):
            try:
                message = frames.read(source(noise(chance)))
                if message is None:
                    continue
                replies.clear()
                current.handle(message)
            except FrameError:
                outcomes["no frame"] += 1
                continue
            except ProtocolError:
                outcomes["protocol"] += 1
            last = replies[-1]
            assert last["type"] in ("done", "error")
            assert all(each["type"] == "progress" for each in replies[:-1])
            assert len(frames.encode(last)) < frames.MAX_MESSAGE_BYTES
            assert last.get("bytes", 0) <= MOST_BYTES
            outcomes[last["type"]] += 1
            if last.get("code") == "protocol" or chance.random() < 0.05:
                store.close()
                store, current = session()
                current.handle(greeting)
    finally:
        store.close()
    # All of it was reached: frames that are none, requests refused, and requests done.
    assert outcomes["no frame"] > 3000
    assert outcomes["error"] > 300
    assert outcomes["done"] > 300
    assert outcomes["protocol"] > 3


def test_a_real_worker_ends_on_nonsense() -> None:
    """Of real processes each ends by itself with code 2 and says why, whatever came."""
    chance = random.Random(3)
    hello = frames.encode({"type": "hello", "id": 0, "protocol": 1})
    endings = [
        b"GET / HTTP/1.1\r\n\r\n",
        b"DRHT\xff\xff\xff\xff" + chance.randbytes(50),
        hello + frames.encode({"type": "status", "id": 1})[:-3],
        chance.randbytes(1 << 20),
    ]
    command = [sys.executable, "-m", "drht_plugin.cli", "worker", "--max-bytes", "65536"]
    running = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) for _ in endings
    ]
    for process, data in zip(running, endings, strict=True):
        output, _ = process.communicate(data, timeout=120)
        assert process.returncode == 2
        read, replies = source(output), []
        while (reply := frames.read(read)) is not None:
            replies.append(reply)
        # A request before the nonsense may be answered meanwhile.
        [error] = [reply for reply in replies if reply["type"] == "error"]
        assert error["code"] == "frame"
