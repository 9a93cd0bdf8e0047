"""Network detail: the same pixels however an image is cut, with networks of random weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import picture

import drht_plugin
from drht_plugin.engine.pixels import ImageSpec, spec_of
from drht_plugin.engine.plan import plan_stream
from drht_plugin.engine.progress import SURVEY_SHARE
from drht_plugin.engine.render.network.network_bands import NetworkBands
from drht_plugin.engine.render.network.tile import NONE_HIDDEN, Tile, network_planes, planes_shape
from drht_plugin.engine.render.network.windows import NetworkRenderer
from drht_plugin.engine.scene import Scene
from drht_plugin.engine.strength import Strength
from drht_plugin.engine.survey.fit_grid import fit_tone_grid
from drht_plugin.errors import DrhtWarning, InputError
from drht_plugin.geometry import Region
from drht_plugin.model.detail_network import DetailNetwork

TILE = 160
Image = npt.NDArray[np.uint8]
Planes = npt.NDArray[np.float32]


class Network:
    """A detail network whose weights matter everywhere, in float32; counts its calls."""

    def __init__(self) -> None:
        torch.manual_seed(4)
        self._network = DetailNetwork().eval().requires_grad_(False)
        torch.nn.init.normal_(self._network.project.weight, std=0.02)
        self.shapes: list[tuple[int, ...]] = []

    def room(self, shape: tuple[int, ...]) -> Planes:
        return np.empty(shape, np.float32)

    def begin(self, planes: Planes) -> Callable[[], Planes]:
        self.shapes.append(planes.shape)
        with torch.inference_mode():
            lacking = self._network(torch.from_numpy(planes).permute(2, 0, 1)[None])
        return lambda: np.ascontiguousarray(lacking[0].permute(1, 2, 0).numpy())


@pytest.fixture(scope="module")
def network() -> Network:
    return Network()


def _image(height: int, width: int, channels: int = 3, seed: int = 0) -> Image:
    random = np.random.default_rng(seed)
    return random.integers(0, 256, (height, width, channels), np.uint8)


def _scene(kind: ImageSpec, *, wrap: bool = False) -> Scene:
    random = np.random.default_rng(7)
    ldr, y, corrected = random.random((3, 16, 24, 3), np.float32)
    if kind.colours == 1:
        ldr, y, corrected = (np.repeat(a[..., :1], 3, 2) for a in (ldr, y, corrected))
    weight = np.ones((16, 24), np.float32)
    tone = fit_tone_grid(ldr, corrected, weight, gray=kind.colours == 1, wrap=wrap)
    noise = random.random((2, 16), np.float32) * 0.05
    return Scene(kind, wrap, ldr, y, corrected, weight, noise, tone)


def _whole(image: Image, *, wrap: bool = False) -> Region:
    """All of an image, and of a panorama as much beyond its edges as any window needs."""
    return Region(0, 0, *image.shape[:2])


def _render(
    renderer: NetworkRenderer, scene: Scene, image: Image, window: Region
) -> npt.NDArray[np.uint8]:
    """A window from no more pixels than it asks for."""
    kind = scene.spec
    around = window.dilated(renderer.halo, kind.height, kind.width, wrap=scene.wrap)
    columns = np.arange(around.left, around.right) % kind.width
    pixels = image[around.top : around.bottom][:, columns]
    return renderer.render(scene, np.ascontiguousarray(pixels), window, given=around)


def _by_bands(renderer: NetworkRenderer, scene: Scene, image: Image) -> npt.NDArray[np.uint8]:
    """The whole image, row of tiles by row of tiles."""
    bands = NetworkBands(scene, Strength(), image.shape[1:], renderer)
    joined = np.empty_like(image)
    plan = plan_stream(scene.spec, detail="network", tile=renderer.tile).bands
    for band in plan:
        rows = slice(band.first, band.last)
        bands.begin(image[band.above : band.below], band.above, rows)(joined[rows])
    return joined


def _close(a: npt.NDArray[np.uint8], b: npt.NDArray[np.uint8]) -> bool:
    """At most one code apart, and that in few places: convolutions round by their shapes."""
    difference = np.abs(a.astype(int) - b)
    return bool(difference.max(initial=0) <= 1 and difference.mean() < 0.01)


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 330), st.integers(1, 330), st.booleans(), st.data())
def test_any_window_is_a_part_of_the_whole(
    network: Network, height: int, width: int, wrap: bool, data: st.DataObject
) -> None:
    """A window, rendered alone from its own surroundings, equals that part of the whole image."""
    image = _image(height, width)
    scene = _scene(spec_of(image), wrap=wrap)
    renderer = NetworkRenderer(network, TILE)
    whole = _render(renderer, scene, image, Region(0, 0, height, width))
    top = data.draw(st.integers(0, height - 1))
    left = data.draw(st.integers(0, width - 1))
    rows = data.draw(st.integers(1, height - top))
    columns = data.draw(st.integers(1, width - left))
    part = _render(renderer, scene, image, Region(top, left, rows, columns))
    assert _close(part, whole[top : top + rows, left : left + columns])


@settings(deadline=None, max_examples=10)
@given(st.integers(1, 330), st.integers(1, 330), st.booleans())
def test_in_order_gives_the_same(network: Network, height: int, width: int, wrap: bool) -> None:
    """The renderer that remembers tiles gives what the one without memory gives, in bands too."""
    image = _image(height, width)
    scene = _scene(spec_of(image), wrap=wrap)
    renderer = NetworkRenderer(network, TILE)
    whole = _render(renderer, scene, image, Region(0, 0, height, width))
    assert _close(_by_bands(renderer, scene, image), whole)
    in_order = renderer.in_order()
    joined = np.zeros_like(image)
    for window in renderer.tiling(scene.spec, wrap=wrap).windows():
        place = slice(window.top, window.bottom), slice(window.left, window.right)
        joined[place] = _render(in_order, scene, image, window)
    assert _close(joined, whole)


def test_in_order_runs_the_network_once_a_tile() -> None:
    """In order, each tile is computed once; without memory, ramps are computed again."""
    network = Network()
    image = _image(300, 400)
    scene = _scene(spec_of(image))
    renderer = NetworkRenderer(network, TILE)
    in_order = renderer.in_order()
    windows = list(renderer.tiling(scene.spec, wrap=False).windows())
    for window in windows:
        _render(in_order, scene, image, window)
    assert len(network.shapes) == len(windows) > 10
    for window in windows:
        _render(renderer, scene, image, window)
    assert len(network.shapes) > 2 * len(windows)


def test_the_next_tile_is_made_while_the_device_works() -> None:
    """Bands begin each tile of a row before they wait for the one before it, and each once."""
    log: list[str] = []

    class Queue(Network):
        def begin(self, planes: Planes) -> Callable[[], Planes]:
            lacking, tile = super().begin(planes), len(self.shapes)
            log.append(f"begin {tile}")

            def wait() -> Planes:
                log.append(f"wait {tile}")
                return lacking()

            return wait

    image = _image(150, 300)
    scene = _scene(spec_of(image))
    queued = NetworkRenderer(Queue(), TILE)
    joined = _by_bands(queued, scene, image)
    count = queued.tiling(scene.spec, wrap=False).columns.count
    assert count > 3
    ahead = [what for n in range(1, count) for what in (f"begin {n + 1}", f"wait {n}")]
    assert log[: 2 * count] == ["begin 1", *ahead, f"wait {count}"]
    begun = [line.removeprefix("begin ") for line in log if line.startswith("begin")]
    assert sorted(log) == sorted(f"{what} {n}" for what in ("begin", "wait") for n in begun)
    plain = NetworkRenderer(Network(), TILE)
    assert _close(joined, _render(plain, scene, image, Region(0, 0, 150, 300)))


def test_tiles_leave_no_step(network: Network) -> None:
    """One large tile and many small ones give the same picture."""
    image = _image(330, 420)
    scene = _scene(spec_of(image))
    window = Region(0, 0, 330, 420)
    one = _render(NetworkRenderer(network, 1024), scene, image, window)
    many = _render(NetworkRenderer(network, TILE), scene, image, window)
    assert _close(one, many)


@pytest.mark.parametrize("shift", [1, 77, 200])
def test_a_turned_panorama_gives_a_turned_result(network: Network, shift: int) -> None:
    """Counted from its origin, a shifted panorama is the same picture, bit for bit."""
    image = _image(120, 230)
    scene = _scene(spec_of(image), wrap=True)
    renderer = NetworkRenderer(network, TILE)
    window = Region(0, 0, 120, 230)
    straight = _render(renderer, scene, image, window)
    turned = _render(renderer, replace(scene, origin=shift), np.roll(image, shift, 1), window)
    assert _close(np.roll(straight, shift, 1), turned)


def test_planes_of_hidden_pixels_change_nothing_else() -> None:
    """What hidden pixels show to the network is not put into the pixels themselves."""
    scene = _scene(spec_of(_image(24, 32)))
    display, guided = np.random.default_rng(1).random((2, 24, 32, 3), np.float32)
    before = display.copy(), guided.copy()
    hidden = np.zeros((24, 32), bool)
    hidden[4:9, 10:20] = True
    at = np.arange(24), np.arange(32)
    seen, plain = (
        network_planes(
            Tile(scene, display, guided, *at, mask), np.empty(planes_shape(24, 32), np.float32)
        )
        for mask in (hidden, NONE_HIDDEN)
    )
    assert (display == before[0]).all()
    assert (guided == before[1]).all()
    differs = (seen != plain).any(-1)
    assert differs[2:4, 5:10].all()
    assert not differs[:1].any()
    assert not differs[8:].any()


@pytest.mark.parametrize("channels", [1, 2, 4])
def test_alpha_is_kept_and_gray_stays_gray(network: Network, channels: int) -> None:
    """Alpha comes out as it went in; gray is rendered as the luma of the same in RGB."""
    image = _image(90, 100, channels)
    scene = _scene(spec_of(image))
    result = _render(NetworkRenderer(network), scene, image, Region(0, 0, 90, 100))
    assert result.shape == image.shape
    if channels in (2, 4):
        assert (result[..., -1] == image[..., -1]).all()
    assert (result[..., 0] != image[..., 0]).any()


def test_strength_nought_gives_the_input(network: Network) -> None:
    """Strength 0 gives the input back bit for bit, without the network."""
    image = _image(60, 70)
    scene = _scene(spec_of(image))
    window = Region(0, 0, 60, 70)
    renderer = NetworkRenderer(network)
    assert (
        renderer.render(scene, image, window, given=window, strength=Strength(0)) == image
    ).all()


def test_too_few_pixels_are_refused(network: Network) -> None:
    """A window without the pixels around it is refused by an error that says what is needed."""
    image = _image(300, 300)
    scene = _scene(spec_of(image))
    window = Region(100, 100, 50, 50)
    with pytest.raises(InputError, match="needs the pixels"):
        NetworkRenderer(network).render(scene, image[90:160, 90:160], window, given=window)
    with pytest.raises(InputError, match="tile is 64"):
        NetworkRenderer(network, 64)


@pytest.mark.parametrize("error", [MemoryError, torch.OutOfMemoryError])
def test_a_tile_without_memory_is_halved(error: type[Exception]) -> None:
    """Where memory ends at the third tile, smaller ones give the same picture, and a warning."""

    class Limited(Network):
        def begin(self, planes: Planes) -> Callable[[], Planes]:
            if len(self.shapes) >= 2 and max(planes.shape) > 120:
                self.shapes.append(planes.shape)
                raise error("no memory left")
            return super().begin(planes)

    image = _image(420, 420)
    scene = _scene(spec_of(image))
    window = Region(0, 0, 420, 420)
    free = _render(NetworkRenderer(Network(), 400), scene, image, window)
    with pytest.warns(DrhtWarning, match="continuing with tiles"):
        limited = _render(NetworkRenderer(Limited(), 400), scene, image, window)
    assert _close(free, limited)


def test_no_memory_at_all_is_an_error() -> None:
    """Where no tile is small enough, what the device said comes through."""

    class Nothing(Network):
        def begin(self, planes: Planes) -> Callable[[], Planes]:
            raise MemoryError("none")

    image = _image(300, 300)
    window = Region(0, 0, 300, 300)
    with pytest.warns(DrhtWarning), pytest.raises(MemoryError, match="none"):
        _render(NetworkRenderer(Nothing(), 512), _scene(spec_of(image)), image, window)


def test_progress_is_finer_than_a_band() -> None:
    """In network detail, progress is told after each tile, and grows."""
    image = picture(120, 1000, 3, "uint8", 0, (0.0, 0.4))
    shares: list[float] = []
    drht_plugin.correct(image, detail="network", tile=256, progress=shares.append)
    rendered = [share for share in shares if share > SURVEY_SHARE]
    assert len(rendered) > 4
    assert shares == sorted(shares)
    assert shares[-1] == 1


def _pattern(kind: str, low: int, high: int) -> Image:
    rows, columns = np.mgrid[:160, :200]
    shares = {"checkerboard": (rows + columns) % 2, "lines": columns % 2, "rows": rows % 2}
    if kind == "screen":  # four codes again and again, as dithering makes them
        shares["screen"] = np.array([[0, 0.5], [0.75, 0.25]])[rows % 2, columns % 2]
    codes = np.rint(low + (high - low) * shares[kind]).astype(np.uint8)
    return np.repeat(codes[..., None], 3, 2)


def _from_guided(image: Image) -> float:
    """Return the mean difference of the shipped network's detail to guided detail, in codes."""
    guided, made = (
        drht_plugin.correct(image, detail=detail, device="cpu").astype(int)
        for detail in ("guided", "network")
    )
    return float(np.abs(made - guided).mean())


@pytest.mark.parametrize("kind", ["checkerboard", "lines", "rows", "screen"])
@pytest.mark.parametrize(("low", "high"), [(10, 110), (30, 50), (0, 255), (100, 140)])
def test_patterns_of_single_pixels(kind: str, low: int, high: int) -> None:
    """The shipped network stays near guided detail where training did not show it the like."""
    assert _from_guided(_pattern(kind, low, high)) < 15


@pytest.mark.parametrize("seed", [0, 1, 2, 3])
def test_noise_in_a_small_picture(seed: int) -> None:
    """The same for noise that the borders of a small picture mirror again and again."""
    assert _from_guided(picture(36, 21, 3, "uint8", seed)) < 15
