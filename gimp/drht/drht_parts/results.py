"""Where a result goes: prepared beside the image, and then put into it."""

from gi.repository import Gegl, Gimp

from .covering import covers
from .problem import Problem
from .text import _


class InPlace:
    """The result in the layer itself; GIMP respects selection, feather and locks.

    Attributes:
        layer: holds the result.

    Args:
        source: what is corrected.
    """

    def __init__(self, source):
        self.layer = source.layer

    def prepare(self, picture):
        """Take the result, in steps; the layer does not change."""
        yield from _fill(self.layer.get_shadow_buffer(), picture)

    def put(self, image):
        """Change the layer."""
        # Links, vectors and text of GIMP 3.2 would be drawn again, over the result.
        if hasattr(self.layer, "is_rasterized") and not self.layer.is_rasterized():
            self.layer.rasterize()
        _merge(self.layer)

    def abandon(self):
        """Forget the result."""
        self.layer.free_shadow()


class NewLayer:
    """The result in a new layer above, which looks like the source but for the correction.

    Its pixels are the result, its mode, opacity and mask those of the source. The selection becomes
    its mask where the source stays in sight and has none. Otherwise, only what is selected is
    corrected. A source that would be seen through the new layer is hidden.

    Attributes:
        layer: holds the result.

    Args:
        image: the image.
        source: what is corrected.

    Raises:
        Problem: the source has to be hidden, and its visibility is locked.
    """

    def __init__(self, image, source):
        self._source, self._drawable = source, source.drawable
        covered = covers(source)
        self._hides = not covered and source.layer is not None and source.layer.get_visible()
        if self._hides and source.layer.get_lock_visibility():
            text = _(
                "“{name}” would be seen through the result, and its visibility is locked; unlock "
                "it first."
            )
            raise Problem(text.format(name=source.name))
        self._mask = None if source.layer is None else source.layer.get_mask()
        selected = not Gimp.Selection.is_empty(image)
        self._merges = selected and (self._mask is not None or not covered)
        self._masks = selected and not self._merges
        self.layer = self._make(image, covered)

    def prepare(self, picture):
        """Take the result, in steps; the image does not change."""
        buffer = self.layer.get_buffer()
        if self._merges:
            _copy(self._drawable.get_buffer(), buffer)
            buffer.flush()
            buffer = self.layer.get_shadow_buffer()
        yield from _fill(buffer, picture)
        if self._mask is not None:
            mask = self.layer.create_mask(Gimp.AddMaskType.BLACK)
            buffer = mask.get_buffer()
            # Both are without the offsets of their layers.
            places = zip(self._mask.get_offsets()[1:], self.layer.get_offsets()[1:], strict=True)
            _copy(self._mask.get_buffer(), buffer, *(its - ours for its, ours in places))
            buffer.flush()
            self.layer.add_mask(mask)

    def put(self, image):
        """Add the layer to the image."""
        source = self._source.layer
        parent = None if source is None else source.get_parent()
        position = 0 if source is None else image.get_item_position(source)
        if not image.insert_layer(self.layer, parent, position):
            raise gimp_problem()
        if self._mask is not None:
            self.layer.set_apply_mask(source.get_apply_mask())
            self.layer.set_show_mask(source.get_show_mask())
        if self._merges:
            _merge(self.layer)
        elif self._masks:
            self.layer.add_mask(self.layer.create_mask(Gimp.AddMaskType.SELECTION))
        if self._hides:
            source.set_visible(False)
        self.layer.update(0, 0, self.layer.get_width(), self.layer.get_height())

    def abandon(self):
        """Forget the result."""
        self.layer.delete()

    def _make(self, image, covered):
        drawable, source = self._drawable, self._source.layer
        layer = Gimp.Layer.new(
            image,
            _("{name} (recovered exposure)").format(name=self._source.name),
            drawable.get_width(),
            drawable.get_height(),
            drawable.type(),
            100,
            Gimp.LayerMode.NORMAL,
        )
        layer.set_offsets(*drawable.get_offsets()[1:])
        if source is None:
            if not covered:
                # It is shown instead of what is below it, and not over it.
                layer.set_composite_mode(Gimp.LayerCompositeMode.CLIP_TO_LAYER)
            return layer
        layer.set_opacity(source.get_opacity())
        if source.get_mode() != Gimp.LayerMode.PASS_THROUGH:
            layer.set_mode(source.get_mode())
            layer.set_blend_space(source.get_blend_space())
            layer.set_composite_space(source.get_composite_space())
            layer.set_composite_mode(source.get_composite_mode())
        layer.set_visible(source.get_visible())
        layer.set_color_tag(source.get_color_tag())
        return layer


def gimp_problem():
    """Return why GIMP refused a change."""
    reason = Gimp.get_pdb().get_last_error()
    return Problem(_("GIMP did not take the result: {reason}").format(reason=reason))


def _fill(buffer, picture):
    """Write a picture's result into a buffer, and flush it, so that it is not written later."""
    yield from picture.write_to(buffer)
    buffer.flush()


def _copy(source, target, left=0, top=0):
    """Copy a buffer into another, at a place of it."""
    size = source.props.width, source.props.height
    whole, place = Gegl.Rectangle.new(0, 0, *size), Gegl.Rectangle.new(left, top, *size)
    source.copy(whole, Gegl.AbyssPolicy.NONE, target, place)


def _merge(layer):
    if not layer.merge_shadow(True):
        raise gimp_problem()
    layer.update(0, 0, layer.get_width(), layer.get_height())
