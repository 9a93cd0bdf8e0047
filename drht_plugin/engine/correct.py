"""One call for every array: `correct`, and `Corrector`, which keeps the loaded networks."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from drht_plugin.colour.spaces import Profile
from drht_plugin.engine import survey as surveying
from drht_plugin.engine.bands import (
    BandPlan,
    BandRenderer,
    Guided,
    Radiance,
    guided_demand,
    plan_bands,
)
from drht_plugin.engine.detail import NetworkRenderer
from drht_plugin.engine.detail_bands import NetworkBands, fitting_tile
from drht_plugin.engine.pixels import Kind, kind_of, require_out
from drht_plugin.engine.render import FULL, Strength, Window, render_radiance
from drht_plugin.engine.scene import Scene
from drht_plugin.engine.source import Sink, Source, require_sink
from drht_plugin.engine.stream import run
from drht_plugin.errors import InputError

if TYPE_CHECKING:
    from drht_plugin.model.detail import DetailRunner
    from drht_plugin.model.runner import Runner

Image = npt.NDArray[Any]
ProgressCallback = Callable[[float], None]

DETAILS = ("auto", "guided", "network")

AUTO = "guided"
"""What "auto" takes: network detail is closer to the truth, most of all where noise is lifted (see
docs/experiments.md), at fifty times the time, which nobody is to wait for unasked."""

_BAND_PIXELS = 1 << 22
SURVEY_SHARE = 0.3
"""How much of the progress the survey counts for."""


class Corrector:
    """Loaded networks on a device; safe to call from several threads.

    Args:
        model: "default", or a .safetensors file with its .json beside it.
        device: "auto" (CUDA, MPS, then CPU), "cpu", "cuda", "cuda:N" or "mps".
        threads: CPU threads of the kernels; None takes all cores.

    Raises:
        InputError: an unknown model or device, or threads below 1.
        WeightsError: damaged weights.
    """

    def __init__(
        self, *, model: str | Path = "default", device: str = "auto", threads: int | None = None
    ) -> None:
        if threads is not None and (not isinstance(threads, int) or threads < 1):
            raise InputError(f"threads is {threads!r}; expected a whole number from 1, or None")
        self._model, self._device, self._threads = model, device, threads

    @cached_property
    def runner(self) -> Runner:
        """The networks, loaded when first needed."""
        from drht_plugin.model.runner import Runner

        return Runner(self._model, self._device)

    @cached_property
    def detail_runner(self) -> DetailRunner:
        """The network of network detail, loaded when first needed.

        Raises:
            InputError: the model has none.
        """
        from drht_plugin.model.detail import DetailRunner

        return DetailRunner(self._model, self._device)

    @cached_property
    def has_detail(self) -> bool:
        """Whether the model has a network for network detail; nothing is loaded."""
        from drht_plugin.model.files import detail_of, locate

        return detail_of(locate(self._model)).is_file()

    def detail_for(self, scene: Scene, detail: str) -> str:
        """What `detail` is for this scene: "guided" or "network"; "auto" is `AUTO`.

        Raises:
            InputError: an unknown detail.
        """
        require_detail(detail)
        return AUTO if detail == "auto" else detail

    def network_renderer(self, tile: int | None = None) -> NetworkRenderer:
        """Renders windows in network detail, from tiles of this side.

        Raises:
            InputError: an impossible tile, or a model without a detail network.
            WeightsError: damaged weights.
        """
        return NetworkRenderer(self.detail_runner, tile)

    def model_digest(self) -> str:
        """SHA-256 of the networks' weights, in hexadecimal: what tells one model from another."""
        from drht_plugin.model.files import detail_of, locate

        weights = locate(self._model)
        files = [weights, detail_of(weights)] if self.has_detail else [weights]
        return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()

    def survey(
        self,
        image: Any,
        *,
        transfer: str = "srgb",
        orientation: int = 1,
        profile: Profile | None = None,
        wrap: bool = False,
        progress: ProgressCallback | None = None,
    ) -> Scene:
        """Look at the whole image once; arguments and errors as in `drht_plugin.correct`."""
        with _threads(self._threads), ThreadPoolExecutor(1) as loader:
            # Loaded, where they are not, while the image is read.
            networks = loader.submit(lambda: self.runner)
            return surveying.survey(
                image,
                lambda ldr: networks.result()(ldr),
                transfer=transfer,
                orientation=orientation,
                profile=profile,
                wrap=wrap,
                progress=_rows(progress),
            )

    def render(
        self,
        scene: Scene,
        image: Any,
        strength: Strength = FULL,
        *,
        detail: str = "auto",
        tile: int | None = None,
        out: Image | None = None,
        progress: ProgressCallback | None = None,
    ) -> Image:
        """The whole surveyed image corrected; errors as in `correct`."""
        _require_surveyed(scene, image)
        out = _prepare_out(image, out)
        report = _rows(progress)
        if tile is None and self.detail_for(scene, detail) == "guided":
            tile = max(1, _BAND_PIXELS // scene.kind.width)
        renderer, plan = self._bands(scene, image, strength, detail, None, tile)
        with _threads(self._threads):
            for band in plan:
                rows = np.asarray(image[band.above : band.below])
                place = slice(band.first, band.last)
                renderer(rows, band.above, place, out[place])
                if report is not None:
                    report(band.last, scene.kind.height)
        return out

    def _bands(
        self,
        scene: Scene,
        source: Any,
        strength: Strength,
        detail: str,
        memory: int | str | None,
        tile: int | None,
        start: int = 0,
    ) -> tuple[BandRenderer, BandPlan]:
        """What renders the bands of a source, and how its rows are parted."""
        row_shape = tuple(source.shape[1:])
        if self.detail_for(scene, detail) == "guided":
            guided = Guided(scene, strength, row_shape)
            return guided, plan_bands(
                scene.kind, guided.demand, memory=memory, tile=tile, start=start
            )
        side = fitting_tile(scene.kind, memory) if tile is None else tile
        network = NetworkBands(scene, strength, row_shape, self.network_renderer(side))
        rows = network.demand.stride
        start -= start % rows
        return network, plan_bands(
            scene.kind, network.demand, memory=memory, tile=rows, start=start
        )

    def render_hdr(
        self, scene: Scene, image: Any, *, progress: ProgressCallback | None = None
    ) -> npt.NDArray[np.float32]:
        """The HDR estimate of the whole surveyed image; see `drht_plugin.estimate_hdr`."""
        _require_surveyed(scene, image)
        kind = scene.kind
        report = _rows(progress)
        radiance = np.empty((kind.height, kind.width, kind.colours), np.float32)
        with _threads(self._threads):
            grid = scene.radiance_grid()
            for top, rows in _row_bands(image, kind.width):
                band = render_radiance(scene, grid, rows, Window(top))
                radiance[top : top + len(rows)] = band
                if report is not None:
                    report(top + len(rows), kind.height)
        return radiance[..., 0] if len(image.shape) == 2 else radiance

    def render_into(
        self,
        scene: Scene,
        source: Source,
        sink: Sink,
        strength: Strength = FULL,
        *,
        detail: str = "auto",
        memory: int | str | None = None,
        tile: int | None = None,
        start: int = 0,
        progress: ProgressCallback | None = None,
    ) -> None:
        """The surveyed source corrected into the sink, from row `start` on; see `stream`."""
        _require_surveyed(scene, source)
        require_detail(detail)
        require_sink(source, sink)
        renderer, plan = self._bands(scene, source, strength, detail, memory, tile, start)
        with _threads(self._threads):
            run(source, sink, renderer, plan, _rows(progress))

    def render_hdr_into(
        self,
        scene: Scene,
        source: Source,
        sink: Sink,
        *,
        memory: int | str | None = None,
        progress: ProgressCallback | None = None,
    ) -> None:
        """The HDR estimate of the surveyed source into a sink of float32 rows W×3; see `stream`."""
        _require_surveyed(scene, source)
        with _threads(self._threads):
            renderer = Radiance(scene, scene.radiance_grid())
            plan = plan_bands(scene.kind, renderer.demand, memory=memory)
            run(source, sink, renderer, plan, _rows(progress))

    def stream(
        self,
        source: Source,
        sink: Sink,
        *,
        strength: float = 1.0,
        shadows: float = 1.0,
        highlights: float = 1.0,
        detail: str = "auto",
        transfer: str = "srgb",
        orientation: int = 1,
        profile: Profile | None = None,
        wrap: bool = False,
        memory: int | str | None = None,
        tile: int | None = None,
        progress: ProgressCallback | None = None,
    ) -> Scene:
        """Correct an image of any size from a source into a sink, in bounded memory.

        Reading, computing and writing overlap. The result is that of `correct`, bit for bit, but
        for a source of 2²⁸ pixels or more that has smaller copies of itself
        (`engine.source.Reducible`: JPEG files, TIFF pyramids), which is surveyed by one of them.

        Args:
            source: anything with shape, dtype and `source[top:bottom:step]` that gives numpy rows:
                numpy, memmap, zarr and h5py arrays. It is read twice from top to bottom, and
                once more where it wraps.
            sink: anything that takes `sink[top:bottom] = rows`, in order; of the source's shape
                and dtype where it has them.
            strength, shadows, highlights, detail, transfer, orientation, profile, wrap: see
                `drht_plugin.correct`.
            memory: for the pixels on their way, in bytes or as "512M", "2G"; the networks and
                libraries come on top. None takes 96 MB.
            tile: in guided detail, rows that are worked on at once; in network detail, the side
                of what the network sees at once. None takes what the memory allows.
            progress: called with the share that is done, 0..1, from the calling thread; what it
                raises stops the work.

        Returns:
            The scene, for `render_into` with another strength.

        Raises:
            InputError: a source, sink or argument outside the above; a source that ends early; NaN
                or infinity in it. What the source or sink raises comes through. The sink may hold
                the first rows then.
            WeightsError: damaged weights.
        """
        applied = Strength(strength, shadows, highlights)
        kind = kind_of(source, transfer)
        require_detail(detail)
        require_sink(source, sink)
        require_plan(kind, detail, memory, tile)
        first, second = split(progress, SURVEY_SHARE)
        scene = self.survey(
            source,
            transfer=transfer,
            orientation=orientation,
            profile=profile,
            wrap=wrap,
            progress=first,
        )
        self.render_into(
            scene, source, sink, applied, detail=detail, memory=memory, tile=tile, progress=second
        )
        return scene

    def correct(
        self,
        image: Any,
        *,
        strength: float = 1.0,
        shadows: float = 1.0,
        highlights: float = 1.0,
        detail: str = "auto",
        transfer: str = "srgb",
        orientation: int = 1,
        profile: Profile | None = None,
        wrap: bool = False,
        tile: int | None = None,
        out: Image | None = None,
        progress: ProgressCallback | None = None,
    ) -> Image:
        """The corrected picture; see `drht_plugin.correct`."""
        applied = Strength(strength, shadows, highlights)
        require_plan(kind_of(image, transfer), detail, None, tile)
        out = _prepare_out(image, out)
        first, second = split(progress, SURVEY_SHARE)
        scene = self.survey(
            image,
            transfer=transfer,
            orientation=orientation,
            profile=profile,
            wrap=wrap,
            progress=first,
        )
        return self.render(
            scene, image, applied, detail=detail, tile=tile, out=out, progress=second
        )

    def estimate_hdr(
        self,
        image: Any,
        *,
        transfer: str = "srgb",
        orientation: int = 1,
        profile: Profile | None = None,
        wrap: bool = False,
        progress: ProgressCallback | None = None,
    ) -> npt.NDArray[np.float32]:
        """The scene-linear HDR estimate; see `drht_plugin.estimate_hdr`."""
        first, second = split(progress, SURVEY_SHARE)
        scene = self.survey(
            image,
            transfer=transfer,
            orientation=orientation,
            profile=profile,
            wrap=wrap,
            progress=first,
        )
        return self.render_hdr(scene, image, progress=second)


def correct(
    image: Any,
    *,
    strength: float = 1.0,
    shadows: float = 1.0,
    highlights: float = 1.0,
    detail: str = "auto",
    transfer: str = "srgb",
    orientation: int = 1,
    profile: Profile | None = None,
    wrap: bool = False,
    tile: int | None = None,
    model: str | Path = "default",
    device: str = "auto",
    threads: int | None = None,
    out: Image | None = None,
    progress: ProgressCallback | None = None,
) -> Image:
    """Correct an over- or under-exposed picture.

    Args:
        image: a numpy array or memmap, H×W or H×W×C: gray, gray + alpha, RGB or RGB + alpha
            (C = 1…4) of uint8, uint16, float16 or float32. Integers and floats are
            display-encoded, white at the integer's maximum or 1.0; what lies above white in a
            float picture is added to what white becomes, so that highlights keep their order.
        strength: how much of the correction is applied, 0..1; 0 gives the input bit for bit.
        shadows: how much of the lift is applied where the picture gets brighter, 0..1.
        highlights: how much of the recovery is applied where it gets darker, 0..1.
        detail: "guided": detail from the input, tone from the networks; "network": a network at
            full resolution mends noise, code steps and coding losses of what is lifted, at some
            fifty times the cost; "auto" is guided: where lifted noise shows, see
            `Scene.lifted_noise`, the other is worth its time.
        transfer: "linear" for scene-linear values.
        orientation: how the picture is stored, 1 to 8 as in EXIF; the networks see it upright. The
            result is stored as the picture is.
        profile: bytes of an ICC profile, of RGB or gray as the picture is, or `Cicp` code points:
            what the values stand for. None is sRGB. The networks see the picture in sRGB; the
            result is in the picture's own space. Of linear values it gives the primaries.
        wrap: a 360° panorama, whose left and right edges meet; of an orientation up to 4.
        tile: in network detail, the side in pixels of what the network sees at once (memory goes
            with its square); in guided detail, rows that are worked on at once.
        model: "default", or a .safetensors file with its .json beside it.
        device: "auto", "cpu", "cuda", "cuda:N" or "mps".
        threads: CPU threads; None takes all cores.
        out: array of the image's shape and dtype for the result; may not overlap the image.
        progress: called with the share that is done, 0..1, from the calling thread; what it
            raises stops the work.

    Returns:
        The corrected picture, of the same shape and dtype; alpha is untouched.

    Raises:
        InputError: an image or argument outside the above; NaN or infinity in the image.
        WeightsError: damaged weights.
    """
    return shared_corrector(model, device, threads).correct(
        image,
        strength=strength,
        shadows=shadows,
        highlights=highlights,
        detail=detail,
        transfer=transfer,
        orientation=orientation,
        profile=profile,
        wrap=wrap,
        tile=tile,
        out=out,
        progress=progress,
    )


def estimate_hdr(
    image: Any,
    *,
    transfer: str = "srgb",
    orientation: int = 1,
    profile: Profile | None = None,
    wrap: bool = False,
    model: str | Path = "default",
    device: str = "auto",
    threads: int | None = None,
    progress: ProgressCallback | None = None,
) -> npt.NDArray[np.float32]:
    """The scene's radiance, as the first network estimates it.

    Args and errors are those of `correct`.

    Returns:
        H×W×3 (H×W×1 or H×W for gray) float32, scene-linear, of the profile's primaries; 1.0 is
        the radiance at which the input clips, what was clipped lies above, up to 64.
    """
    return shared_corrector(model, device, threads).estimate_hdr(
        image,
        transfer=transfer,
        orientation=orientation,
        profile=profile,
        wrap=wrap,
        progress=progress,
    )


def survey(
    image: Any,
    *,
    transfer: str = "srgb",
    orientation: int = 1,
    profile: Profile | None = None,
    wrap: bool = False,
    model: str | Path = "default",
    device: str = "auto",
    threads: int | None = None,
    progress: ProgressCallback | None = None,
) -> Scene:
    """Look at the whole image once: what `render` needs to correct any part of it.

    Args and errors are those of `correct`; the image may be anything with shape, dtype and row
    slices `image[top:bottom:step]` that give numpy arrays.
    """
    corrector = shared_corrector(model, device, threads)
    return corrector.survey(
        image,
        transfer=transfer,
        orientation=orientation,
        profile=profile,
        wrap=wrap,
        progress=progress,
    )


@lru_cache(maxsize=2)
def shared_corrector(model: str | Path, device: str, threads: int | None) -> Corrector:
    """The corrector of these settings, kept so that its networks are loaded once."""
    return Corrector(model=model, device=device, threads=threads)


def require_detail(detail: str) -> None:
    """Refuse an unknown detail.

    Raises:
        InputError: names the accepted ones.
    """
    if detail not in DETAILS:
        raise InputError(f"detail is {detail!r}; expected one of {', '.join(DETAILS)}")


def require_plan(kind: Kind, detail: str, memory: int | str | None, tile: int | None) -> None:
    """Refuse, before any work, an unknown detail, and a memory or tile that cannot be.

    Raises:
        InputError: says what was given and what is accepted.
    """
    require_detail(detail)
    if detail == "network":
        side = fitting_tile(kind, memory) if tile is None else tile
        NetworkRenderer.tiling_of(kind, side, wrap=False)
    else:
        plan_bands(kind, guided_demand(kind), memory=memory, tile=tile)


def _prepare_out(image: Any, out: Image | None) -> Image:
    if out is None:
        return np.empty(image.shape, image.dtype)
    return require_out(image, out)


def _require_surveyed(scene: Scene, image: Any) -> None:
    given, kind = kind_of(image), scene.kind
    if (given.height, given.width) != (kind.height, kind.width):
        raise InputError(
            f"the image has {given.height}×{given.width} pixels; "
            f"the surveyed image has {kind.height}×{kind.width}"
        )


def _row_bands(image: Any, width: int) -> Iterator[tuple[int, Image]]:
    rows = max(1, _BAND_PIXELS // width)
    for top in range(0, image.shape[0], rows):
        yield top, np.asarray(image[top : top + rows])


def split(
    progress: ProgressCallback | None, at: float
) -> tuple[ProgressCallback | None, ProgressCallback | None]:
    """Two callbacks that report the parts of a whole, before and after the share `at`."""
    if progress is None:
        return None, None
    return (lambda share: progress(share * at)), (lambda share: progress(at + share * (1 - at)))


def _rows(progress: ProgressCallback | None) -> Callable[[int, int], None] | None:
    """A callback for rows done and rows in all."""
    if progress is None:
        return None
    return lambda done, total: progress(done / total)


@contextmanager
def _threads(count: int | None) -> Iterator[None]:
    """Run the kernels of this thread on so many threads."""
    if count is None:
        yield
        return
    import numba

    before = numba.get_num_threads()
    numba.set_num_threads(min(count, before))
    try:
        yield
    finally:
        numba.set_num_threads(before)
