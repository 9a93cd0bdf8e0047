"""Handle the worker's requests, independently of processes and streams."""

from __future__ import annotations

import base64
import sys
import threading
import traceback
from collections.abc import Callable
from typing import Any

from drht_plugin._version import __version__
from drht_plugin.engine.corrector import Corrector
from drht_plugin.engine.pixels import spec_of
from drht_plugin.engine.plan import DETAILS, require_detail
from drht_plugin.engine.scene import Scene
from drht_plugin.engine.strength import Strength
from drht_plugin.engine.weigh import Correctors, count_pixels
from drht_plugin.errors import Cancelled, DrhtError, InputError
from drht_plugin.geometry import Region
from drht_plugin.worker.frames import PROTOCOL, Message
from drht_plugin.worker.pictures import PictureStore, SharedPicture, shrink_to
from drht_plugin.worker.windows import ShownWindow, resize_scene

Send = Callable[[Message], None]

_PROGRESS_STEP = 0.01
"""Least difference between two reports of progress (share of the work)."""

_READING = 0.6
"""Share of a survey that reading the picture takes; then the networks run."""

_MAX_ERROR_CHARS = 4000

_PATIENCE = 1.0
"""Time that a client has to read why its session ends (seconds)."""


class ProtocolError(InputError):
    """The client speaks another version of the protocol, or does not start with `hello`."""


class Session:
    """Session of one client, with the scene of its last survey.

    Args:
        correctors: the networks to use.
        model: their name, for status replies.
        pictures: holds the client's pictures.
        send: sends a reply; raises Cancelled if the client has gone.
        require_client: is called while work goes on; raises Cancelled if the client has gone.
    """

    def __init__(
        self,
        correctors: Correctors,
        model: str,
        pictures: PictureStore,
        send: Send,
        require_client: Callable[[], None] = lambda: None,
    ) -> None:
        self._correctors, self._model = correctors, model
        self._pictures, self._send = pictures, send
        self._require_client = require_client
        self._greeted = False
        self._warming: threading.Thread | None = None
        self._scene: Scene | None = None
        self._windows: dict[int, ShownWindow] = {}

    def handle(self, request: Message) -> None:
        """Handle a request and send its replies, errors included.

        Raises:
            ProtocolError: the client does not speak the protocol; an error has been sent.
            Cancelled: the client has gone.
        """
        number = request.get("id")
        try:
            if type(number) is not int or not 0 <= number < 1 << 31:
                raise InputError(f"id is {number!r}; expected a whole number from 0 below 2³¹")
            self._dispatch(request, number)
        except ProtocolError as error:
            self._fail(number, "protocol", str(error))
            raise
        except Cancelled:
            raise
        except InputError as error:
            self._fail(number, "request", str(error))
        except (DrhtError, OSError, MemoryError) as error:
            self._fail(number, "failed", str(error) or type(error).__name__)
        except Exception as error:
            traceback.print_exc(file=sys.stderr)
            self._fail(number, "failed", f"{type(error).__name__}: {error}")

    def _dispatch(self, request: Message, number: int) -> None:
        kinds: dict[str, Callable[..., Message]] = {
            "hello": self._hello,
            "status": self._status,
            "allocate": self._allocate,
            "shrink": self._shrink,
            "window": self._window,
            "release": self._release,
            "survey": self._survey,
            "render": self._render,
        }
        fields = {name: value for name, value in request.items() if name not in ("type", "id")}
        kind = request.get("type")
        if not isinstance(kind, str) or kind not in kinds:
            raise InputError(f"type is {kind!r}; expected one of {', '.join(kinds)}")
        if not self._greeted and kind != "hello":
            raise ProtocolError(f"the first request is {kind!r}; expected 'hello'")
        expected, optional = _FIELDS[kind], _OPTIONAL.get(kind, ())
        if not set(expected) <= set(fields) <= {*expected, *optional}:
            names = ", ".join(expected) or "none"
            also = f", and perhaps {', '.join(optional)}" if optional else ""
            raise InputError(f"{kind} has the fields {sorted(fields)}; expected {names}{also}")
        if kind not in ("hello", "allocate", "shrink"):
            # By sending any other request, the client confirms that it has opened the files.
            self._pictures.forget_names()
        if kind in ("survey", "render"):
            fields["progress"] = self._progress(number)
        if kind in _NEED_NETWORKS and self._warming is not None:
            self._warming.join()
        reply = kinds[kind](**fields)
        self._send({"type": "done", "id": number, **reply})
        if kind == "allocate" and self._warming is None:
            self._warming = threading.Thread(target=self._warm_up, name="drht load", daemon=True)
            self._warming.start()

    def _hello(self, protocol: Any) -> Message:
        if protocol != PROTOCOL or type(protocol) is not int:
            raise ProtocolError(
                f"the client speaks protocol {protocol!r}; this is drht_plugin {__version__}, "
                f"which speaks {PROTOCOL}"
            )
        self._greeted = True
        return {"protocol": PROTOCOL, "version": __version__}

    def _status(self) -> Message:
        return {
            "version": __version__,
            "python": sys.executable,
            "device": str(self._correctors.for_work(0).runner.device),
            "model": self._model,
            "details": details_of(self._correctors.for_work(0)),
        }

    def _allocate(self, height: Any, width: Any, channels: Any, dtype: Any) -> Message:
        return self._describe(self._pictures.allocate(height, width, channels, dtype))

    def _shrink(self, picture: Any, side: Any) -> Message:
        pixels = self._pictures[picture].pixels
        if type(side) is not int or side < 1:
            raise InputError(f"side is {side!r}; expected a whole number from 1")
        small = shrink_to(pixels, side)
        rows, columns, channels = small.shape
        number = self._pictures.allocate(rows, columns, channels, small.dtype.name)
        self._pictures[number].pixels[:] = small
        return {**self._describe(number), "height": rows, "width": columns}

    def _window(
        self, picture: Any, into: Any, height: Any, width: Any, top: Any, left: Any
    ) -> Message:
        source, target = self._pictures[picture], self._pictures[into]
        if source is target:
            raise InputError(f"picture and into are both {into}; expected another picture's number")
        if (source.pixels.shape[2], source.pixels.dtype) != (
            target.pixels.shape[2],
            target.pixels.dtype,
        ):
            raise InputError(
                f"picture {into} has {_describe_pixels(target)}; expected "
                f"{_describe_pixels(source)}, as picture {picture} has"
            )
        rows, columns, _ = target.pixels.shape
        shown = ShownWindow(source, height, width, Region(top, left, rows, columns))
        target.pixels[:] = shown.read()
        self._windows[into] = shown
        return {}

    def _release(self, picture: Any) -> Message:
        self._pictures.release(picture)
        self._windows.pop(picture, None)
        return {}

    def _describe(self, number: int) -> Message:
        picture = self._pictures[number]
        return {
            "picture": number,
            "path": str(picture.path),
            "bytes": picture.size,
            "result": picture.result_offset,
        }

    def _survey(
        self,
        picture: Any,
        transfer: Any,
        wrap: Any,
        progress: Callable[[float], None],
        orientation: Any = 1,
        profile: Any = None,
    ) -> Message:
        pixels = self._pictures[picture].pixels
        if type(wrap) is not bool:
            raise InputError(f"wrap is {wrap!r}; expected true or false")
        self._scene = None
        corrector = self._correctors.for_work(count_pixels(pixels))
        self._scene = corrector.survey(
            pixels,
            transfer=transfer,
            orientation=orientation,
            profile=_decode_profile(profile),
            wrap=wrap,
            progress=lambda share: progress(_READING * share),
        )
        return {}

    def _render(
        self,
        picture: Any,
        strength: Any,
        shadows: Any,
        highlights: Any,
        detail: Any,
        progress: Callable[[float], None],
        rows: Any = None,
        **touches: Any,
    ) -> Message:
        shared = self._pictures[picture]
        applied = Strength(strength, shadows, highlights, **touches)
        require_detail(detail)
        if self._scene is None:
            raise InputError("no picture has been surveyed; expected a survey before render")
        corrector = self._correctors.for_work(count_pixels(shared.pixels), detail)
        if picture in self._windows:
            self._render_window(corrector, shared, self._windows[picture], applied, detail, rows)
            return {}
        if rows is not None:
            raise InputError(f"picture {picture} is no window; expected render without rows")
        spec = spec_of(shared.pixels, "linear" if self._scene.spec.linear else "srgb")
        corrector.render_into(
            resize_scene(self._scene, spec),
            shared.pixels,
            shared.result,
            strength=applied,
            detail=detail,
            progress=progress,
        )
        return {}

    def _render_window(
        self,
        corrector: Corrector,
        target: SharedPicture,
        shown: ShownWindow,
        strength: Strength,
        detail: str,
        rows: Any,
    ) -> None:
        assert self._scene is not None
        if detail == "auto":
            chosen = corrector.choose_detail(detail, self._scene, strength)
            detail = chosen if shown.is_full_size else "guided"
        shown.render(corrector, self._scene, target, _require_rows(rows, shown), strength, detail)

    def _warm_up(self) -> None:
        """Load the networks while the client writes and sees pixels; requests report failures."""
        try:
            _ = self._correctors.for_work(0).runner
        except (DrhtError, OSError):
            return

    def _progress(self, number: int) -> Callable[[float], None]:
        reported = 0.0

        def report(share: float) -> None:
            nonlocal reported
            self._require_client()
            if share - reported >= _PROGRESS_STEP:
                reported = share
                self._send({"type": "progress", "id": number, "share": round(share, 4)})

        return report

    def _fail(self, number: Any, code: str, message: str) -> None:
        known = number if type(number) is int and 0 <= number < 1 << 31 else None
        text = message[:_MAX_ERROR_CHARS]
        self._send({"type": "error", "id": known, "code": code, "message": text})


_NEED_NETWORKS = ("status", "survey", "render")

_FIELDS = {
    "hello": ("protocol",),
    "status": (),
    "allocate": ("height", "width", "channels", "dtype"),
    "shrink": ("picture", "side"),
    "window": ("picture", "into", "height", "width", "top", "left"),
    "release": ("picture",),
    "survey": ("picture", "transfer", "wrap"),
    "render": ("picture", "strength", "shadows", "highlights", "detail"),
}

_OPTIONAL = {
    "survey": ("orientation", "profile"),
    "render": ("exposure", "temperature", "tint", "denoise", "rows"),
}
"""Fields that may be left out, as clients of earlier releases do not send them."""


def _decode_profile(profile: Any) -> bytes | None:
    """Decode an ICC profile from Base64."""
    if profile is None:
        return None
    try:
        return base64.b64decode(profile, validate=True)
    except (TypeError, ValueError) as error:
        raise InputError(
            "profile is not Base64; expected an ICC profile in Base64, or null"
        ) from error


def say_last(send: Send, reason: str) -> None:
    """Tell a client that it broke the stream of frames; wait only shortly for it to read that.

    Args:
        send: sends a reply.
        reason: what is wrong.
    """
    reply = {"type": "error", "id": None, "code": "frame", "message": reason}
    # A client that reads nothing holds up every reply, but not the end.
    last = threading.Thread(target=send, args=(reply,), daemon=True)
    last.start()
    last.join(_PATIENCE)


def details_of(corrector: Corrector) -> list[str]:
    """Return the kinds of detail that a corrector's model can render."""
    return [each for each in DETAILS if each != "network" or corrector.has_detail]


def _require_rows(rows: Any, shown: ShownWindow) -> range:
    """Return the rows of a window that a request names, all of them by default."""
    height = shown.region.height
    if rows is None:
        return range(height)
    whole = isinstance(rows, list) and [type(each) for each in rows] == [int, int]
    if not whole or not 0 <= rows[0] < rows[1] <= height:
        raise InputError(
            f"rows is {rows!r}; expected the first row and the row after the last, 0 to {height}"
        )
    return range(*rows)


def _describe_pixels(picture: SharedPicture) -> str:
    return f"{picture.pixels.shape[2]} channels of {picture.pixels.dtype}"
