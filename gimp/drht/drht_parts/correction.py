"""The correction of one layer by a worker, in steps.

Steps are generators: they yield the share of the work that is done, 0 to 1, so that the dialog
stays responsive.
"""

import base64

from .pixels import Picture, PixelFormat
from .worker import Refusal, Worker

_LONGEST_PROFILE = 45000  # bytes; encoded in Base64 it must fit into a message


class Correction:
    """The correction of one layer, by a worker of its own. Its methods run in steps.

    Args:
        layer: the layer.
        patience: see `Worker`.

    Raises:
        Problem: the worker cannot be started.
    """

    def __init__(self, layer, patience=0.05):
        self.layer, self.layout = layer, PixelFormat(layer)
        self.picture = self.window = None
        self._surveyed = None
        self.worker = Worker(patience)

    def load(self):
        """Pass the layer's pixels to the worker."""
        yield from self.worker.greet()
        size = self.layer.get_width(), self.layer.get_height()
        picture = yield from self._allocate(*size)
        yield from picture.read_from(self.layer.get_buffer())
        self.picture = picture

    def survey(self, wrap):
        """Let the worker survey the whole picture, unless it has done so.

        Args:
            wrap: whether the picture is a 360° panorama.
        """
        if self._surveyed == wrap:
            return
        self._surveyed = None
        fields = {
            "picture": self.picture.number,
            "transfer": self.layout.transfer,
            "wrap": wrap,
        }
        profile = _profile(self.layer)
        try:
            optional = {"profile": profile} if profile else {}
            yield from self.worker.ask("survey", **fields, **optional)
        except Refusal as error:
            if error.code != "request" or not profile:
                raise
            # A profile that cannot be used should not prevent the correction.
            yield from self.worker.ask("survey", **fields)
        self._surveyed = wrap

    def show(self, part):
        """Put a part of the picture into `window`, in the size of the screen.

        Args:
            part: see `view.Part`.
        """
        size = part.columns, part.rows
        if self.window is not None and (self.window.width, self.window.height) != size:
            number, self.window = self.window.number, None
            yield from self.worker.ask("release", picture=number)
        if self.window is None:
            self.window = yield from self._allocate(*size)
        yield from self.worker.ask(
            "window",
            picture=self.picture.number,
            into=self.window.number,
            height=part.height,
            width=part.width,
            top=part.top,
            left=part.left,
        )

    def render(self, picture, settings, **fields):
        """Correct a picture by the survey.

        Args:
            picture: the picture, or the window.
            settings: the user's choices.
            fields: other fields of the request: `detail`, which is the user's by default, `rows`.
        """
        fields = {"detail": settings.detail, **settings.controls_to_send(), **fields}
        yield from self.worker.ask("render", picture=picture.number, **fields)

    def _allocate(self, width, height):
        """Return a picture that the worker has made room for."""
        reply = yield from self.worker.ask(
            "allocate",
            height=height,
            width=width,
            channels=self.layout.channels,
            dtype=self.layout.dtype,
        )
        return Picture(reply, self.layout, width, height)


def _profile(layer):
    """Return the layer's ICC profile in Base64; None if there is none or it is too long."""
    profile = layer.get_image().get_effective_color_profile()
    data = bytes(profile.get_icc_profile()) if profile is not None else b""
    return base64.b64encode(data).decode() if 0 < len(data) <= _LONGEST_PROFILE else None
