"""Pixels on the screen: in the monitor's colours, and a device pixel each."""

from gi.repository import Babl, GdkPixbuf, Gegl, Gimp, GimpUi, Gio, GLib, Gtk

try:
    import cairo  # noqa: F401
    import gi

    gi.require_foreign("cairo")
    from gi.repository import Gdk
except ImportError:
    Gdk = None  # Debian's GIMP 3.0 comes without


class ScreenColours:
    """How a layer's colours are shown on a widget's monitor, as GIMP's own windows show them.

    Args:
        widget: the widget.
        layer: the layer.
        layout: the format of its pixels, see `pixels.PixelFormat`.
    """

    def __init__(self, widget, layer, layout):
        self._widget, self._layout = widget, layout
        own = layer.get_format()
        space = Babl.format_get_space(own)
        self._plain = Babl.format_with_space("R'G'B'A u8", space)
        # As the profile of an image of linear light is linear, too, the components are the layer's.
        components = Babl.format_get_encoding(own).rpartition(" ")[0].removesuffix("A")
        self._source = Babl.format_with_space(f"{components}A float", space)
        image = layer.get_image()
        self._profile = image.get_effective_color_profile()
        # For those who look at a simulation; it must not be None.
        simulated = image.get_simulation_profile() or Gimp.ColorProfile.new_rgb_srgb()
        self._simulation = (
            simulated,
            image.get_simulation_intent(),
            image.get_simulation_bpc(),
        )
        self._config = Gimp.get_color_configuration()
        self._transform = self._monitor = None
        self.refresh()

    def refresh(self):
        """Look whether the widget is on another monitor; return whether its colours are others."""
        monitor = GimpUi.widget_get_monitor(self._widget)
        if monitor == self._monitor:
            return False
        self._monitor = monitor
        self._transform = GimpUi.widget_get_color_transform(
            self._widget,
            self._config,
            self._profile,
            self._source,
            self._plain,
            *self._simulation,
        )
        return True

    def convert(self, data, width, height):
        """Return pixels as R, G, B and alpha of 8 bits in the monitor's colours.

        Args:
            data: rows of pixels as the layer has them.
            width: width in pixels.
            height: height in pixels.
        """
        whole = Gegl.Rectangle.new(0, 0, width, height)
        buffer = Gegl.Buffer.new(self._layout.format, 0, 0, width, height)
        buffer.set(whole, self._layout.format, data)
        plain = Babl.get_name(self._plain)
        if self._transform is not None:
            shown = Gegl.Buffer.new(plain, 0, 0, width, height)
            self._transform.process_buffer(buffer, whole, shown, whole)
            buffer = shown
        return buffer.get(whole, 1.0, plain, Gegl.AbyssPolicy.NONE)


def pixbuf(data, width, height):
    """Return bytes of R, G, B and alpha as a picture of Gdk."""
    rgb = GdkPixbuf.Colorspace.RGB
    return GdkPixbuf.Pixbuf.new_from_bytes(
        GLib.Bytes.new(data), rgb, True, 8, width, height, 4 * width
    )


def show(image, picture, scale):
    """Show a picture with a device pixel to each of its own.

    Args:
        image: the Gtk.Image.
        picture: the pixbuf.
        scale: device pixels to a pixel of the widget, on each axis.
    """
    if scale == 1:
        image.set_from_pixbuf(picture)
    elif Gdk is not None:
        surface = Gdk.cairo_surface_create_from_pixbuf(picture, scale, image.get_window())
        image.set_from_surface(surface)
    else:
        # Without the module cairo only icons are drawn in device pixels, so this is one. Of a side
        # that is no whole number of the widget's pixels the last one is left out: no resampling.
        width, height = (
            max(scale, side - side % scale) for side in (picture.get_width(), picture.get_height())
        )
        if width <= picture.get_width() and height <= picture.get_height():
            picture = picture.new_subpixbuf(0, 0, width, height)
        _, data = picture.save_to_bufferv("bmp", [], [])
        image.set_from_gicon(Gio.BytesIcon.new(GLib.Bytes.new(data)), Gtk.IconSize.DIALOG)
        image.set_pixel_size(max(width, height) // scale)
