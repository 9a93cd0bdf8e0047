"""`Corrector`: loaded networks, with the calls on arrays and streams that use them."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, Unpack

import numpy as np
import numpy.typing as npt

from drht_plugin.arguments import require_choice, require_whole
from drht_plugin.bridge.sharing import limit_threads
from drht_plugin.colour.spaces import Profile
from drht_plugin.engine.backends import BACKENDS, Backend, choose_backend
from drht_plugin.engine.bands import BandRenderer, WindowRenderer
from drht_plugin.engine.known_light import KnownY, with_known_light
from drht_plugin.engine.loaded_networks import LoadedNetworks
from drht_plugin.engine.pixels import ImageSpec, prepare_out, spec_of
from drht_plugin.engine.plan import (
    RenderPlan,
    plan_array,
    plan_radiance,
    plan_radiance_array,
    plan_stream,
    resolve_detail,
)
from drht_plugin.engine.progress import SURVEY_SHARE, ProgressCallback, by_rows, split
from drht_plugin.engine.render.network.windows import TILE
from drht_plugin.engine.scene import Scene, require_surveyed
from drht_plugin.engine.source import Sink, Source, require_radiance_sink, require_sink
from drht_plugin.engine.stream import run, run_array
from drht_plugin.engine.strength import FULL, Controls, Strength
from drht_plugin.engine.survey.make import survey
from drht_plugin.orientation import require_orientation

Image = npt.NDArray[Any]


class Corrector(LoadedNetworks):
    """Networks loaded on a device; safe to call from several threads.

    Args:
        model: "default", or a .safetensors file with its .json beside it.
        device: "auto" (CUDA, MPS, then CPU), "cpu", "cuda" (all of the machine's), "cuda:N" or
            "mps"; or several with commas between them. Several devices take bands in turn.
        threads: CPU threads of the kernels; None takes all cores.
        backend: what computes each pixel: "numba" on the CPU, "torch" on the device. "auto" takes
            torch on an accelerator and numba elsewhere.

    Raises:
        InputError: an unknown model, device or backend, or threads below 1.
        WeightsError: damaged weights.
    """

    def __init__(
        self,
        *,
        model: str | Path = "default",
        device: str = "auto",
        threads: int | None = None,
        backend: str = "auto",
    ) -> None:
        require_choice("backend", backend, BACKENDS)
        super().__init__(model, device)
        self.threads = None if threads is None else require_whole("threads", threads, 1)
        self._backend_name = backend

    @cached_property
    def backend(self) -> Backend:
        """What computes each pixel, chosen on first use."""
        return choose_backend(self._backend_name, self._device)

    @property
    def compiles_kernels(self) -> bool:
        """Whether the next call has to compile numba's kernels first, for some seconds."""
        return self.backend.is_cold

    def window_renderer(self, detail: str = "auto", tile: int | None = None) -> WindowRenderer:
        """Return a renderer of windows.

        Args:
            detail: as in `drht_plugin.correct`.
            tile: side of the tiles that the detail network sees, in pixels; None takes the default.

        Raises:
            InputError: an unknown detail, an impossible tile, or a model without a detail network.
            WeightsError: damaged weights.
        """
        networks = self.detail_runners if resolve_detail(detail) == "network" else ()
        return self.backend.windows(networks, TILE if tile is None else tile)

    def plan(
        self,
        spec: ImageSpec,
        *,
        detail: str = "auto",
        orientation: int = 1,
        memory: int | str | None = None,
        tile: int | None = None,
    ) -> RenderPlan:
        """Plan the rendering of a source on these devices; see `plan.plan_stream`."""
        largest = self.backend.largest_tile
        return plan_stream(
            spec, detail=detail, orientation=orientation, memory=memory, tile=tile, largest=largest
        )

    def _plan_array(
        self, spec: ImageSpec, detail: str, orientation: int, tile: int | None = None
    ) -> RenderPlan:
        largest = self.backend.largest_tile
        return plan_array(spec, detail=detail, orientation=orientation, tile=tile, largest=largest)

    def choose_detail(
        self, detail: str, scene: Scene, strength: Strength = FULL, tile: int | None = None
    ) -> str:
        """Return the detail that a scene is rendered in: "guided" or "network".

        "auto" is network detail on an accelerator, if the model has it, no tile is asked for, and
        noise of `plan.NOISY` codes or more is lifted; otherwise guided detail.

        Args:
            detail: as in `drht_plugin.correct`.
            scene: the image's scene.
            strength: how much of the correction is applied.
            tile: as in `drht_plugin.correct`.

        Raises:
            InputError: an unknown detail, or no `Strength`.
        """
        affordable = detail == "auto" and tile is None and self.on_accelerator and self.has_detail
        return resolve_detail(detail, scene if affordable else None, strength)

    def survey(
        self,
        image: Any,
        *,
        transfer: str = "srgb",
        orientation: int = 1,
        profile: Profile | None = None,
        wrap: bool = False,
        headroom: float = 1.0,
        known: KnownY | None = None,
        progress: ProgressCallback | None = None,
    ) -> Scene:
        """Survey the whole image, as `drht_plugin.survey` does.

        `headroom` is the largest light of a picture that is rolled off, see `io.Picture`. `known`
        is what is known of its y beside that.
        """
        self.backend.prepare(spec_of(image, transfer).dtype)
        with self._at_work(), ThreadPoolExecutor(1) as loader:
            # Load the networks while the image is read.
            networks = loader.submit(lambda: self.runner)
            return survey(
                image,
                with_known_light(networks.result, headroom, known),
                transfer=transfer,
                orientation=orientation,
                profile=profile,
                wrap=wrap,
                progress=by_rows(progress),
                kernels=self.backend.kernels,
            )

    def render(
        self,
        scene: Scene,
        pixels: Image,
        *,
        strength: Strength = FULL,
        detail: str = "auto",
        tile: int | None = None,
        out: Image | None = None,
        progress: ProgressCallback | None = None,
    ) -> Image:
        """Correct a whole image that has been surveyed.

        `pixels` is the surveyed image, H×W or H×W×C; one of another size or kind raises InputError.
        Other arguments and errors are those of `drht_plugin.correct`.

        Returns:
            The corrected picture, with the shape and dtype of `pixels`.
        """
        require_surveyed(scene, pixels)
        detail = self.choose_detail(detail, scene, strength, tile)
        plan = self._plan_array(scene.spec, detail, scene.orientation, tile)
        return self._render_array(scene, pixels, plan, strength, prepare_out(pixels, out), progress)

    def render_hdr(
        self, scene: Scene, pixels: Image, *, progress: ProgressCallback | None = None
    ) -> npt.NDArray[np.float32]:
        """Estimate the HDR radiance of a whole image that has been surveyed.

        Errors and result are those of `drht_plugin.estimate_hdr`; an image of another size than the
        surveyed one raises InputError too.
        """
        require_surveyed(scene, pixels)
        spec = scene.spec
        radiance = np.empty((spec.height, spec.width, spec.colours), np.float32)
        with self._rendering():
            renderer = self.backend.radiance(scene, spec.colours)
            run_array(pixels, radiance, renderer, plan_radiance_array(spec), by_rows(progress))
        return radiance[..., 0] if len(pixels.shape) == 2 else radiance

    def render_into(
        self,
        scene: Scene,
        source: Source,
        sink: Sink,
        *,
        strength: Strength = FULL,
        detail: str = "auto",
        memory: int | str | None = None,
        tile: int | None = None,
        progress: ProgressCallback | None = None,
    ) -> None:
        """Correct a source that has been surveyed into a sink.

        A source of another size or kind than the surveyed image raises InputError. Other arguments
        and errors are those of `stream`.
        """
        require_surveyed(scene, source)
        require_sink(source, sink)
        detail = self.choose_detail(detail, scene, strength, tile)
        plan = self.plan(
            scene.spec, detail=detail, orientation=scene.orientation, memory=memory, tile=tile
        )
        self.render_planned(scene, source, sink, plan, strength=strength, progress=progress)

    def render_planned(
        self,
        scene: Scene,
        source: Source,
        sink: Sink,
        plan: RenderPlan,
        *,
        strength: Strength = FULL,
        progress: ProgressCallback | None = None,
    ) -> None:
        """Correct a source that has been surveyed into a sink, by a plan of `plan.plan_stream`.

        Args:
            scene: the source's scene.
            source: the surveyed image; see `stream`.
            sink: takes the rows from the plan's first on; see `stream`.
            plan: how to render it.
            strength: how much of the correction is applied.
            progress: see `stream`.

        Raises:
            InputError: a source that ends early; NaN or infinity in it.
            WeightsError: damaged weights.
        """
        with self._rendering():
            renderer = self._renderer(scene, plan, strength, tuple(source.shape[1:]))
            run(source, sink, renderer, plan.bands, by_rows(progress))

    def render_hdr_into(
        self,
        scene: Scene,
        source: Source,
        sink: Sink,
        *,
        memory: int | str | None = None,
        progress: ProgressCallback | None = None,
    ) -> None:
        """Estimate the HDR radiance of a source that has been surveyed into a sink.

        The sink takes float32 rows W×3. Arguments and errors are those of `render_into`.
        """
        require_surveyed(scene, source)
        require_radiance_sink(source, sink)
        plan = plan_radiance(scene.spec, memory=memory)
        with self._rendering():
            renderer = self.backend.radiance(scene, 3)
            run(source, sink, renderer, plan, by_rows(progress))

    def _render_array(
        self,
        scene: Scene,
        pixels: Image,
        plan: RenderPlan,
        strength: Strength,
        out: Image,
        progress: ProgressCallback | None,
    ) -> Image:
        with self._rendering():
            renderer = self._renderer(scene, plan, strength, tuple(pixels.shape[1:]))
            run_array(pixels, out, renderer, plan.bands, by_rows(progress))
        return out

    def _renderer(
        self, scene: Scene, plan: RenderPlan, strength: Strength, row_shape: tuple[int, ...]
    ) -> BandRenderer:
        """Return the renderer of a plan."""
        networks = self.detail_runners if plan.detail == "network" else ()
        return self.backend.bands(scene, strength, row_shape, networks, plan.tile)

    @contextmanager
    def _at_work(self) -> Iterator[None]:
        """Limit the threads of numba's kernels, and name what fails on a device."""
        from drht_plugin.model.device import device_errors

        with limit_threads(self.threads), device_errors():
            yield

    @contextmanager
    def _rendering(self) -> Iterator[None]:
        """Be at work, and give back in the end, however it comes, what PyTorch pinned for it."""
        from drht_plugin.model.device import give_pinned_back

        with ExitStack() as end, self._at_work():
            end.callback(give_pinned_back)
            yield

    def stream(
        self,
        source: Source,
        sink: Sink,
        *,
        detail: str = "auto",
        transfer: str = "srgb",
        orientation: int = 1,
        profile: Profile | None = None,
        wrap: bool = False,
        memory: int | str | None = None,
        tile: int | None = None,
        progress: ProgressCallback | None = None,
        **controls: Unpack[Controls],
    ) -> Scene:
        """Correct an image of any size from a source into a sink, in bounded memory.

        Reading, computing and writing overlap. The result is that of `correct`, bit for bit. The
        exception is a source of 2²⁸ pixels or more that has smaller copies of itself
        (`engine.source.Reducible`: JPEG files, TIFF pyramids), which is surveyed by one of these.

        Args:
            source: anything with shape, dtype and `source[top:bottom:step]` that gives numpy rows:
                numpy, memmap, zarr and h5py arrays. It is read twice from top to bottom, and once
                more for a panorama.
            sink: anything that takes `sink[top:bottom] = rows`, in order; if it has a shape and
                dtype, they are the source's.
            detail: see `drht_plugin.correct`.
            transfer: see `drht_plugin.correct`.
            orientation: see `drht_plugin.correct`.
            profile: see `drht_plugin.correct`.
            wrap: see `drht_plugin.correct`.
            memory: for the pixels in flight, in bytes or as "512M", "2G"; the networks and
                libraries need more on top. None takes 96 MB in guided detail, 768 MB at most in
                network detail.
            tile: in guided detail, rows that are computed at once; in network detail, side in
                pixels of the tiles that the network sees. None takes what the memory allows.
            progress: called from the calling thread with the share that is done, 0..1; an exception
                that it raises stops the work.
            controls: strength, shadows, highlights, exposure, temperature, tint, denoise and
                preset, as in `drht_plugin.correct`.

        Returns:
            The scene, which `render_into` can render again with another strength.

        Raises:
            InputError: a source, sink or argument that is not accepted; a source that ends early;
                NaN or infinity in it. The sink may then hold the first rows. Exceptions of the
                source and the sink are passed on.
            WeightsError: damaged weights.
        """
        applied = Strength.of(**controls)
        spec = spec_of(source, transfer)
        require_sink(source, sink)
        orientation = require_orientation(orientation, wrap=wrap)
        plan = self.plan(spec, detail=detail, orientation=orientation, memory=memory, tile=tile)
        first, second = split(progress, SURVEY_SHARE)
        scene = self.survey(
            source,
            transfer=transfer,
            orientation=orientation,
            profile=profile,
            wrap=wrap,
            progress=first,
        )
        detail = self.choose_detail(detail, scene, applied, tile)
        if detail != plan.detail:
            plan = self.plan(spec, detail=detail, orientation=orientation, memory=memory)
        self.render_planned(scene, source, sink, plan, strength=applied, progress=second)
        return scene

    def correct(
        self,
        image: Any,
        *,
        detail: str = "auto",
        transfer: str = "srgb",
        orientation: int = 1,
        profile: Profile | None = None,
        wrap: bool = False,
        tile: int | None = None,
        out: Image | None = None,
        progress: ProgressCallback | None = None,
        **controls: Unpack[Controls],
    ) -> Image:
        """Correct a picture; arguments and errors are those of `drht_plugin.correct`.

        Returns:
            The corrected picture, with the shape and dtype of the image; alpha is copied.
        """
        applied = Strength.of(**controls)
        orientation = require_orientation(orientation, wrap=wrap)
        spec = spec_of(image, transfer)
        plan = self._plan_array(spec, detail, orientation, tile)
        out = prepare_out(image, out)
        first, second = split(progress, SURVEY_SHARE)
        scene = self.survey(
            image,
            transfer=transfer,
            orientation=orientation,
            profile=profile,
            wrap=wrap,
            progress=first,
        )
        detail = self.choose_detail(detail, scene, applied, tile)
        if detail != plan.detail:
            plan = self._plan_array(spec, detail, orientation)
        return self._render_array(scene, image, plan, applied, out, second)

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
        """Estimate the scene's HDR radiance; see `drht_plugin.estimate_hdr`."""
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
