"""What is corrected: layers, layer groups, or the image as it is seen."""

from gi.repository import Gimp

from .flatten import blends_with_what_is_below, parents, with_effects
from .problem import Problem
from .settings import VISIBLE
from .text import _


class Source:
    """Pixels to correct, and what they are of.

    Attributes:
        layer: the layer or layer group of the image; None for the image as it is seen.
        drawable: holds the pixels. It is the layer itself where that shows just its pixels.
        name: for the user.

    Args:
        layer: see above.
        drawable: see above.
        image: made for the drawable alone, and deleted by `close`; None if there is none.
    """

    def __init__(self, layer, drawable, image=None):
        self.layer, self.drawable, self._image = layer, drawable, image
        self.name = _("Visible") if layer is None else layer.get_name()
        self._size = _size(layer)

    def require_there(self, image):
        """Check that the user has not removed or resized the layer since it was chosen.

        Raises:
            Problem: the user has.
        """
        if self.layer is None:
            return
        layers = {each.get_id() for each in image.get_layers()}
        # A removed layer is still valid, as undo may bring it back.
        there = self.layer.is_valid() and layers & {
            each.get_id() for each in (self.layer, *parents(self.layer))
        }
        if not there or _size(self.layer) != self._size:
            text = _("“{name}” was removed or resized meanwhile; the image is unchanged.")
            raise Problem(text.format(name=self.name))

    def close(self):
        """Delete what was made to read the pixels."""
        if self._image is not None:
            self._image.delete()
        elif self.layer is None:
            self.drawable.delete()


def choose(image, drawables, settings):
    """Return the sources that the user asks for.

    Args:
        image: the image.
        drawables: what is selected in it.
        settings: the user's choices.

    Returns:
        At least one source. Layers in a group that is selected as well are left out, as are layers
        that the selection does not overlap, unless it overlaps none.

    Raises:
        Problem: they cannot be corrected.
    """
    if image.get_base_type() == Gimp.ImageBaseType.INDEXED:
        raise Problem(
            _(
                "The image is in indexed mode, which has too few colours for a correction; convert "
                "it with Image ▸ Mode ▸ RGB first."
            )
        )
    if settings.input == VISIBLE:
        return [Source(None, Gimp.Layer.new_from_visible(image, image, _("Visible")))]
    if not drawables:
        raise Problem(_("No layer is selected; select a layer, or correct what is visible."))
    for drawable in drawables:
        _require_layer(drawable)
    once = {each.get_id(): each for each in drawables}.values()
    groups = {each.get_id() for each in once if each.is_group()}
    layers = [each for each in once if not groups & {p.get_id() for p in parents(each)}]
    touched = [each for each in layers if each.mask_intersect()[0]]
    sources = []
    try:
        for layer in touched or layers:
            sources.append(_source(image, layer))
    except Problem:
        close_all(sources)
        raise
    return sources


def _size(layer):
    return None if layer is None else (layer.get_width(), layer.get_height())


def is_touched(source):
    """Return whether the selection overlaps the source."""
    return source.layer is None or source.layer.mask_intersect()[0]


def close_all(sources):
    """Delete what was made to read the pixels of sources."""
    for source in sources:
        source.close()


def _require_layer(drawable):
    text = None
    if isinstance(drawable, Gimp.LayerMask):
        text = _("“{name}” is a layer mask; select the layer's pixels instead.")
    elif isinstance(drawable, Gimp.Channel):
        text = _("“{name}” is a channel; select a layer instead.")
    elif not isinstance(drawable, Gimp.Layer):
        text = _("“{name}” is not a layer; select a layer.")
    elif drawable.is_floating_sel():
        text = _("“{name}” is a floating selection; anchor it or make a layer of it first.")
    if text is not None:
        raise Problem(text.format(name=drawable.get_name()))
    for locked in (drawable, *parents(drawable)):
        if locked.get_lock_content():
            text = _("The pixels of “{name}” are locked; unlock them first.")
            raise Problem(text.format(name=locked.get_name()))


def _source(image, layer):
    if layer.get_mode() == Gimp.LayerMode.PASS_THROUGH and blends_with_what_is_below(image, layer):
        text = _(
            "The layers in “{name}” blend with what lies below the group, so it has no picture of "
            "its own; set the group's mode to Normal, or correct what is visible."
        )
        raise Problem(text.format(name=layer.get_name()))
    return Source(layer, *((layer,) if not layer.get_filters() else with_effects(image, layer)))
