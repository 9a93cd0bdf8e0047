"""The preview: a picture that fills its area, zooms, pans and is split into before and after."""

from gi.repository import Gdk, Gtk, Pango

from .compose import draw_border
from .screen import show
from .text import _
from .view import View

_LEAST = 200, 110
_NEAR = 8
_ARROWS = {
    Gdk.KEY_Left: (1, 0),
    Gdk.KEY_Right: (-1, 0),
    Gdk.KEY_Up: (0, 1),
    Gdk.KEY_Down: (0, -1),
}
_STRIDE = 60


class Preview:
    """The preview's widgets.

    Args:
        size: the picture's width and height in pixels.

    Attributes:
        box: the widget that holds the others.
        zoom: the label that says how large the picture is.
        cover: the widget over the picture, for what is to be said there.
        view: what is to be seen, see `View`.
        pair: what is there to be shown, see `compose.Pair`; None if nothing is.
    """

    def __init__(self, size):
        self.view = View(size, (1, 1), None, (0.5, 0.5))
        self.pair = self._place = None
        self._split, self._dragged = 0.5, None
        self.box = Gtk.Box(orientation=Gtk.Orientation.VERTICAL, spacing=6)
        self.cover = Gtk.Overlay()
        self.cover.add(self._make_area())
        self.box.pack_start(self.cover, True, True, 0)
        self.box.pack_start(self._make_bar(), False, False, 0)

    def start(self, size):
        """Begin with another picture.

        Args:
            size: its width and height in pixels.
        """
        self.pair = self._place = None
        self._image.clear()
        self._look(self.view._replace(size=size).fitted())

    def show(self, pair):
        """Show another part, or the same one with other pixels."""
        self.pair, self._place = pair, self.view.place
        self.refresh()

    def refresh(self):
        """Show what is there again, as the split or the scale is another one."""
        if self.pair is None:
            return
        place, scale = self._place, self.scale
        picture = self.pair.shown(place, self._shown_split())
        if self._is_split():
            picture = draw_border(picture, round(self._split * place.width), scale)
        show(self._image, picture, scale)
        self._layout.move(self._image, place.left // scale, place.top // scale)

    @property
    def scale(self):
        """Device pixels to a pixel of the widgets."""
        return self._layout.get_scale_factor()

    @property
    def widget(self):
        """The widget on which the picture is shown."""
        return self._layout

    def _make_area(self):
        self._image = Gtk.Image()
        self._layout = layout = Gtk.Layout()
        layout.put(self._image, 0, 0)
        layout.set_size_request(*_LEAST)
        layout.set_can_focus(True)
        mask = Gdk.EventMask
        layout.add_events(
            mask.BUTTON_PRESS_MASK
            | mask.BUTTON_RELEASE_MASK
            | mask.POINTER_MOTION_MASK
            | mask.SCROLL_MASK
            | mask.SMOOTH_SCROLL_MASK
            | mask.KEY_PRESS_MASK
        )
        layout.connect("size-allocate", self._resize)
        layout.connect("notify::scale-factor", self._resize)
        layout.connect("button-press-event", self._press)
        layout.connect("button-release-event", self._release)
        layout.connect("motion-notify-event", self._move)
        layout.connect("scroll-event", self._scroll)
        layout.connect("key-press-event", self._key)
        frame = Gtk.Frame()
        frame.add(layout)
        return frame

    def _make_bar(self):
        self._toggle = Gtk.CheckButton.new_with_mnemonic(_("Pre_view"))
        self._toggle.set_active(True)
        self._toggle.set_tooltip_text(_("Show the correction; otherwise the picture before"))
        self._toggle.connect("toggled", self._toggled)
        self._halves = Gtk.CheckButton.new_with_mnemonic(_("_Before/after"))
        self._halves.set_tooltip_text(_("Show the picture before on the left, after on the right"))
        self._halves.connect("toggled", self._toggled)
        self.zoom = Gtk.Label(label="", width_chars=7, xalign=1)
        for check in (self._toggle, self._halves):
            check.get_child().set_ellipsize(Pango.EllipsizeMode.END)
        bar = Gtk.Box(orientation=Gtk.Orientation.HORIZONTAL, spacing=6)
        bar.pack_start(self._toggle, False, False, 0)
        bar.pack_start(self._halves, False, False, 0)
        bar.pack_end(self._button(_("_1:1"), _("A pixel of the picture to one of the screen"),
                                  lambda: self.view.zoomed(1.0)), False, False, 0)  # fmt: skip
        bar.pack_end(self._button(_("_Fit"), _("The whole picture"),
                                  lambda: self.view.fitted()), False, False, 0)  # fmt: skip
        return bar

    def _button(self, label, hint, act):
        button = Gtk.Button.new_with_mnemonic(label)
        button.set_tooltip_text(hint)
        button.connect("clicked", lambda *_: self._look(act()))
        return button

    def _look(self, view):
        self.view = view
        if self.pair is not None and self.pair.part == view.part and self._place != view.place:
            self.show(self.pair)
        self.zoom.set_text(view.percent)

    def _resize(self, *_):
        size = self._layout.get_allocation()
        area = max(1, size.width * self.scale), max(1, size.height * self.scale)
        if area != self.view.area:
            self._look(self.view.resized(area))

    def _toggled(self, *_):
        self._halves.set_sensitive(self._toggle.get_active())
        self.refresh()

    def _is_split(self):
        return self._toggle.get_active() and self._halves.get_active()

    def _shown_split(self):
        if not self._toggle.get_active():
            return 1.0
        return self._split if self._halves.get_active() else 0.0

    def _press(self, _, event):
        self._layout.grab_focus()
        if event.button not in (1, 2):
            return False
        if event.type == Gdk.EventType.DOUBLE_BUTTON_PRESS:
            self._dragged = None
            at = event.x * self.scale, event.y * self.scale
            full = self.view.zoom is not None and self.view.scale >= 1
            self._look(self.view.fitted() if full else self.view.zoomed(1.0, at))
        elif event.type == Gdk.EventType.BUTTON_PRESS:
            on_border = event.button == 1 and self._is_on_border(event.x)
            self._dragged = (on_border, event.x, event.y)
        return True

    def _release(self, *_):
        self._dragged = None
        return True

    def _move(self, _, event):
        if self._dragged is None:
            self._point("ew-resize" if self._is_on_border(event.x) else "grab")
            return False
        on_border, x, y = self._dragged
        if on_border:
            left, width = self._place.left, self._place.width
            self._split = min(1.0, max(0.0, (event.x * self.scale - left) / width))
            self.refresh()
        else:
            scale = self.scale
            self._look(self.view.panned((event.x - x) * scale, (event.y - y) * scale))
            self._dragged = (on_border, event.x, event.y)
        return True

    def _scroll(self, _, event):
        at = event.x * self.scale, event.y * self.scale
        turned, _across, down = event.get_scroll_deltas()
        if turned:
            steps = -round(down) if abs(down) >= 1 else -(down > 0) + (down < 0)
        else:
            steps = {Gdk.ScrollDirection.UP: 1, Gdk.ScrollDirection.DOWN: -1}.get(
                event.direction, 0
            )
        if steps:
            self._look(self.view.stepped(steps, at))
        return True

    def _key(self, _, event):
        if event.keyval in _ARROWS:
            right, down = _ARROWS[event.keyval]
            stride = _STRIDE * self.scale
            self._look(self.view.panned(right * stride, down * stride))
        elif event.keyval in (Gdk.KEY_plus, Gdk.KEY_KP_Add, Gdk.KEY_equal):
            self._look(self.view.stepped(1))
        elif event.keyval in (Gdk.KEY_minus, Gdk.KEY_KP_Subtract):
            self._look(self.view.stepped(-1))
        else:
            return False
        return True

    def _is_on_border(self, x):
        if self.pair is None or not self._is_split():
            return False
        border = self._place.left + self._split * self._place.width
        return abs(x * self.scale - border) <= _NEAR * self.scale

    def _point(self, name):
        display = self._layout.get_display()
        self._layout.get_window().set_cursor(Gdk.Cursor.new_from_name(display, name))
