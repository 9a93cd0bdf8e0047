"""Several devices, devices that fail or are full, and the choice of a device."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as PillowImage
from strategies import picture
from torch.utils._python_dispatch import TorchDispatchMode

from drht_plugin import Corrector, DrhtError, DrhtWarning, Strength, correct_file
from drht_plugin.engine import weigh
from drht_plugin.engine.weigh import Correctors
from drht_plugin.errors import DeviceError, InputError
from drht_plugin.model.device import choose_devices

LOST = "CUDA error: an illegal memory access was encountered"


class FailingLaunches(TorchDispatchMode):
    """Counts the launches of this thread, and lets some of them fail.

    Args:
        error: what a failing launch raises.
        failing: numbers of the launches that fail.
    """

    def __init__(self, error: Exception | None = None, failing: frozenset[int] = frozenset()):
        super().__init__()
        self.error, self.failing = error, failing
        self.count = 0

    def __torch_dispatch__(
        self, function: Any, _types: Any, given: Any = (), named: Any = None
    ) -> Any:
        self.count += 1
        if self.error is not None and self.count in self.failing:
            raise self.error
        return function(*given, **(named or {}))


@contextmanager
def no_warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DrhtWarning)
        yield


def corrector(device: str = "cpu") -> Corrector:
    return Corrector(device=device, backend="torch")


def counted(made: Corrector) -> list[int]:
    """Count how often each device runs the detail network from now on."""
    counts = [0] * len(made.detail_runners)
    for number, runner in enumerate(made.detail_runners):
        real = runner.residual

        def count(planes: Any, number: int = number, real: Any = real) -> Any:
            counts[number] += 1
            return real(planes)

        runner.residual = count  # type: ignore[method-assign]
    return counts


@pytest.mark.parametrize("detail", ["guided", "network"])
@pytest.mark.parametrize("how", [{}, {"wrap": True}, {"orientation": 6}])
@pytest.mark.parametrize("devices", ["cpu,cpu", "cpu,cpu,cpu"])
def test_devices_take_bands_in_turn(detail: str, how: dict[str, Any], devices: str) -> None:
    """Two and three devices give the same bits as one, each having rendered some of the bands."""
    image = picture(420, 300, 3, "uint8")
    one, several = corrector(), corrector(devices)
    scene = one.survey(image, **how)
    tile = 40 if detail == "guided" else 176
    runs = counted(one), counted(several)
    expected = one.render(scene, image, detail=detail, tile=tile)
    made = several.render(scene, image, detail=detail, tile=tile)
    assert made.tobytes() == expected.tobytes()
    if detail == "network":
        assert min(runs[1]) > 0
        # No tile is computed again by another device.
        assert sum(runs[1]) == sum(runs[0])
    radiance = several.render_hdr(scene, image)
    assert radiance.tobytes() == one.render_hdr(scene, image).tobytes()


def launches(made: Corrector, scene: Any, image: Any, detail: str) -> int:
    with FailingLaunches() as mode:
        made.render(scene, image, detail=detail, tile=176 if detail == "network" else 16)
    return mode.count


@pytest.mark.parametrize(("detail", "step"), [("guided", 1), ("network", 7)])
@pytest.mark.parametrize("channels", [1, 4])
def test_memory_may_be_short_at_any_launch(detail: str, step: int, channels: int) -> None:
    """Wherever the device has no memory left, fewer pixels go at once, and the result is the same.

    In network detail other tiles may round a value to the next code. Only the tables of the scene,
    which come first, must fit as a whole; that they do not is said.
    """
    image = picture(20, 50, channels, "uint8")
    made = corrector()
    scene = made.survey(image)
    tile = 176 if detail == "network" else 16
    expected = made.render(scene, image, detail=detail, tile=tile).astype(int)
    count = launches(made, scene, image, detail)
    assert count > 40
    refused = []
    for number in range(1, count, step):
        failing = FailingLaunches(torch.OutOfMemoryError("no room"), frozenset({number}))
        with failing, warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            try:
                pixels = made.render(scene, image, detail=detail, tile=tile)
            except DeviceError:
                refused.append(number)
                continue
        least = 0 if detail == "guided" else 1
        assert np.abs(pixels.astype(int) - expected).max() <= least, number
        assert any(
            "no memory" in str(each.message) and each.category is DrhtWarning for each in said
        ), number
    assert refused == [number for number in range(1, 12) if number in refused]
    assert len(refused) < 12 / step


@settings(max_examples=12)
@given(st.sets(st.integers(20, 800), max_size=5))
def test_memory_may_be_short_often(numbers: set[int]) -> None:
    """Memory may be short again and again, in bands that keep what tiles show below them."""
    image = picture(420, 200, 3, "uint8")
    made = corrector("cpu,cpu")
    scene = made.survey(image)
    expected = made.render(scene, image, detail="network", tile=176).astype(int)
    failing = FailingLaunches(torch.OutOfMemoryError("no room"), frozenset(numbers))
    with failing, no_warnings():
        pixels = made.render(scene, image, detail="network", tile=176)
    assert np.abs(pixels.astype(int) - expected).max() <= 1


def test_no_memory_at_all() -> None:
    """Where not even a row fits, the error says so and names what may help."""
    image = picture(30, 40, 3, "uint8")
    made = corrector()
    scene = made.survey(image)
    everything = frozenset(range(1, 100_000))
    with (
        no_warnings(),
        pytest.raises(DeviceError, match=r"no memory left.*no room.*device 'cpu'"),
        FailingLaunches(torch.OutOfMemoryError("no room"), everything),
    ):
        made.render(scene, image)
    with (
        no_warnings(),
        pytest.raises(DeviceError, match="no memory left"),
        FailingLaunches(torch.OutOfMemoryError("no room"), everything),
    ):
        made.survey(image)


@pytest.mark.parametrize(
    "error", [torch.AcceleratorError(LOST), RuntimeError(LOST)], ids=["accelerator", "runtime"]
)
@pytest.mark.parametrize("detail", ["guided", "network"])
def test_a_device_is_lost_in_mid_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, detail: str
) -> None:
    """A device that fails while a file is rendered ends in a clear error and no file.

    What was finished with `resume` is taken up again, and the result is that of an undisturbed job.
    """
    monkeypatch.setattr("drht_plugin.resume._JOURNAL_SECONDS", 0)
    source, target, whole = (tmp_path / name for name in ("a.png", "b.png", "c.png"))
    PillowImage.fromarray(picture(900, 300, 3, "uint8")).save(source)
    made = corrector()
    settings: dict[str, Any] = {"corrector": made, "detail": detail, "memory": "300K"}
    if detail == "network":
        settings["memory"] = "2M"
    correct_file(source, whole, **settings)
    with FailingLaunches() as mode:
        correct_file(source, whole, **settings)
    expected = np.asarray(PillowImage.open(whole))
    late = frozenset(range(mode.count * 9 // 10, mode.count * 2))
    for resume in (False, True):
        with (
            pytest.raises(DeviceError, match=r"the device failed.*illegal memory access"),
            FailingLaunches(error, late),
        ):
            correct_file(source, target, resume=resume, **settings)
        assert not target.exists()
        left = {path.name for path in tmp_path.iterdir()} - {"a.png", "c.png"}
        assert bool(left) == resume
    correct_file(source, target, resume=True, **settings)
    assert np.array_equal(np.asarray(PillowImage.open(target)), expected)
    assert {path.name for path in tmp_path.iterdir()} == {"a.png", "b.png", "c.png"}


def test_other_errors_are_left_alone() -> None:
    """A RuntimeError that is not a device's keeps its type, so that no fault is hidden."""
    image = picture(30, 40, 3, "uint8")
    made = corrector()
    with (
        pytest.raises(RuntimeError) as caught,
        FailingLaunches(RuntimeError("odd"), frozenset({3})),
    ):
        made.survey(image)
    assert not isinstance(caught.value, DrhtError)


def test_names_of_devices() -> None:
    """Several devices are named with commas; an unknown one among them is refused by its name."""
    assert choose_devices("cpu, cpu") == (torch.device("cpu"),) * 2
    with pytest.raises(InputError, match="'gpu'"):
        choose_devices("cpu,gpu")


def test_what_is_needed_is_on_every_device(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rendering makes no tensor of float64, which MPS does not have."""

    class NoDoubles(TorchDispatchMode):
        def __torch_dispatch__(
            self, function: Any, _types: Any, given: Any = (), named: Any = None
        ) -> Any:
            made = function(*given, **(named or {}))
            assert not (isinstance(made, torch.Tensor) and made.dtype == torch.float64), function
            return made

    image = picture(80, 90, 4, "uint16")
    made = corrector()
    scene = made.survey(image)
    tables = made.render_hdr(scene, image)
    assert tables.dtype == np.float32
    with NoDoubles():
        made.render(scene, image)
        made.render(scene, image, detail="network")


def test_work_is_weighed(monkeypatch: pytest.MonkeyPatch) -> None:
    """With "auto", the CPU works until there was as much work as a start is worth."""
    monkeypatch.setattr(weigh, "has_accelerator", lambda: True)
    monkeypatch.setattr(weigh, "_CORES", 2)

    def choices(*work: tuple[float, str], device: str = "auto") -> list[bool]:
        made = Correctors(device=device)
        return [
            made.for_work(int(megapixels * 1e6), detail) is not made._cpu
            for megapixels, detail in work
        ]

    assert choices((24, "guided")) == [False]
    assert choices((24, "auto"), (24, "network"), (1, "guided")) == [False, True, True]
    assert choices((1000, "guided")) == [True]
    assert choices(*[(24, "guided")] * 30) == [False] * 18 + [True] * 12
    assert choices((24, "guided"), device="cuda") == [True]
    monkeypatch.setattr(weigh, "has_accelerator", lambda: False)
    assert choices((24, "network"), (1000, "network")) == [True, True]


def test_automatic_detail(tmp_path: Path) -> None:
    """On an accelerator "auto" is network detail where noise is lifted, and the report says so.

    It is guided detail on the CPU, with a strength that lifts little, and where a tile is given.
    """
    noise = np.random.default_rng(0).normal(0, 4, (200, 300, 1))
    patches = np.random.default_rng(1).integers(2, 40, (4, 6, 3)).repeat(50, 0).repeat(50, 1)
    noisy = (patches + noise).clip(0, 255).astype(np.uint8)
    made = corrector()
    scene = made.survey(noisy)
    assert 255 * scene.lifted_noise > 2
    assert made.choose_detail("auto", scene) == "guided"
    vars(made).update(on_accelerator=True)
    assert made.choose_detail("auto", scene) == "network"
    assert made.choose_detail("guided", scene) == "guided"
    assert made.choose_detail("auto", scene, Strength(strength=0.05)) == "guided"
    assert made.choose_detail("auto", scene, tile=64) == "guided"
    expected = made.correct(noisy, detail="network")
    assert np.array_equal(made.correct(noisy), expected)
    assert np.array_equal(made.render(scene, noisy), expected)
    out = np.empty_like(noisy)
    made.stream(noisy, out)
    assert np.array_equal(out, expected)
    PillowImage.fromarray(noisy).save(tmp_path / "a.png")
    report = correct_file(tmp_path / "a.png", tmp_path / "b.png", corrector=made)
    assert report.detail == "network"
    assert np.array_equal(np.asarray(PillowImage.open(tmp_path / "b.png")), expected)
    clean = np.full((200, 300, 3), 120, np.uint8)
    assert made.choose_detail("auto", made.survey(clean)) == "guided"
