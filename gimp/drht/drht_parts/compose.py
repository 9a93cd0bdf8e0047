"""What the preview shows of a part: before, after or both, where the result goes."""

from gi.repository import GdkPixbuf, Gegl, Gimp

from .screen import pixbuf

_NEAREST = GdkPixbuf.InterpType.NEAREST
_OPAQUE = 255
_SQUARE = 8
_CHECKS = 0x999999, 0x666666
_LIGHT, _DARK = 0xFFFFFFFF, 0x202020FF
_GRIP = 28


class Masks:
    """Where a source is corrected and seen: by the image's selection, and the layer's mask.

    Args:
        image: the image.
        source: see `sources.Source`.
    """

    def __init__(self, image, source):
        everywhere = Gimp.Selection.is_empty(image)
        self._selection = None if everywhere else image.get_selection()
        drawable, layer = source.drawable, source.layer
        self._width = drawable.get_width()
        self._place = drawable.get_offsets()[1:]
        self._mask, self._mask_place = None, (0, 0)
        if layer is not None and layer.get_mask() is not None and layer.get_apply_mask():
            self._mask, theirs = layer.get_mask(), layer.get_offsets()[1:]
            # A copy of a group's pixels may begin elsewhere.
            self._mask_place = [own - their for own, their in zip(self._place, theirs, strict=True)]

    def selected(self, part):
        """Return how much each pixel of a part is selected, as bytes; None if all are."""
        return self._read(self._selection, part, self._place)

    def visible(self, part):
        """Return the mask's values of a part, as bytes; None without a mask."""
        return self._read(self._mask, part, self._mask_place)

    def _read(self, drawable, part, offsets):
        if drawable is None:
            return None
        scale = part.width / self._width
        left, top = (
            round(first + scale * offset)
            for first, offset in zip((part.left, part.top), offsets, strict=True)
        )
        place = Gegl.Rectangle.new(left, top, part.columns, part.rows)
        # A mask's values are shares, which no curve is to change.
        curved = "'" in drawable_components(drawable)
        kind = "Y' u8" if curved else "Y u8"
        return drawable.get_buffer().get(place, scale, kind, Gegl.AbyssPolicy.NONE)


def drawable_components(drawable):
    """Return the names of the components of a drawable's pixels, such as "R'G'B'A"."""
    from gi.repository import Babl

    return Babl.format_get_encoding(drawable.get_format()).rpartition(" ")[0]


class Pair:
    """A part of the picture before and after, ready to be shown.

    Args:
        part: the part, see `view.Part`.
        before: its pixels, R, G, B and alpha of 8 bits.
        after: the corrected ones; None if there are none yet.
        masks: see `Masks`.

    Attributes:
        part: the part.
    """

    def __init__(self, part, before, after, masks):
        self.part, self._size = part, (part.columns, part.rows)
        selected, visible = masks.selected(part), masks.visible(part)
        self._before = self._on_checks(before, visible)
        self._after = None
        if after is not None:
            if selected is not None:
                after = self._where_selected(before, after, selected)
            self._after = self._on_checks(after, visible)

    def shown(self, place, split):
        """Return the picture to show.

        Args:
            place: its place on the screen; it is enlarged to that size.
            split: the share of its width that shows the picture before, 0 to 1.
        """
        before, after = (
            None if each is None else self._enlarged(each, place)
            for each in (self._before, self._after)
        )
        if after is None or split >= 1:
            return before
        border = round(split * place.width)
        if border <= 0:
            return after
        both = after.copy()
        before.copy_area(0, 0, border, place.height, both, 0, 0)
        return both

    def _enlarged(self, picture, place):
        if (place.width, place.height) == self._size:
            return picture
        return picture.scale_simple(place.width, place.height, _NEAREST)

    def _where_selected(self, before, after, selected):
        """Return the pixels after, mixed into those before as they are selected."""
        below, above = bytearray(before), bytearray(after)
        below[3::4] = bytes([_OPAQUE]) * len(selected)
        above[3::4] = selected
        mixed = pixbuf(bytes(below), *self._size).copy()
        whole = 0, 0, *self._size, 0, 0, 1, 1
        pixbuf(bytes(above), *self._size).composite(mixed, *whole, _NEAREST, _OPAQUE)
        made = bytearray(mixed.get_pixels())
        made[3::4] = before[3::4]
        return bytes(made)

    def _on_checks(self, data, visible):
        """Return pixels on checks, which show what is transparent or masked."""
        picture = self._checked(pixbuf(data, *self._size))
        if visible is None:
            return picture
        masked = bytearray(picture.add_alpha(False, 0, 0, 0).get_pixels())
        masked[3::4] = visible
        return self._checked(pixbuf(bytes(masked), *self._size))

    def _checked(self, picture):
        return picture.composite_color_simple(*self._size, _NEAREST, _OPAQUE, _SQUARE, *_CHECKS)


def draw_border(picture, column, scale):
    """Return a picture with a line at a column, and a grip on it that can be dragged."""
    width, height = picture.get_width(), picture.get_height()
    made = picture.copy()

    def fill(left, top, right, bottom, colour):
        left, top = max(0, left), max(0, top)
        right, bottom = min(width, right), min(height, bottom)
        if left < right and top < bottom:
            made.new_subpixbuf(left, top, right - left, bottom - top).fill(colour)

    half, grip, middle = scale, _GRIP * scale // 2, height // 2
    fill(column - 2 * half, 0, column + 2 * half, height, _DARK)
    fill(column - half, 0, column + half, height, _LIGHT)
    fill(column - 4 * half, middle - grip, column + 4 * half, middle + grip, _DARK)
    fill(column - 3 * half, middle - grip + half, column + 3 * half, middle + grip - half, _LIGHT)
    return made
