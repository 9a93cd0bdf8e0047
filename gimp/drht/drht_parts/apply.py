"""The correction of an image: of each source, and then of the image in one undo step."""

import contextlib

from gi.repository import Gimp

from .correction import Correction
from .problem import Problem
from .progress import run_steps
from .results import InPlace, NewLayer
from .settings import IN_PLACE
from .text import _
from .worker import WorkerEnded


def correct(image, sources, settings, begun=None):
    """Correct the sources.

    Args:
        image: the image.
        sources: what to correct, see `sources.choose`.
        settings: the user's choices.
        begun: the correction of the first source, which the dialog has begun; None if it has not.
            Its worker is ended.

    Returns:
        The layers that hold the results.

    Raises:
        Problem: the correction cannot be done; the image is unchanged.
    """
    Gimp.progress_init(_("Recovering exposure"))
    results = []
    try:
        for source in sources:
            source.require_there(image)
            results.append(_result(image, source, settings))
        for number, (source, result) in enumerate(zip(sources, results, strict=True)):
            with _named(source, sources):
                correction = begun if begun and number == 0 else Correction(source.drawable)
                _prepare_with_another(result, correction, settings, number, len(sources))
        for source in sources:
            source.require_there(image)
        with _one_undo_step(image):
            for result in results:
                result.put(image)
            # GIMP selects the last that is added.
            image.set_selected_layers([result.layer for result in results])
    except Problem:
        for result in results:
            result.abandon()
        raise
    Gimp.progress_end()
    return [result.layer for result in results]


def _prepare_with_another(result, correction, settings, *place):
    """Correct a source; if the worker ends meanwhile, begin again with another, once."""
    try:
        _prepare(result, correction, settings, *place)
    except WorkerEnded as error:
        if not error.may_start_again:
            raise
        _prepare(result, Correction(correction.layer), settings, *place)


def _prepare(result, correction, settings, *place):
    """Correct a source, and give the result to where it goes; end the worker."""
    try:
        if correction.picture is None:
            run_steps("load", correction.load(), *place)
        run_steps("survey", correction.survey(settings.wrap), *place)
        run_steps("render", correction.render(correction.picture, settings), *place)
        run_steps("store", result.prepare(correction.picture), *place)
    finally:
        correction.worker.close()


def _result(image, source, settings):
    if settings.output != IN_PLACE or source.layer is None:
        return NewLayer(image, source)
    if source.layer.is_group():
        text = _("“{name}” is a layer group, which has no pixels to change; choose a new layer.")
        raise Problem(text.format(name=source.name))
    return InPlace(source)


@contextlib.contextmanager
def _named(source, sources):
    """Say of which source a problem is, where there are several."""
    try:
        yield
    except Problem as error:
        if len(sources) == 1 or f"“{source.name}”" in str(error):
            raise
        raise Problem(f"“{source.name}”: {error}") from error


@contextlib.contextmanager
def _one_undo_step(image):
    # Only around changes of the image, so that a failed run leaves it unchanged and not dirty.
    image.undo_group_start()
    try:
        yield
    finally:
        image.undo_group_end()
