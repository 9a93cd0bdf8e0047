"""Copies of layers and groups that are plain pixels, in images that nobody sees."""

from gi.repository import Gegl, Gimp

_COMPARED_SIDE = 1024


def with_effects(image, layer):
    """Return what a layer or group shows with its effects, without its mask, opacity and mode.

    Args:
        image: its image.
        layer: the layer or group.

    Returns:
        A plain layer, at the same place, and the image that was made for it.
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
    if copy.is_group():
        copy = _flat(made, copy)
    else:
        copy.merge_filters()
    return copy, made


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


def _flat(image, group):
    """Return the result of a group that is alone in its image, as a layer there."""
    if group.get_mask() is not None:
        group.remove_mask(Gimp.MaskApplyMode.DISCARD)
    group.set_mode(Gimp.LayerMode.NORMAL)
    group.set_opacity(100)
    group.set_visible(True)
    # The canvas shows what effects add beside the group, and all of the group.
    left, top = (min(0, place) for place in group.get_offsets()[1:])
    right = max(image.get_width(), group.get_offsets()[1] + group.get_width())
    bottom = max(image.get_height(), group.get_offsets()[2] + group.get_height())
    image.resize(right - left, bottom - top, -left, -top)
    flat = Gimp.Layer.new_from_visible(image, image, group.get_name())
    image.insert_layer(flat, None, 0)
    flat.set_offsets(left, top)
    return flat


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
