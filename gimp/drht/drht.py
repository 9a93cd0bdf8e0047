#!/usr/bin/env python3
"""GIMP 3: Filters ▸ Enhance ▸ Recover Exposure (DRHT).

This file runs in GIMP's own Python and uses only GIMP's bindings and the standard library. A child
process, `drht worker`, corrects the pixels. `drht gimp install` writes the command that starts it
into `worker.json` beside this file. docs/worker-protocol.md describes the protocol.

The functions that work on pixels are generators, called steps here: they yield the share of the
work that is done, 0 to 1, so that the dialog stays responsive. It is one file, since GIMP starts a
plug-in as one program, and installing and removing it is to be the copy of a file.
"""

import base64
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

import gi

gi.require_version("Babl", "0.1")
gi.require_version("Gegl", "0.4")
gi.require_version("Gimp", "3.0")
from gi.repository import Babl, Gegl, Gimp, GLib, GObject  # noqa: E402

PROCEDURE = "plug-in-drht-recover-exposure"
TITLE = "Recover Exposure (DRHT)"
VERSION = "0.1.0"
PROTOCOL = 1

NEW_LAYER, IN_PLACE = "new-layer", "in-place"

_HEADER = struct.Struct("<4sI")
_MAGIC = b"DRHT"
_LONGEST = 1 << 16
_LONGEST_PROFILE = 45000  # bytes; encoded in Base64 it must fit into a message
_BAND_BYTES = 4 << 20
_PREVIEW_SIDE = 640
_CHOICES_WIDTH = 460
_HELLO_SECONDS = 120
_SHARES = {"load": (0.0, 0.1), "survey": (0.1, 0.4), "render": (0.4, 0.9), "store": (0.9, 1.0)}
_INSTALL = (
    "Run `drht gimp install` in a terminal, in the environment where drht_plugin is installed."
)

_DTYPES = {"u8": "uint8", "u16": "uint16", "half": "float16", "float": "float32"}
_BYTES = {"uint8": 1, "uint16": 2, "float16": 2, "float32": 4}

_CONTROLS = {
    # label, text, least, most, default
    "strength": (
        "Stren_gth",
        "Share of the correction to apply, 0 to 2; above 1 it goes on in the same direction",
        0.0,
        2.0,
        1.0,
    ),
    "shadows": ("Sha_dows", "Share to apply where the picture gets brighter", 0.0, 1.0, 1.0),
    "highlights": ("_Highlights", "Share to apply where the picture gets darker", 0.0, 1.0, 1.0),
    "exposure": ("E_xposure", "EV that the result is made brighter by", -3.0, 3.0, 0.0),
    "temperature": (
        "Te_mperature",
        "How much warmer the result is made, in mired; below 0 cooler",
        -100.0,
        100.0,
        0.0,
    ),
    "tint": (
        "T_int",
        "How much more magenta the result is made; below 0 greener",
        -100.0,
        100.0,
        0.0,
    ),
    "denoise": ("Denoi_se", "How much noise network detail removes", 0.0, 2.0, 1.0),
}
_FIRST_CONTROLS = ("strength", "shadows", "highlights")
"""Controls that every worker knows; those of 0.2.0 do not know the others."""

NO_PRESET = "none"
_PRESETS = {
    "natural": {"strength": 0.7},
    "strong": {"strength": 1.5},
    "shadows-only": {"highlights": 0.0},
}

_DETAIL_LABELS = {
    "auto": "Automatic",
    "guided": "Guided (detail from the picture, fast)",
    "network": "Network (less noise in shadows, slow)",
}


class Problem(Exception):
    """Why the correction cannot be done, as a message for the user."""


# The worker ---------------------------------------------------------------------------------------


def read_setup():
    """Read worker.json: the worker's command, and the kinds of detail that it has.

    Raises:
        Problem: it is missing or malformed.
    """
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "worker.json")
    try:
        with open(path, encoding="utf-8") as file:
            setup = json.load(file)
        command, details = setup["command"], setup["details"]
        if not all(isinstance(each, str) for each in [*command, *details]) or not command:
            raise ValueError("command and details must be lists of text")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Problem(
            f"The plug-in does not know where drht_plugin is installed: {path} cannot be read "
            f"({error}).\n{_INSTALL}"
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
                f"in which drht_plugin was installed has been moved or removed.\n{_INSTALL}"
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
                f"and speaks a different protocol.\n{_INSTALL}"
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


# Pixels -------------------------------------------------------------------------------------------


class PixelFormat:
    """How a layer's pixels are passed to the worker.

    They keep the layer's colour space and encoding. Precisions that the worker does not support,
    32-bit integers and doubles, are converted to floats.

    Args:
        drawable: the layer.
    """

    def __init__(self, drawable):
        own = drawable.get_format()
        # Such as "R'G'B'A u8": the components of a pixel, and their type.
        components, _, kind = Babl.format_get_encoding(own).rpartition(" ")
        self.dtype = _DTYPES.get(kind, "float32")
        name = "float" if kind not in _DTYPES else kind
        self.channels = (3 if "G" in components else 1) + components.endswith("A")
        # Components marked with ' or ~ are display-encoded.
        self.transfer = "srgb" if "'" in components or "~" in components else "linear"
        space = Babl.format_get_space(own)
        self.format = Babl.get_name(Babl.format_with_space(f"{components} {name}", space))
        self.pixel_bytes = self.channels * _BYTES[self.dtype]


class Picture:
    """A picture in a file shared with the worker, which holds the pixels and then the result.

    Args:
        reply: the worker's reply, with the file.
        layout: format of the pixels.
        width: width in pixels.
        height: height in pixels.

    Raises:
        Problem: the file cannot be opened.
    """

    def __init__(self, reply, layout, width, height):
        self.number, self.width, self.height = reply["picture"], width, height
        self.row_bytes = width * layout.pixel_bytes
        self._result, self._layout = reply["result"], layout
        flags = os.O_RDWR | getattr(os, "O_BINARY", 0) | getattr(os, "O_TEMPORARY", 0)
        try:
            self._file = os.fdopen(os.open(reply["path"], flags), "r+b", buffering=0)
        except OSError as error:
            raise Problem(
                f"The worker's file {reply['path']} cannot be opened: {error.strerror}.\n"
                "GIMP and the worker must have access to the same folders."
            ) from error

    def read_from(self, buffer):
        """Copy the pixels from a GEGL buffer, in steps."""
        for rectangle, place in self._bands():
            data = buffer.get(rectangle, 1.0, self._layout.format, Gegl.AbyssPolicy.NONE)
            if len(data) != rectangle.height * self.row_bytes:
                raise Problem("GIMP returned fewer pixels than the layer has.")
            self._file.seek(place)
            view = memoryview(data)
            while view:
                view = view[self._file.write(view) :]
            yield (rectangle.y + rectangle.height) / self.height

    def write_to(self, buffer):
        """Copy the result into a GEGL buffer, in steps."""
        for rectangle, place in self._bands():
            data = self._read(self._result + place, rectangle.height * self.row_bytes)
            buffer.set(rectangle, self._layout.format, data)
            yield (rectangle.y + rectangle.height) / self.height

    def to_screen(self, corrected):
        """Return the pixels, or the result if `corrected`, as bytes of sRGB with alpha."""
        whole = Gegl.Rectangle.new(0, 0, self.width, self.height)
        place = self._result if corrected else 0
        buffer = Gegl.Buffer.new(self._layout.format, 0, 0, self.width, self.height)
        data = self._read(place, self.height * self.row_bytes)
        buffer.set(whole, self._layout.format, data)
        return buffer.get(whole, 1.0, "R'G'B'A u8", Gegl.AbyssPolicy.NONE)

    def _bands(self):
        """Yield rectangles of whole rows, and the position of each in the file."""
        rows = max(1, _BAND_BYTES // self.row_bytes)
        for top in range(0, self.height, rows):
            count = min(rows, self.height - top)
            yield Gegl.Rectangle.new(0, top, self.width, count), top * self.row_bytes

    def _read(self, place, count):
        self._file.seek(place)
        parts = []
        while count:
            part = self._file.read(count)
            if not part:
                raise Problem("The worker's file is shorter than announced.")
            parts.append(part)
            count -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)


# The correction -----------------------------------------------------------------------------------


def require_layer(drawables):
    """Return the one layer to correct.

    Args:
        drawables: what is selected.

    Raises:
        Problem: the selection is not one layer whose pixels can be changed.
    """
    if len(drawables) != 1:
        raise Problem(f"{len(drawables)} layers are selected; select only one.")
    layer = drawables[0]
    name = layer.get_name()
    if isinstance(layer, Gimp.LayerMask):
        raise Problem(f"“{name}” is a layer mask; select the layer's pixels instead.")
    if isinstance(layer, Gimp.Channel):
        raise Problem(f"“{name}” is a channel; select a layer instead.")
    if not isinstance(layer, Gimp.Layer):
        raise Problem(f"“{name}” is not a layer; select a layer.")
    if layer.is_group():
        raise Problem(f"“{name}” is a layer group, which has no pixels; select a layer in it.")
    if layer.is_indexed():
        raise Problem(
            "The image is in indexed mode, which has too few colours for a correction; "
            "convert it with Image ▸ Mode ▸ RGB first."
        )
    locked = layer
    while locked is not None:
        if locked.get_lock_content():
            raise Problem(f"The pixels of “{locked.get_name()}” are locked; unlock them first.")
        locked = locked.get_parent()
    return layer


def _profile(layer):
    """Return the layer's ICC profile in Base64; None if there is none or it is too long."""
    profile = layer.get_image().get_effective_color_profile()
    data = bytes(profile.get_icc_profile()) if profile is not None else b""
    return base64.b64encode(data).decode() if 0 < len(data) <= _LONGEST_PROFILE else None


class Correction:
    """The correction of one layer, by a worker of its own. Its methods run in steps.

    Args:
        layer: the layer.
        patience: see `Worker`.

    Raises:
        Problem: the worker cannot be started.
    """

    def __init__(self, layer, patience=0.05):
        self.layer, self.layout = layer, PixelFormat(layer)
        self.picture = self.preview = None
        self._surveyed = None
        self.worker = Worker(patience)

    def load(self):
        """Pass the layer's pixels to the worker."""
        yield from self.worker.greet()
        width, height = self.layer.get_width(), self.layer.get_height()
        reply = yield from self.worker.ask(
            "allocate",
            height=height,
            width=width,
            channels=self.layout.channels,
            dtype=self.layout.dtype,
        )
        picture = Picture(reply, self.layout, width, height)
        yield from picture.read_from(self.layer.get_buffer())
        self.picture = picture

    def survey(self, wrap):
        """Let the worker survey the whole picture, unless it has done so.

        Args:
            wrap: whether the picture is a 360° panorama.
        """
        if self._surveyed == wrap:
            return
        self._surveyed = None
        fields = {
            "picture": self.picture.number,
            "transfer": self.layout.transfer,
            "wrap": wrap,
        }
        profile = _profile(self.layer)
        try:
            optional = {"profile": profile} if profile else {}
            yield from self.worker.ask("survey", **fields, **optional)
        except Refusal as error:
            if error.code != "request" or not profile:
                raise
            # A profile that cannot be used should not prevent the correction.
            yield from self.worker.ask("survey", **fields)
        self._surveyed = wrap

    def shrink(self, side):
        """Create a small copy of the picture for the preview.

        Args:
            side: its longer side in pixels.
        """
        reply = yield from self.worker.ask("shrink", picture=self.picture.number, side=side)
        self.preview = Picture(reply, self.layout, reply["width"], reply["height"])

    def render(self, picture, settings, detail=None):
        """Correct a picture by the survey.

        Args:
            picture: the picture, or the preview.
            settings: the user's choices.
            detail: kind of detail; None for the user's choice.
        """
        controls = {
            name: value
            for name, value in settings.controls.items()
            if name in _FIRST_CONTROLS or value != _CONTROLS[name][-1]
        }
        yield from self.worker.ask(
            "render", picture=picture.number, detail=detail or settings.detail, **controls
        )


class Settings:
    """The user's choices as plain values.

    A preset gives the controls that are left at their defaults.

    Args:
        config: GIMP's configuration of the procedure.
    """

    def __init__(self, config):
        self.controls = {name: config.get_property(name) for name in _CONTROLS}
        for name, value in _PRESETS.get(config.get_property("preset"), {}).items():
            if self.controls[name] == _CONTROLS[name][-1]:
                self.controls[name] = value
        self.detail = config.get_property("detail")
        self.output = config.get_property("output")
        self.wrap = config.get_property("wrap")

    def same_look(self, other):
        """Return whether the preview looks the same with other settings, which may be None."""
        return other is not None and self._look() == other._look()

    def _look(self):
        # The preview is in guided detail, where nothing is denoised.
        return self.wrap, {n: value for n, value in self.controls.items() if n != "denoise"}


def correct(image, correction, settings):
    """Correct the layer.

    Args:
        image: its image.
        correction: the correction, which the dialog may have started.
        settings: the user's choices.

    Returns:
        The layer that holds the result.

    Raises:
        Problem: the correction cannot be done; the image is unchanged.
    """
    Gimp.progress_init("Recovering exposure")
    if correction.picture is None:
        _run_steps("load", correction.load())
    _run_steps("survey", correction.survey(settings.wrap))
    _run_steps("render", correction.render(correction.picture, settings))
    store = _store_above if settings.output == NEW_LAYER else _store_in_place
    layer = store(image, correction)
    Gimp.progress_end()
    return layer


def _run_steps(part, steps):
    """Run all steps, and move GIMP's progress bar over the range of this part."""
    first, last = _SHARES[part]
    shown = -1.0
    for share in steps:
        now = first + share * (last - first)
        if now - shown >= 0.005:
            shown = now
            Gimp.progress_update(now)


def _store_in_place(image, correction):
    """Put the result into the layer; GIMP respects selection, feather and locks."""
    layer = correction.layer
    _write_result(correction, layer.get_shadow_buffer())
    with _one_undo_step(image):
        _merge(layer)
    return layer


def _store_above(image, correction):
    """Put the result into a new layer above, with the selection as its mask."""
    source = correction.layer
    layer = source.copy()
    layer.set_name(f"{source.get_name()} (recovered exposure)")
    masked = source.get_mask() is not None
    if not masked:
        _write_result(correction, layer.get_buffer())
    with _one_undo_step(image):
        position = image.get_item_position(source)
        if not image.insert_layer(layer, source.get_parent(), position):
            raise _gimp_problem()
        if masked:
            # The copy has a mask already, so the selection is applied to its pixels instead.
            _write_result(correction, layer.get_shadow_buffer())
            _merge(layer)
        elif not Gimp.Selection.is_empty(image):
            layer.add_mask(layer.create_mask(Gimp.AddMaskType.SELECTION))
        layer.update(0, 0, layer.get_width(), layer.get_height())
    return layer


def _write_result(correction, buffer):
    """Write the result into a buffer and flush it, so that it is not written again later."""
    _run_steps("store", correction.picture.write_to(buffer))
    buffer.flush()


def _merge(layer):
    if not layer.merge_shadow(True):
        raise _gimp_problem()
    layer.update(0, 0, layer.get_width(), layer.get_height())


def _gimp_problem():
    return Problem(f"GIMP did not take the result: {Gimp.get_pdb().get_last_error()}")


@contextlib.contextmanager
def _one_undo_step(image):
    # Only around changes of the image, so that a failed run leaves it unchanged and not dirty.
    image.undo_group_start()
    try:
        yield
    finally:
        image.undo_group_end()


# The dialog ---------------------------------------------------------------------------------------


class Dialog:
    """The dialog with its preview; the worker runs while it is open.

    Args:
        procedure: GIMP's procedure.
        config: its configuration, which the dialog edits.
        layer: the layer to correct.
    """

    def __init__(self, procedure, config, layer):
        gi.require_version("Gtk", "3.0")
        gi.require_version("GimpUi", "3.0")
        from gi.repository import GdkPixbuf, GimpUi, Gtk

        self._pixbufs, self._gtk, self._config = GdkPixbuf, Gtk, config
        GimpUi.init(PROCEDURE)
        self._layer, self._correction, self._broken = layer, None, None
        self._before = self._after = None
        self._setup_asked = False

        self._image = Gtk.Image()
        self._image.set_size_request(_PREVIEW_SIDE, _PREVIEW_SIDE * 3 // 4)
        self._toggle = Gtk.CheckButton.new_with_mnemonic("Pre_view")
        self._toggle.set_active(True)
        self._toggle.connect("toggled", lambda _: self._show())
        self._status = Gtk.Label(label="", xalign=0, wrap=True, selectable=True, max_width_chars=60)
        check = Gtk.Button.new_with_mnemonic("Check set_up")
        check.connect("clicked", lambda _: self._ask_setup())
        line = Gtk.Box(orientation=Gtk.Orientation.HORIZONTAL, spacing=12)
        line.pack_start(self._toggle, False, False, 0)
        line.pack_start(self._status, True, True, 0)
        line.pack_end(check, False, False, 0)
        box = Gtk.Box(orientation=Gtk.Orientation.VERTICAL, spacing=6, border_width=12)
        box.pack_start(self._image, True, True, 0)
        box.pack_start(line, False, False, 0)
        box.show_all()

        self._dialog = GimpUi.ProcedureDialog.new(procedure, config, TITLE)
        for name in _CONTROLS:
            self._dialog.get_scale_entry(name, 1.0)
        names = ["preset", *_CONTROLS, "detail", "output", "wrap"]
        # Beside the preview, as below it they would not fit on a laptop's screen.
        choices = self._dialog.fill_box("choices", names)
        choices.set_size_request(_CHOICES_WIDTH, -1)
        choices.set_valign(Gtk.Align.START)
        sides = Gtk.Box(orientation=Gtk.Orientation.HORIZONTAL, spacing=6)
        sides.pack_start(box, True, True, 0)
        sides.pack_start(choices, False, False, 0)
        choices.show_all()
        sides.show()
        self._dialog.get_content_area().pack_start(sides, True, True, 0)
        self._link_preset(config)

    def _link_preset(self, config):
        """Let a preset move the sliders, and a moved slider end the preset."""
        moving = False

        def choose(*_):
            nonlocal moving
            preset = config.get_property("preset")
            if moving or preset not in _PRESETS:
                return
            moving = True
            for name, control in _CONTROLS.items():
                config.set_property(name, _PRESETS[preset].get(name, control[-1]))
            moving = False

        def move(*_):
            nonlocal moving
            if not moving:
                moving = True
                config.set_property("preset", NO_PRESET)
                moving = False

        config.connect("notify::preset", choose)
        for name in _CONTROLS:
            config.connect(f"notify::{name}", move)

    def run(self):
        """Show the dialog until the user agrees or cancels.

        Returns:
            The correction so far, or None if the user cancelled.

        Raises:
            Problem: the user agreed, but the worker does not work.
        """
        self._steps = self._work()
        timer = GLib.timeout_add(15, self._tick)
        try:
            agreed = self._dialog.run()
        finally:
            GLib.source_remove(timer)
            self._steps.close()
            self._dialog.destroy()
        if not agreed:
            if self._correction is not None:
                self._correction.worker.close()
            return None
        if self._broken is not None:
            raise self._broken
        return self._correction or Correction(self._layer)

    def _tick(self):
        try:
            next(self._steps)
        except Problem as error:
            self._broken = error
            self._set_status(str(error))
            self._steps = self._repair()
        return GLib.SOURCE_CONTINUE

    def _work(self):
        """Load, survey and preview the picture in steps, while the dialog is open."""
        correction = self._correction = Correction(self._layer, patience=0.001)
        self._set_status("Starting the worker…")
        yield 0.0
        yield from self._with_status("Loading the picture…", correction.load())
        yield from correction.shrink(_PREVIEW_SIDE)
        self._before = correction.preview.to_screen(corrected=False)
        self._show()
        rendered = None
        while True:
            settings = Settings(self._config)
            if self._setup_asked:
                yield from self._show_setup()
            elif settings.same_look(rendered):
                yield 0.0
            else:
                yield from self._with_status(
                    "Analysing the picture…", correction.survey(settings.wrap)
                )
                # The preview shows tone; network detail is visible only at full size.
                yield from correction.render(correction.preview, settings, detail="guided")
                self._after = correction.preview.to_screen(corrected=True)
                rendered = settings
                self._show()
                self._set_status("")

    def _with_status(self, text, steps):
        for share in steps:
            self._set_status(f"{text} {100 * share:.0f} %" if share else text)
            yield share

    def _repair(self):
        """Show why there is no worker whenever the user asks for the setup, in steps."""
        while True:
            if self._setup_asked:
                self._setup_asked = False
                self._show_message(f"The worker is not running.\n\n{self._broken}", problem=True)
            yield 0.0

    def _ask_setup(self):
        self._setup_asked = True

    def _show_setup(self):
        self._setup_asked = False
        facts = yield from self._correction.worker.ask("status")
        self._show_message(
            f"Everything works.\n\nWorker: {facts['python']}\nVersion: {facts['version']} "
            f"(plug-in {VERSION})\nDevice: {facts['device']}\nModel: {facts['model']}"
        )

    def _show_message(self, text, problem=False):
        gtk = self._gtk
        kind = gtk.MessageType.WARNING if problem else gtk.MessageType.INFO
        window = gtk.MessageDialog(
            transient_for=self._dialog,
            modal=True,
            message_type=kind,
            buttons=gtk.ButtonsType.CLOSE,
            text=text,
            title="Setup of DRHT",
        )
        window.connect("response", lambda shown, _: shown.destroy())
        window.show()

    def _set_status(self, text):
        if self._status.get_text() != text:
            self._status.set_text(text)

    def _show(self):
        data = self._after if self._toggle.get_active() and self._after else self._before
        if data is None:
            return
        picture = self._correction.preview
        width, height = picture.width, picture.height
        pixbuf = self._pixbufs.Pixbuf.new_from_bytes(
            GLib.Bytes.new(data), self._pixbufs.Colorspace.RGB, True, 8, width, height, 4 * width
        )
        nearest, opaque, check = self._pixbufs.InterpType.NEAREST, 255, 8
        self._image.set_from_pixbuf(
            pixbuf.composite_color_simple(width, height, nearest, opaque, check, 0x999999, 0x666666)
        )


# The plug-in --------------------------------------------------------------------------------------


def run(procedure, run_mode, image, drawables, config, data):
    """Run the procedure; GIMP calls this."""
    threading.Thread(target=_end_with_gimp, args=(os.getppid(),), daemon=True).start()
    correction = None
    try:
        layer = require_layer(drawables)
        hit = layer.mask_intersect()[0]
        if not hit:
            Gimp.message("The selection does not overlap the layer; nothing was changed.")
            return _success(procedure, layer)
        if run_mode == Gimp.RunMode.INTERACTIVE:
            correction = Dialog(procedure, config, layer).run()
            if correction is None:
                return procedure.new_return_values(Gimp.PDBStatusType.CANCEL, GLib.Error())
        else:
            correction = Correction(layer)
        result = correct(image, correction, Settings(config))
        Gimp.displays_flush()
        return _success(procedure, result)
    except Problem as error:
        reason = GLib.Error.new_literal(Gimp.PlugIn.error_quark(), str(error), 0)
        return procedure.new_return_values(Gimp.PDBStatusType.EXECUTION_ERROR, reason)
    finally:
        if correction is not None:
            correction.worker.close()


def _end_with_gimp(gimp):
    """End this process when GIMP has ended, of which a waiting plug-in is not notified."""
    while os.getppid() == gimp:
        time.sleep(0.5)
    os._exit(1)


def _success(procedure, layer):
    values = procedure.new_return_values(Gimp.PDBStatusType.SUCCESS, GLib.Error())
    values.remove(1)
    values.insert(1, GObject.Value(Gimp.Layer, layer))
    return values


def _detail_choice():
    """Return the worker's kinds of detail with their labels, from worker.json."""
    try:
        names = read_setup()["details"]
    except Problem:
        names = ["auto"]
    return [(name, _DETAIL_LABELS.get(name, name.capitalize())) for name in names]


def _choice(entries):
    choice = Gimp.Choice.new()
    for number, (name, label) in enumerate(entries):
        choice.add(name, number, label, "")
    return choice


class Drht(Gimp.PlugIn):
    """The plug-in, which has one procedure."""

    def do_set_i18n(self, name):
        """Tell GIMP that there are no translations."""
        return False

    def do_query_procedures(self):
        """Return the names of the procedures."""
        return [PROCEDURE]

    def do_create_procedure(self, name):
        """Return the procedure with its arguments."""
        procedure = Gimp.ImageProcedure.new(self, name, Gimp.PDBProcType.PLUGIN, run, None)
        procedure.set_image_types("RGB*, GRAY*")
        procedure.set_sensitivity_mask(Gimp.ProcedureSensitivityMask.DRAWABLE)
        procedure.set_menu_label("Recover E_xposure (DRHT)…")
        procedure.add_menu_path("<Image>/Filters/Enhance")
        procedure.set_documentation(
            "Recover detail in over- and under-exposed parts of a picture",
            "One network estimates the scene's HDR radiance, and another maps it to a display "
            "picture that keeps the detail (Deep Reciprocating HDR Transformation). The correction "
            "is computed from the whole layer and applied within the selection; layer offsets and "
            "locks are respected.",
            name,
        )
        procedure.set_attribution("drht_plugin", "drht_plugin, MIT licence", "2026")
        flags = GObject.ParamFlags.READWRITE
        for argument, (label, text, least, most, default) in _CONTROLS.items():
            procedure.add_double_argument(argument, label, text, least, most, default, flags)
        details = _detail_choice()
        procedure.add_choice_argument(
            "detail",
            "D_etail",
            "Where fine detail comes from",
            _choice(details),
            details[0][0],
            flags,
        )
        outputs = [(NEW_LAYER, "New layer above"), (IN_PLACE, "This layer")]
        procedure.add_choice_argument(
            "output", "Out_put", "Where the result goes", _choice(outputs), NEW_LAYER, flags
        )
        procedure.add_boolean_argument(
            "wrap", "360° pa_norama", "The picture's left and right edges meet", False, flags
        )
        presets = [(NO_PRESET, "None"), *((n, n.capitalize().replace("-", " ")) for n in _PRESETS)]
        procedure.add_choice_argument(
            "preset",
            "Prese_t",
            "Values that belong together; they count for sliders that are at their defaults",
            _choice(presets),
            NO_PRESET,
            flags,
        )
        procedure.add_layer_return_value(
            "layer", "Layer", "The layer that holds the result", True, flags
        )
        return procedure


if __name__ == "__main__":
    Gimp.main(Drht.__gtype__, sys.argv)
