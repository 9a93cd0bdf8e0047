"""Layers of the image: what can be corrected, and where the result goes."""

import contextlib

from gi.repository import Gimp

from .problem import Problem
from .progress import run_steps
from .settings import NEW_LAYER


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
        run_steps("load", correction.load())
    run_steps("survey", correction.survey(settings.wrap))
    run_steps("render", correction.render(correction.picture, settings))
    store = _store_above if settings.output == NEW_LAYER else _store_in_place
    layer = store(image, correction)
    Gimp.progress_end()
    return layer


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
    run_steps("store", correction.picture.write_to(buffer))
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
