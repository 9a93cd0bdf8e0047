"""Survey libvips images on demand, once for each image."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import numpy as np
import numpy.typing as npt
import pyvips

from drht_plugin.engine.corrector import Corrector
from drht_plugin.engine.scene import Scene
from drht_plugin.errors import Cancelled, InputError, ReadError
from drht_plugin.libvips.c import address
from drht_plugin.libvips.lazy import DTYPES, check_kill, current_image
from drht_plugin.libvips.smaller_copies import holds_one_picture, pyramid_level, shrink_factor
from drht_plugin.storage import identity_of
from drht_plugin.vips._coding import ValueCoding, as_rgb

_SEQUENTIAL = "vips-sequential"
_BAND_PIXELS = 1 << 20


def _no_copy(_most: int) -> None:
    return None


def _no_check() -> None:
    pass


@dataclass(frozen=True)
class Opener:
    """Opens an image, as often as needed.

    Attributes:
        image: returns the image.
        smaller: (max_factor) → opener of a smaller copy, at most that many times smaller in each
            direction; or None.
        require_same: refuses a file that is not the one that the image was opened from.
    """

    image: Callable[[], pyvips.Image]
    smaller: Callable[[int], Opener | None] = _no_copy
    require_same: Callable[[], None] = _no_check


class Rows:
    """Source of an image's rows for the engine, for use by one thread; see `engine.source`.

    Args:
        open_: opens the image. It is opened again to read rows above those read last, as a
            sequential image can be read from top to bottom only.
        coding: of the image's values.
    """

    def __init__(self, open_: Opener, coding: ValueCoding) -> None:
        self._open, self._coding = open_, coding
        self._image = open_.image()
        self._region: pyvips.Region | None = None
        self._next = 0
        self._stored = DTYPES[str(self._image.format)]
        self.shape = (self._image.height, self._image.width, self._image.bands)
        self.dtype = coding.dtype

    def __getitem__(self, rows: slice) -> npt.NDArray[Any]:
        """Return rows `top:bottom:step`, R×W×bands, in the engine's dtype and range."""
        wanted = range(*rows.indices(self.shape[0]))
        out = np.empty((len(wanted), *self.shape[1:]), self._stored)
        # Fetch single rows where rows are skipped, and otherwise about a megapixel at once.
        height = 1 if wanted.step > 1 else max(1, _BAND_PIXELS // self.shape[1])
        for first in range(0, len(wanted), height):
            part = wanted[first : first + height]
            out[first : first + len(part)] = self._fetch(part.start, len(part))
            check_kill()
        return self._coding.to_engine(out)

    def reduced(self, most: int) -> Rows | None:
        """See `engine.source.Reducible`."""
        smaller = self._open.smaller(most)
        return Rows(smaller, self._coding) if smaller else None

    def _fetch(self, top: int, height: int) -> npt.NDArray[Any]:
        if top < self._next:
            self._image, self._region = self._open.image(), None
        self._next = top + height
        if self._region is None:
            self._region = pyvips.Region.new(self._image)
        data = self._region.fetch(0, top, self.shape[1], height)
        return np.frombuffer(data, self._stored).reshape(height, *self.shape[1:])


class Survey:
    """Survey of one image, made when first needed; safe to use from several threads.

    Args:
        image: to survey.
        coding: of its values.
        wrap: whether it is a panorama.
        corrector: runs the networks.

    Raises:
        InputError: the image is sequential and cannot be read twice.
    """

    def __init__(
        self, image: pyvips.Image, coding: ValueCoding, *, wrap: bool, corrector: Corrector
    ) -> None:
        # `shared_survey` identifies the image by its address, so it must stay alive.
        self._image = image
        self._open = opener_of(image)
        self._coding = coding
        self._wrap, self._corrector = wrap, corrector
        self._lock = threading.Lock()
        self._attempt: _Attempt | None = None

    def scene(self) -> Scene:
        """Return the scene; the first call reads the image and runs the networks.

        Raises:
            Cancelled: the image rendered on this thread has been killed.
            InputError: see `drht_plugin.Corrector.survey`.
        """
        while True:
            with self._lock:
                attempt, first = self._attempt, self._attempt is None
                if attempt is None:
                    attempt = self._attempt = _Attempt(current_image())
            if first:
                self._make(attempt)
            try:
                return attempt.scene.result()
            except Cancelled:
                # Try again if it was another image, sharing this survey, that was killed.
                if attempt.owner is current_image():
                    raise

    def _make(self, attempt: _Attempt) -> None:
        try:
            scene = self._corrector.survey(
                Rows(self._open, self._coding),
                transfer=self._coding.transfer,
                orientation=self._coding.orientation,
                profile=self._coding.profile,
                wrap=self._wrap,
            )
            self._open.require_same()
        except BaseException as error:
            self._attempt = None  # let later calls try again
            attempt.scene.set_exception(error)
        else:
            attempt.owner = None  # breaks a reference cycle that would keep the image alive
            attempt.scene.set_result(scene)


class _Attempt:
    """A survey in progress or done, which several threads may wait for.

    Attributes:
        owner: state of the generated image whose thread makes the survey.
        scene: the result.
    """

    def __init__(self, owner: object) -> None:
        self.owner = owner
        self.scene: Future[Scene] = Future()


_surveys: WeakValueDictionary[tuple[Any, ...], Survey] = WeakValueDictionary()
_lock = threading.Lock()


def shared_survey(
    image: pyvips.Image, coding: ValueCoding, *, wrap: bool, corrector: Corrector
) -> Survey:
    """Return the survey of an image, which all its corrections share.

    Args:
        image: to survey.
        coding: of its values.
        wrap: whether it is a panorama.
        corrector: runs the networks.

    Raises:
        InputError: the image is sequential and cannot be read twice.
    """
    key = (address(image.pointer), coding, wrap, id(corrector))
    with _lock:
        survey = _surveys.get(key)
        if survey is None:
            survey = Survey(image, coding, wrap=wrap, corrector=corrector)
            _surveys[key] = survey
        return survey


def is_sequential(image: pyvips.Image) -> bool:
    """Return whether an image can be read once only, from top to bottom."""
    return bool(image.get_typeof(_SEQUENTIAL))


def opener_of(image: pyvips.Image) -> Opener:
    """Return an opener of the image in RGB; of its file, if the image can be read only once.

    Raises:
        InputError: the image is sequential and not a file just opened.
    """
    if not is_sequential(image):
        return Opener(lambda: as_rgb(image)[0], _smaller_copies_of(image))
    problem = "it is not a file just opened"
    name = image.filename or ""
    if os.path.isfile(name):
        state = identity_of(name)

        def require_same() -> None:
            if identity_of(name) != state:
                raise ReadError(
                    f"{os.path.basename(name)}: was changed since it was opened; open it again"
                )

        def open_again() -> pyvips.Image:
            require_same()
            return as_rgb(_open_file(name))[0]

        again = _open_file(name)
        problem = "its file opens as another picture without the loader's options"
        if _properties(again) == _properties(image) and _is_one_picture(again):
            return Opener(open_again, _smaller_copies_of(again), require_same)
    raise InputError(
        f"the image is read sequentially, and the correction must see all of it first, but "
        f"{problem}; open it with access='random', or give scene=drht_plugin.vips.survey(...)"
    )


def opener_once(image: pyvips.Image) -> Opener:
    """Return an opener as `opener_of` does; for other sequential images, one to use once."""
    try:
        return opener_of(image)
    except InputError:
        return Opener(lambda: as_rgb(image)[0])


def _smaller_copies_of(image: pyvips.Image) -> Callable[[int], Opener | None]:
    """Return an opener of smaller copies, for a JPEG or pyramid that has just been opened."""
    name = image.filename or ""
    loader = image.get("vips-loader") if image.get_typeof("vips-loader") else ""
    if not os.path.isfile(name) or loader not in ("jpegload", "tiffload"):
        return _no_copy
    state = identity_of(name)

    def smaller(most: int) -> Opener | None:
        if identity_of(name) != state:
            return None  # another picture; the image may be in memory
        try:
            again = _open_file(name)
        except pyvips.Error:
            return None  # the file has been removed, and the image may be in memory
        if _properties(again) != _properties(image) or not _is_one_picture(again):
            return None
        options = pyramid_level(Path(name), most) if loader == "tiffload" else _shrunk(most)
        return Opener(lambda: as_rgb(_open_file(name, **options))[0]) if options else None

    return smaller


def _shrunk(most: int) -> dict[str, int] | None:
    factor = shrink_factor(most)
    return {"shrink": factor} if factor > 1 else None


def _is_one_picture(image: pyvips.Image) -> bool:
    """Return whether an image's file holds one picture, apart from a pyramid's levels."""
    return image.get_n_pages() == 1 or (
        image.get("vips-loader") == "tiffload" and holds_one_picture(Path(image.filename))
    )


def _open_file(name: str, **options: int) -> pyvips.Image:
    return pyvips.Image.new_from_file(name, access="sequential", **options)


def _properties(image: pyvips.Image) -> tuple[Any, ...]:
    orientation = image.get("orientation") if image.get_typeof("orientation") else 1
    return (
        image.width,
        image.height,
        image.bands,
        str(image.format),
        str(image.interpretation),
        orientation,
    )
