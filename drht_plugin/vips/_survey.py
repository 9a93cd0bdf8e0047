"""The scene of a libvips image, surveyed once, when first needed."""

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
from drht_plugin.errors import Cancelled, InputError
from drht_plugin.libvips.c import address
from drht_plugin.libvips.lazy import DTYPES, check_kill, current_work
from drht_plugin.libvips.smaller import holds_one_picture, pyramid_level, shrink_factor
from drht_plugin.vips._coding import ValueCoding, as_rgb

_SEQUENTIAL = "vips-sequential"
_BAND_PIXELS = 1 << 20


def _no_copy(_most: int) -> None:
    return None


@dataclass(frozen=True)
class Opener:
    """What gives an image anew.

    smaller: what gives a copy of it that is at most so many times smaller each way, or None.
    """

    image: Callable[[], pyvips.Image]
    smaller: Callable[[int], Opener | None] = _no_copy


class Rows:
    """An image as the engine surveys it: H×W×bands, sliced by rows, by one thread.

    open_: gives the image; called anew where rows are asked for that lie above those read last, as
    a sequential image can be read from top to bottom only.
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
        """Rows `top:bottom:step` as the engine takes them, R×W×bands."""
        wanted = range(*rows.indices(self.shape[0]))
        out = np.empty((len(wanted), *self.shape[1:]), self._stored)
        # A single row where rows are skipped; as many as a megapixel has where they are not.
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
    """One image's scene, made when first asked for; safe to ask from several threads."""

    def __init__(
        self, image: pyvips.Image, coding: ValueCoding, *, wrap: bool, corrector: Corrector
    ) -> None:
        # Held, so that no other image gets its address, which `shared_survey` knows it by.
        self._image = image
        self._open = reader(image)
        self._coding = coding
        self._wrap, self._corrector = wrap, corrector
        self._lock = threading.Lock()
        self._attempt: _Attempt | None = None

    def scene(self) -> Scene:
        """The scene; the first call reads the image and runs the networks.

        Raises:
            Cancelled: the image that is rendered on this thread was killed.
            InputError: see `drht_plugin.Corrector.survey`.
        """
        while True:
            with self._lock:
                attempt, mine = self._attempt, self._attempt is None
                if attempt is None:
                    attempt = self._attempt = _Attempt(current_work())
            if mine:
                self._make(attempt)
            try:
                return attempt.scene.result()
            except Cancelled:
                # Another image that shares this survey was killed.
                if attempt.owner is current_work():
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
        except BaseException as error:
            self._attempt = None  # those who ask later may have better luck
            attempt.scene.set_exception(error)
        else:
            attempt.owner = None  # which leads back here, and would keep the image
            attempt.scene.set_result(scene)


class _Attempt:
    """A survey in progress or done, for all threads that wait for it; owner: who makes it."""

    def __init__(self, owner: object) -> None:
        self.owner = owner
        self.scene: Future[Scene] = Future()


_surveys: WeakValueDictionary[tuple[Any, ...], Survey] = WeakValueDictionary()
_lock = threading.Lock()


def shared_survey(
    image: pyvips.Image, coding: ValueCoding, *, wrap: bool, corrector: Corrector
) -> Survey:
    """The survey of an image; corrections of the same image share one.

    Raises:
        InputError: a sequential image that cannot be read a second time.
    """
    key = (address(image.pointer), coding, wrap, id(corrector))
    with _lock:
        survey = _surveys.get(key)
        if survey is None:
            survey = Survey(image, coding, wrap=wrap, corrector=corrector)
            _surveys[key] = survey
        return survey


def is_sequential(image: pyvips.Image) -> bool:
    """Whether the image can be read once only, from top to bottom."""
    return bool(image.get_typeof(_SEQUENTIAL))


def reader(image: pyvips.Image) -> Opener:
    """What gives the image in RGB, or, if it can be read only once, the file it was opened from.

    Raises:
        InputError: a sequential image that is not a file just opened.
    """
    if not is_sequential(image):
        return Opener(lambda: as_rgb(image)[0], _copies_of(image))
    problem = "it is not a file just opened"
    name = image.filename or ""
    if os.path.isfile(name):
        again = _opened(name)
        problem = "its file opens as another picture without the loader's options"
        if _facts(again) == _facts(image) and _is_one_picture(again):
            return Opener(lambda: as_rgb(_opened(name))[0], _copies_of(again))
    raise InputError(
        f"the image is read sequentially, and the correction must see all of it first, but "
        f"{problem}; open it with access='random', or give scene=drht_plugin.vips.survey(...)"
    )


def reader_once(image: pyvips.Image) -> Opener:
    """As `reader`, and of other sequential images what uses their pixels up."""
    try:
        return reader(image)
    except InputError:
        return Opener(lambda: as_rgb(image)[0])


def _copies_of(image: pyvips.Image) -> Callable[[int], Opener | None]:
    """The smaller copies of the JPEG or pyramid that is the image, as a file just opened."""
    name = image.filename or ""
    loader = image.get("vips-loader") if image.get_typeof("vips-loader") else ""
    if not os.path.isfile(name) or loader not in ("jpegload", "tiffload"):
        return _no_copy

    def smaller(most: int) -> Opener | None:
        try:
            again = _opened(name)
        except pyvips.Error:
            return None  # the file is gone, and the image may be in memory
        if _facts(again) != _facts(image) or not _is_one_picture(again):
            return None
        options = pyramid_level(Path(name), most) if loader == "tiffload" else _shrunk(most)
        return Opener(lambda: as_rgb(_opened(name, **options))[0]) if options else None

    return smaller


def _shrunk(most: int) -> dict[str, int] | None:
    factor = shrink_factor(most)
    return {"shrink": factor} if factor > 1 else None


def _is_one_picture(image: pyvips.Image) -> bool:
    """Whether the file of an image is no sequence of pictures; the levels of a pyramid are none."""
    return image.get_n_pages() == 1 or (
        image.get("vips-loader") == "tiffload" and holds_one_picture(Path(image.filename))
    )


def _opened(name: str, **options: int) -> pyvips.Image:
    return pyvips.Image.new_from_file(name, access="sequential", **options)


def _facts(image: pyvips.Image) -> tuple[Any, ...]:
    orientation = image.get("orientation") if image.get_typeof("orientation") else 1
    return (
        image.width,
        image.height,
        image.bands,
        str(image.format),
        str(image.interpretation),
        orientation,
    )
