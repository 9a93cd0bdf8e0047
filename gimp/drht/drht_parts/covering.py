"""Whether a corrected copy above a layer covers it, or the layer has to be hidden."""

from gi.repository import Gegl, Gimp

_ROWS_BYTES = 4 << 20


def covers(source):
    """Return whether the source is not seen any more through a copy of the same transparency.

    It would be where both are half transparent, and where the layer blends with what is below.
    """
    layer = source.layer
    if layer is not None and not _is_plain(layer):
        return False
    if source.drawable is layer:
        _, *place = layer.mask_intersect()
    else:
        place = [0, 0, source.drawable.get_width(), source.drawable.get_height()]
    if source.drawable.has_alpha() and _has_halves(source.drawable, place, "A u16"):
        return False
    mask = None if layer is None else layer.get_mask()
    if mask is None or not layer.get_apply_mask():
        return True
    return not _has_halves(mask, [0, 0, mask.get_width(), mask.get_height()], "Y u16")


def _is_plain(layer):
    return (
        layer.get_mode() in (Gimp.LayerMode.NORMAL, Gimp.LayerMode.NORMAL_LEGACY)
        and layer.get_opacity() == 100
        and layer.get_composite_mode()
        in (Gimp.LayerCompositeMode.AUTO, Gimp.LayerCompositeMode.UNION)
    )


def _has_halves(drawable, place, component):
    """Return whether a component is neither 0 nor 1 anywhere in a place (x, y, width, height)."""
    left, top, width, height = place
    buffer = drawable.get_buffer()
    rows = max(1, _ROWS_BYTES // (2 * width))
    for first in range(top, top + height, rows):
        part = Gegl.Rectangle.new(left, first, width, min(rows, top + height - first))
        data = buffer.get(part, 1.0, component, Gegl.AbyssPolicy.NONE)
        # Of 0 and 65535 alone, both bytes are the same, and 0 or 255.
        low, high = data[::2], data[1::2]
        if low != high or low.count(0) + low.count(255) < len(low):
            return True
    return False
