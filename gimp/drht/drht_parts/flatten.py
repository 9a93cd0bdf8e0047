"""Copies of layers and groups that are plain pixels, in images that nobody sees."""

from gi.repository import Gegl, Gimp

_COMPARED_SIDE = 1024


def with_effects(image, layer):
    """Return what a layer or group shows with its effects, without its mask, opacity and mode.

    Args:
        image: its image.
        layer: the layer or group.

    Returns:
        A plain layer in its place, and the image that was made for it. It holds what effects add
        beside the layer as well, if no mask cuts that off.
    """
    made = Gimp.Image.new_with_precision(
        image.get_width(), image.get_height(), image.get_base_type(), image.get_precision()
    )
    profile = image.get_color_profile()
    if profile is not None:
        made.set_color_profile(profile)
    copy = Gimp.Layer.new_from_drawable(layer, made)
    made.insert_layer(copy, None, 0)
    copy.set_offsets(*layer.get_offsets()[1:])
    if copy.get_mask() is not None:
        copy.remove_mask(Gimp.MaskApplyMode.DISCARD)
    copy.set_mode(Gimp.LayerMode.NORMAL)
    copy.set_composite_mode(Gimp.LayerCompositeMode.AUTO)
    copy.set_opacity(100)
    copy.set_visible(True)
    place = _place(layer)
    mask = layer.get_mask()
    if mask is not None and layer.get_apply_mask():
        left, top, right, bottom = _place(mask)
    else:
        left, top, right, bottom = _union(place, (0, 0, image.get_width(), image.get_height()))
    made.resize(right - left, bottom - top, -left, -top)
    flat = Gimp.Layer.new_from_visible(made, made, layer.get_name())
    made.insert_layer(flat, None, 0)
    flat.set_offsets(left, top)
    if mask is None:
        left, top, right, bottom = _union(place, _content(flat, place))
        _, x, y = flat.get_offsets()
        flat.resize(right - left, bottom - top, x - left, y - top)
    return flat, made


def blends_with_what_is_below(image, group):
    """Return whether a group that passes modes through looks otherwise when it does not.

    Args:
        image: its image.
        group: a layer group, with the mode "pass through".
    """
    copy = image.duplicate()
    try:
        # In floats, as rounding would make a difference; without interpolation, as it would, too.
        side = max(copy.get_width(), copy.get_height())
        if side > _COMPARED_SIDE:
            Gimp.context_set_interpolation(Gimp.InterpolationType.NONE)
            scale = _COMPARED_SIDE / side
            size = (max(1, round(scale * each)) for each in (copy.get_width(), copy.get_height()))
            copy.scale(*size)
        if copy.get_precision() != Gimp.Precision.FLOAT_LINEAR:
            copy.convert_precision(Gimp.Precision.FLOAT_LINEAR)
        inner = _same_place(copy, group)
        for each in (inner, *parents(inner)):
            each.set_visible(True)
        before = _seen(copy)
        inner.set_mode(Gimp.LayerMode.NORMAL)
        after = _seen(copy)
    finally:
        copy.delete()
    return any(abs(one - other) > 1 for one, other in zip(before, after, strict=True))


def parents(item):
    """Yield the groups that an item is in, from the inside."""
    while (item := item.get_parent()) is not None:
        yield item


def _place(item):
    """Return the left, top, right and bottom of an item in its image."""
    _, left, top = item.get_offsets()
    return left, top, left + item.get_width(), top + item.get_height()


def _union(one, other):
    return (*map(min, one[:2], other[:2]), *map(max, one[2:], other[2:]))


def _content(layer, empty):
    """Return the place of all that is not transparent in a layer; `empty` if there is nothing."""
    x, y, *_ = _place(layer)
    width, buffer = layer.get_width(), layer.get_buffer()
    found = None
    for row in range(layer.get_height()):
        line = Gegl.Rectangle.new(0, row, width, 1)
        alpha = buffer.get(line, 1.0, "A u8", Gegl.AbyssPolicy.NONE)
        right = len(alpha.rstrip(b"\0"))
        if right:
            left = width - len(alpha.lstrip(b"\0"))
            part = x + left, y + row, x + right, y + row + 1
            found = part if found is None else _union(found, part)
    return found or empty


def _same_place(copy, item):
    """Return the item of an image's copy that lies where an item lies in the image."""
    places = [each.get_image().get_item_position(each) for each in (item, *parents(item))]
    found, siblings = None, copy.get_layers()
    for place in reversed(places):
        found = siblings[place]
        siblings = found.get_children() if found.is_group() else ()
    return found


def _seen(image):
    """Return what is seen of an image, as bytes of sRGB with alpha."""
    layer = Gimp.Layer.new_from_visible(image, image, "")
    whole = Gegl.Rectangle.new(0, 0, layer.get_width(), layer.get_height())
    data = layer.get_buffer().get(whole, 1.0, "R'G'B'A u8", Gegl.AbyssPolicy.NONE)
    layer.delete()
    return data
