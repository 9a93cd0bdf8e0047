#!/usr/bin/env python3
"""GIMP 3: Filters ▸ Enhance ▸ Recover Exposure (DRHT).

This file runs in GIMP's own Python, with GIMP's bindings and the standard library alone. The pixels
are corrected by a child process, `drht worker`, whose command `drht gimp install` writes into
`worker.json` beside this file. What the two say to each other: docs/worker-protocol.md.
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

_HEAD = struct.Struct("<4sI")
_MAGIC = b"DRHT"
_LONGEST = 1 << 16
_LONGEST_PROFILE = 45000  # in Base64 it has to fit into a message
_BAND_BYTES = 4 << 20
_PREVIEW_SIDE = 640
_HELLO_SECONDS = 120
_SHARES = {"load": (0.0, 0.1), "survey": (0.1, 0.4), "render": (0.4, 0.9), "store": (0.9, 1.0)}
_INSTALL = "In a terminal, run `drht gimp install` from where drht_plugin is installed."

_DTYPES = {"u8": "uint8", "u16": "uint16", "half": "float16", "float": "float32"}
_BYTES = {"uint8": 1, "uint16": 2, "float16": 2, "float32": 4}

_DETAIL_LABELS = {
    "auto": "Automatic",
    "guided": "Guided (detail from the picture)",
    "network": "Network (detail from a network)",
}


class Problem(Exception):
    """What keeps the correction from being done, in words for the user."""


# The worker ---------------------------------------------------------------------------------------


def read_setup():
    """What `drht gimp install` wrote: the worker's command and what it can do."""
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "worker.json")
    try:
        with open(path, encoding="utf-8") as file:
            setup = json.load(file)
        command, details = setup["command"], setup["details"]
        if not all(isinstance(each, str) for each in [*command, *details]) or not command:
            raise ValueError("command and details are lists of text")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Problem(
            f"The plug-in does not know where drht_plugin is installed: {path} cannot be used "
            f"({error}).\n{_INSTALL}"
        ) from error
    return setup


class Worker:
    """The child process that corrects; it ends when this object, or this process, does.

    patience: seconds that a step may wait for the worker before it yields.
    """

    def __init__(self, patience):
        self._patience, self._number = patience, 0
        self._arrivals = queue.Queue()
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115
        command = read_setup()["command"]
        # GIMP's own settings for Python and libraries are not the worker's.
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
                f"The worker cannot be started: {command[0]}: {error.strerror}. The Python that "
                f"drht_plugin was installed in may have been moved or removed.\n{_INSTALL}"
            ) from error
        threading.Thread(target=self._listen, daemon=True).start()

    def greet(self):
        """Steps of the handshake; gives the worker's version."""
        try:
            reply = yield from self.ask("hello", limit=_HELLO_SECONDS, protocol=PROTOCOL)
        except Refusal as error:
            if error.code != "protocol":
                raise
            reply = {}
        if reply.get("protocol") != PROTOCOL:
            raise Problem(
                f"The worker is of another version of drht_plugin than this plug-in ({VERSION}): "
                f"they do not understand each other.\n{_INSTALL}"
            )
        return reply.get("version")

    def ask(self, kind, limit=None, **fields):
        """Steps of a request, each yielding the share that is done; gives the reply."""
        self._number += 1
        self._send({"type": kind, "id": self._number, **fields})
        end = None if limit is None else time.monotonic() + limit
        share = 0.0
        while True:
            try:
                message = self._arrivals.get(timeout=self._patience)
            except queue.Empty:
                if end is not None and time.monotonic() > end:
                    raise self._problem("The worker does not answer") from None
                yield share
                continue
            if isinstance(message, str):
                raise self._problem(message)
            if message.get("type") == "error" and message.get("id") in (None, self._number):
                raise Refusal(str(message.get("code")), str(message.get("message")))
            if message.get("id") != self._number:
                continue  # of a request that nobody waits for any more
            if message.get("type") == "done":
                return message
            with contextlib.suppress(TypeError, ValueError):
                share = min(1.0, max(0.0, float(message.get("share"))))
            yield share

    def close(self):
        """End the worker, whatever it is doing."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._stderr):
            with contextlib.suppress(OSError):
                stream.close()

    def _send(self, message):
        body = json.dumps(message).encode()
        try:
            self._process.stdin.write(_HEAD.pack(_MAGIC, len(body)) + body)
            self._process.stdin.flush()
        except (OSError, ValueError):
            raise self._problem("The worker has ended") from None

    def _listen(self):
        """Read messages into the queue; a text says why there are no more."""
        source = self._process.stdout
        try:
            while True:
                head = source.read(_HEAD.size)
                if not head:
                    self._arrivals.put("The worker has ended before its work was done")
                    return
                magic, length = _HEAD.unpack(head)
                if magic != _MAGIC or length > _LONGEST:
                    raise ValueError(head)
                message = json.loads(source.read(length).decode())
                if not isinstance(message, dict):
                    raise ValueError(message)
                self._arrivals.put(message)
        except (OSError, ValueError, struct.error, RecursionError):
            self._arrivals.put("The worker's answer makes no sense")

    def _problem(self, what):
        """A problem with what the worker said last, and how it ended."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=2)
        code = self._process.poll()
        how = "" if code is None else f" (signal {-code})" if code < 0 else f" (exit code {code})"
        self._stderr.seek(0, os.SEEK_END)
        self._stderr.seek(max(0, self._stderr.tell() - 2000))
        lines = self._stderr.read().decode(errors="replace").strip().splitlines()[-8:]
        said = "\nIt said:\n" + "\n".join(lines) if lines else ""
        return Problem(
            f"{what}{how}. The image is unchanged.\nTry again; if it happens again, "
            f"`drht gimp check` in a terminal says what is wrong.{said}"
        )


class Refusal(Problem):
    """The worker's own word on why it does not do what was asked."""

    def __init__(self, code, message):
        super().__init__(f"The worker cannot do it: {message}")
        self.code = code


# Pixels -------------------------------------------------------------------------------------------


class Layout:
    """How a layer's pixels are given to the worker.

    They stay in the layer's own colour space and encoding; precisions that the worker does not
    have, 32-bit integers and doubles, go as floats.
    """

    def __init__(self, drawable):
        own = drawable.get_format()
        # Such as "R'G'B'A u8": the name of what a pixel holds, and of its type.
        components, _, kind = Babl.format_get_encoding(own).rpartition(" ")
        self.dtype = _DTYPES.get(kind, "float32")
        name = "float" if kind not in _DTYPES else kind
        self.channels = (3 if "G" in components else 1) + components.endswith("A")
        # A mark on the letters says that they are display-encoded.
        self.transfer = "srgb" if "'" in components or "~" in components else "linear"
        space = Babl.format_get_space(own)
        self.format = Babl.get_name(Babl.format_with_space(f"{components} {name}", space))
        self.pixel_bytes = self.channels * _BYTES[self.dtype]


class Picture:
    """A picture in the file that it shares with the worker: its pixels, then the result."""

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
                "GIMP and the worker have to see the same folders."
            ) from error

    def copy_in(self, buffer):
        """Steps that take the pixels from a buffer."""
        for rectangle, place in self._bands():
            data = buffer.get(rectangle, 1.0, self._layout.format, Gegl.AbyssPolicy.NONE)
            if len(data) != rectangle.height * self.row_bytes:
                raise Problem("GIMP gave fewer pixels than the layer has.")
            self._file.seek(place)
            view = memoryview(data)
            while view:
                view = view[self._file.write(view) :]
            yield (rectangle.y + rectangle.height) / self.height

    def copy_out(self, buffer):
        """Steps that put the result into a buffer."""
        for rectangle, place in self._bands():
            data = self._read(self._result + place, rectangle.height * self.row_bytes)
            buffer.set(rectangle, self._layout.format, data)
            yield (rectangle.y + rectangle.height) / self.height

    def shown(self, corrected):
        """The pixels, or the result, as bytes of sRGB with alpha, for the screen."""
        whole = Gegl.Rectangle.new(0, 0, self.width, self.height)
        place = self._result if corrected else 0
        buffer = Gegl.Buffer.new(self._layout.format, 0, 0, self.width, self.height)
        data = self._read(place, self.height * self.row_bytes)
        buffer.set(whole, self._layout.format, data)
        return buffer.get(whole, 1.0, "R'G'B'A u8", Gegl.AbyssPolicy.NONE)

    def _bands(self):
        """Rectangles of whole rows, and where in the file each begins."""
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
                raise Problem("The worker's file is shorter than it said.")
            parts.append(part)
            count -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)


# The correction -----------------------------------------------------------------------------------


def require_usable(drawables):
    """The one layer to correct; a problem says what else was given."""
    if len(drawables) != 1:
        raise Problem(f"{len(drawables)} layers are selected; select one.")
    layer = drawables[0]
    name = layer.get_name()
    if isinstance(layer, Gimp.LayerMask):
        raise Problem(f"“{name}” is a layer mask; select its layer's pixels instead.")
    if isinstance(layer, Gimp.Channel):
        raise Problem(f"“{name}” is a channel; select a layer instead.")
    if not isinstance(layer, Gimp.Layer):
        raise Problem(f"“{name}” is no layer; select a layer.")
    if layer.is_group():
        raise Problem(f"“{name}” is a layer group, which has no pixels; select a layer in it.")
    if layer.is_indexed():
        raise Problem(
            "The image is in indexed mode, which has too few colours to correct; "
            "choose Image ▸ Mode ▸ RGB first."
        )
    locked = layer
    while locked is not None:
        if locked.get_lock_content():
            raise Problem(f"The pixels of “{locked.get_name()}” are locked; unlock them first.")
        locked = locked.get_parent()
    return layer


def _profile(layer):
    """The layer's ICC profile as the worker takes it; None where that would be too long."""
    profile = layer.get_image().get_effective_color_profile()
    data = bytes(profile.get_icc_profile()) if profile is not None else b""
    return base64.b64encode(data).decode() if 0 < len(data) <= _LONGEST_PROFILE else None


class Correction:
    """One layer with a worker of its own. Methods that work give steps, which yield shares."""

    def __init__(self, layer, patience=0.05):
        self.layer, self.layout = layer, Layout(layer)
        self.picture = self.preview = None
        self._surveyed = None
        self.worker = Worker(patience)

    def load(self):
        """Steps that give the worker the layer's pixels."""
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
        yield from picture.copy_in(self.layer.get_buffer())
        self.picture = picture

    def survey(self, wrap):
        """Steps that have the whole picture looked at, where that is not done."""
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
            said = {"profile": profile} if profile else {}
            yield from self.worker.ask("survey", **fields, **said)
        except Refusal as error:
            if error.code != "request" or not profile:
                raise
            # A profile that cannot be used must not cost the correction.
            yield from self.worker.ask("survey", **fields)
        self._surveyed = wrap

    def shrink(self, side):
        """Steps that make a small picture of the whole."""
        reply = yield from self.worker.ask("shrink", picture=self.picture.number, side=side)
        self.preview = Picture(reply, self.layout, reply["width"], reply["height"])

    def render(self, picture, settings, detail=None):
        """Steps that correct a picture with the survey's result."""
        yield from self.worker.ask(
            "render",
            picture=picture.number,
            strength=settings.strength,
            shadows=settings.shadows,
            highlights=settings.highlights,
            detail=detail or settings.detail,
        )


class Settings:
    """The user's choices, as plain values."""

    def __init__(self, config):
        self.strength = config.get_property("strength")
        self.shadows = config.get_property("shadows")
        self.highlights = config.get_property("highlights")
        self.detail = config.get_property("detail")
        self.output = config.get_property("output")
        self.wrap = config.get_property("wrap")

    def same_look(self, other):
        """Whether a preview looks alike with both."""
        names = ("strength", "shadows", "highlights", "wrap")
        return other is not None and all(getattr(self, n) == getattr(other, n) for n in names)


def correct(image, correction, settings):
    """Correct the layer as set; the layer that holds the result."""
    Gimp.progress_init("Recovering exposure")
    if correction.picture is None:
        _drive("load", correction.load())
    _drive("survey", correction.survey(settings.wrap))
    _drive("render", correction.render(correction.picture, settings))
    store = _store_above if settings.output == NEW_LAYER else _store_in_place
    layer = store(image, correction)
    Gimp.progress_end()
    return layer


def _drive(part, steps):
    """Take all steps, with the progress bar over this part's share."""
    first, last = _SHARES[part]
    shown = -1.0
    for share in steps:
        now = first + share * (last - first)
        if now - shown >= 0.005:
            shown = now
            Gimp.progress_update(now)


def _store_in_place(image, correction):
    """Put the result into the layer, by selection, feather and locks."""
    layer = correction.layer
    _fill(correction, layer.get_shadow_buffer())
    with _one_undo_step(image):
        _merge(layer)
    return layer


def _store_above(image, correction):
    """Put the result into a new layer above, behind a mask of what is selected."""
    source = correction.layer
    layer = source.copy()
    layer.set_name(f"{source.get_name()} (recovered exposure)")
    masked = source.get_mask() is not None
    if not masked:
        _fill(correction, layer.get_buffer())
    with _one_undo_step(image):
        position = image.get_item_position(source)
        if not image.insert_layer(layer, source.get_parent(), position):
            raise _gimp_problem()
        if masked:
            # The copy keeps its mask, so the selection is applied to its pixels instead.
            _fill(correction, layer.get_shadow_buffer())
            _merge(layer)
        elif not Gimp.Selection.is_empty(image):
            layer.add_mask(layer.create_mask(Gimp.AddMaskType.SELECTION))
        layer.update(0, 0, layer.get_width(), layer.get_height())
    return layer


def _fill(correction, buffer):
    """Write the result; the buffer is flushed and let go, or it would be written again later."""
    _drive("store", correction.picture.copy_out(buffer))
    buffer.flush()


def _merge(layer):
    if not layer.merge_shadow(True):
        raise _gimp_problem()
    layer.update(0, 0, layer.get_width(), layer.get_height())


def _gimp_problem():
    return Problem(f"GIMP did not take the result: {Gimp.get_pdb().get_last_error()}")


@contextlib.contextmanager
def _one_undo_step(image):
    # Only around what changes the image: a failed run leaves it as it was, and not dirty.
    image.undo_group_start()
    try:
        yield
    finally:
        image.undo_group_end()


# The dialog ---------------------------------------------------------------------------------------


class Dialog:
    """Sliders with a preview that follows them; the worker works while GIMP's window lives."""

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
        self._dialog.get_content_area().pack_start(box, True, True, 0)
        for name in ("strength", "shadows", "highlights"):
            self._dialog.get_scale_entry(name, 1.0)
        self._dialog.fill(["strength", "shadows", "highlights", "detail", "output", "wrap"])

    def run(self):
        """Let the user choose; the correction so far, or None where it was cancelled."""
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
            self._say(str(error))
            self._steps = self._repair()
        return GLib.SOURCE_CONTINUE

    def _work(self):
        """All that goes on while the dialog is open, in steps."""
        correction = self._correction = Correction(self._layer, patience=0.001)
        self._say("Starting the worker…")
        yield 0.0
        yield from self._told("Giving the picture to the worker…", correction.load())
        yield from correction.shrink(_PREVIEW_SIDE)
        self._before = correction.preview.shown(corrected=False)
        self._show()
        rendered = None
        while True:
            settings = Settings(self._config)
            if self._setup_asked:
                yield from self._tell_setup()
            elif settings.same_look(rendered):
                yield 0.0
            else:
                yield from self._told("Looking at the picture…", correction.survey(settings.wrap))
                # The preview is for tone; detail would show at full size only.
                yield from correction.render(correction.preview, settings, detail="guided")
                self._after = correction.preview.shown(corrected=True)
                rendered = settings
                self._show()
                self._say("")

    def _told(self, text, steps):
        for share in steps:
            self._say(f"{text} {100 * share:.0f} %" if share else text)
            yield share

    def _repair(self):
        """What can still be done without a worker: say again why there is none."""
        while True:
            if self._setup_asked:
                self._setup_asked = False
                self._inform(f"No worker is in use.\n\n{self._broken}", problem=True)
            yield 0.0

    def _ask_setup(self):
        self._setup_asked = True

    def _tell_setup(self):
        self._setup_asked = False
        facts = yield from self._correction.worker.ask("status")
        self._inform(
            f"All is well.\n\nWorker: {facts['python']}\nVersion: {facts['version']} "
            f"(plug-in {VERSION})\nDevice: {facts['device']}\nModel: {facts['model']}"
        )

    def _inform(self, text, problem=False):
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

    def _say(self, text):
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
    """The procedure, as GIMP calls it."""
    threading.Thread(target=_end_with_gimp, args=(os.getppid(),), daemon=True).start()
    correction = None
    try:
        layer = require_usable(drawables)
        hit = layer.mask_intersect()[0]
        if not hit:
            Gimp.message("The selection does not overlap the layer: nothing was changed.")
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
    """End this process when GIMP is gone: nobody tells a plug-in that waits for its worker."""
    while os.getppid() == gimp:
        time.sleep(0.5)
    os._exit(1)


def _success(procedure, layer):
    values = procedure.new_return_values(Gimp.PDBStatusType.SUCCESS, GLib.Error())
    values.remove(1)
    values.insert(1, GObject.Value(Gimp.Layer, layer))
    return values


def _detail_choice():
    """The worker's kinds of detail, as `drht gimp install` noted them."""
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
    """The plug-in's one procedure."""

    def do_set_i18n(self, name):
        """No translations."""
        return False

    def do_query_procedures(self):
        """Their names."""
        return [PROCEDURE]

    def do_create_procedure(self, name):
        """The procedure, with its typed arguments."""
        procedure = Gimp.ImageProcedure.new(self, name, Gimp.PDBProcType.PLUGIN, run, None)
        procedure.set_image_types("RGB*, GRAY*")
        procedure.set_sensitivity_mask(Gimp.ProcedureSensitivityMask.DRAWABLE)
        procedure.set_menu_label("Recover E_xposure (DRHT)…")
        procedure.add_menu_path("<Image>/Filters/Enhance")
        procedure.set_documentation(
            "Bring back what a camera lost in over- and under-exposed parts",
            "Estimates the scene's HDR radiance with one network and maps it back to a display "
            "picture that keeps the detail with another (Deep Reciprocating HDR Transformation). "
            "The whole layer decides; selection, layer offsets and locks are kept to.",
            name,
        )
        procedure.set_attribution("drht_plugin", "drht_plugin, MIT licence", "2026")
        flags = GObject.ParamFlags.READWRITE
        for argument, label, text in (
            ("strength", "Stren_gth", "How much of the correction is applied"),
            ("shadows", "Sha_dows", "How much of the lift is applied where it gets brighter"),
            ("highlights", "_Highlights", "How much of the recovery is applied where it darkens"),
        ):
            procedure.add_double_argument(argument, label, text, 0.0, 1.0, 1.0, flags)
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
            "wrap", "360° pa_norama", "The left and right edges meet", False, flags
        )
        procedure.add_layer_return_value("layer", "Layer", "What holds the result", True, flags)
        return procedure


if __name__ == "__main__":
    Gimp.main(Drht.__gtype__, sys.argv)
