"""Dask arrays against numpy arrays."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from functools import lru_cache
from typing import Any, cast

import numpy as np
import pytest
from clusters import local_cluster
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import DTYPES, Image, picture, seeds

import drht_plugin
from drht_plugin import Corrector, InputError, Strength

da = pytest.importorskip("dask.array", reason="dask is not installed")

import dask.base  # noqa: E402
from dask.delayed import delayed  # noqa: E402

import drht_plugin.dask as lazy  # noqa: E402


@pytest.fixture(autouse=True)
def _few_threads() -> Any:
    with dask.config.set(scheduler="threads", num_workers=2):
        yield


@lru_cache(maxsize=2)
def corrector(backend: str) -> Corrector:
    return Corrector(device="cpu", backend=backend)


def chunked(image: Image, rows: int, columns: int) -> Any:
    chunks = (rows, columns, 1) if image.ndim == 3 else (rows, columns)
    return da.from_array(image, chunks=chunks)


@settings(max_examples=12)
@given(
    st.tuples(st.integers(1, 300), st.integers(1, 300)),
    st.tuples(st.integers(7, 300), st.integers(7, 300)),
    st.sampled_from([None, 1, 2, 3, 4]),
    st.sampled_from(DTYPES),
    st.sampled_from(["srgb", "linear"]),
    st.booleans(),
    st.integers(1, 8),
    st.tuples(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1)),
    st.sampled_from(["numba", "torch"]),
    seeds,
)
def test_guided_detail_is_numpys(
    size: tuple[int, int],
    chunks: tuple[int, int],
    channels: int | None,
    dtype: str,
    transfer: str,
    wrap: bool,
    orientation: int,
    applied: tuple[float, float, float],
    backend: str,
    seed: int,
) -> None:
    """Scene, corrected pixels and HDR estimate are numpy's bit for bit, in any chunks."""
    image = picture(*size, channels, dtype, seed)
    how: dict[str, Any] = {
        "transfer": transfer,
        "orientation": orientation,
        "wrap": wrap and orientation < 5,
    }
    where: dict[str, Any] = {"device": "cpu", "backend": backend}
    one = corrector(backend)
    scene = one.survey(image, **how)
    array = chunked(image, *chunks)
    assert lazy.survey(array, **how, **where).compute().digest == scene.digest
    expected = one.render(scene, image, strength=Strength(*applied))
    made = lazy.correct(
        array,
        strength=applied[0],
        shadows=applied[1],
        highlights=applied[2],
        **how,
        **where,
    )
    assert (made.shape, made.dtype) == (image.shape, image.dtype)
    assert made.compute().tobytes() == expected.tobytes()
    radiance = lazy.estimate_hdr(array, **how, **where)
    expected = one.render_hdr(scene, image)
    assert radiance.shape == expected.shape
    assert radiance.compute().tobytes() == expected.tobytes()


@settings(max_examples=6)
@given(
    st.tuples(st.integers(200, 500), st.integers(200, 500)),
    st.tuples(st.integers(64, 400), st.integers(64, 400)),
    st.sampled_from([None, 3, 4]),
    st.sampled_from(["uint8", "uint16"]),
    st.booleans(),
    st.sampled_from([1, 3, 6]),
    st.sampled_from(["numba", "torch"]),
    seeds,
)
def test_network_detail_is_numpys(
    size: tuple[int, int],
    chunks: tuple[int, int],
    channels: int | None,
    dtype: str,
    wrap: bool,
    orientation: int,
    backend: str,
    seed: int,
) -> None:
    """Network detail is numpy's within a code of 8 bits, in any chunks, at their seams too."""
    image = picture(*size, channels, dtype, seed)
    how: dict[str, Any] = {"orientation": orientation, "wrap": wrap and orientation < 5}
    expected = corrector(backend).correct(image, detail="network", tile=256, **how)
    made = lazy.correct(
        chunked(image, *chunks), detail="network", tile=256, device="cpu", backend=backend, **how
    ).compute()
    most = np.abs(made.astype(int) - expected.astype(int)).max()
    assert most <= (1 if dtype == "uint8" else 257)


def test_a_computed_scene_tells_that_it_is_a_panorama() -> None:
    """Blocks at the borders of a surveyed panorama see what lies beyond them, without a word."""
    image = picture(256, 512, 3, "uint8", 3)
    scene = corrector("numba").survey(image, wrap=True)
    made = lazy.render(scene, chunked(image, 256, 256), detail="network", device="cpu").compute()
    expected = corrector("numba").render(scene, image, detail="network")
    assert np.abs(made.astype(int) - expected.astype(int)).max() <= 1


def counted(image: Image, rows: int, columns: int) -> tuple[Any, Counter[tuple[int, int]]]:
    """Return a dask array that counts how often each of its chunks is read."""
    reads: Counter[tuple[int, int]] = Counter()

    def load(block_info: Any = None) -> Image:
        (top, bottom), (left, right) = block_info[None]["array-location"][:2]
        reads[top // rows, left // columns] += 1
        return image[top:bottom, left:right]

    height, width, channels = image.shape
    chunks = (
        tuple(min(rows, height - top) for top in range(0, height, rows)),
        tuple(min(columns, width - left) for left in range(0, width, columns)),
        (channels,),
    )
    made = da.map_blocks(load, chunks=chunks, dtype=image.dtype, meta=image[:0, :0])
    return made, reads


@pytest.mark.parametrize("orientation", [1, 3, 6])
def test_chunks_are_read_once(orientation: int) -> None:
    """A survey reads the chunks that hold its rows, once, and no others; rendering each one once.

    The same holds for a panorama, whose origin takes one more reading.
    """
    image = picture(8000, 24, 3, "uint8")
    if orientation == 6:
        image = np.ascontiguousarray(image.transpose(1, 0, 2))
    rows, columns = (2, 16) if orientation != 6 else (16, 2)
    array, reads = counted(image, rows, columns)
    scene = lazy.survey(array, orientation=orientation, device="cpu").compute()
    assert set(reads.values()) == {1}
    whole = -(-image.shape[0] // rows) * -(-image.shape[1] // columns)
    assert 0.6 * whole < len(reads) < 0.7 * whole  # every third row, in chunks of two
    reads.clear()
    lazy.render(scene, array, device="cpu").compute()
    assert set(reads.values()) == {1}
    assert len(reads) == whole


def test_an_image_is_read_again_after_its_survey() -> None:
    """Chunks are not kept from the survey to the rendering, which would take the whole image."""
    image = picture(400, 300, 3, "uint8")
    array, reads = counted(image, 100, 150)
    made = lazy.correct(array, device="cpu").compute()
    assert set(reads.values()) == {2}
    assert np.array_equal(made, drht_plugin.correct(image))
    sliced = lazy.correct(array[10:, 5:], device="cpu").compute()
    assert np.array_equal(sliced, drht_plugin.correct(image[10:, 5:]))


def test_network_detail_reads_once() -> None:
    """In network detail a chunk is read once, though its neighbours need its edge."""
    image = picture(900, 700, 3, "uint8")
    array, reads = counted(image, 300, 350)
    scene = corrector("numba").survey(image)
    lazy.render(scene, array, detail="network", device="cpu").compute()
    assert set(reads.values()) == {1}
    assert len(reads) == 6


def test_the_plain_calls_take_dask_arrays() -> None:
    """`drht_plugin.correct`, `estimate_hdr` and `survey` stay lazy for dask arrays."""
    image = picture(120, 90, 3, "uint8")
    array, reads = counted(image, 50, 40)
    made = [drht_plugin.correct(array), drht_plugin.estimate_hdr(array), drht_plugin.survey(array)]
    assert not reads
    results = dask.base.compute(*made)
    assert np.array_equal(results[0], drht_plugin.correct(image))
    assert np.array_equal(results[1], drht_plugin.estimate_hdr(image))
    assert results[2].digest == drht_plugin.survey(image).digest


def test_what_is_refused() -> None:
    """Wrong arrays and arguments are refused when the call is made, NaN when it is computed."""
    array = chunked(picture(40, 50, 3, "float32"), 20, 20)
    with pytest.raises(InputError, match="ndarray; expected a dask array"):
        lazy.correct(cast(Any, np.zeros((4, 4))))
    with pytest.raises(InputError, match="compute_chunk_sizes"):
        lazy.correct(array[array[:, 0, 0] > 0.5])
    with pytest.raises(InputError, match="strength"):
        lazy.correct(array, strength=7)
    with pytest.raises(InputError, match="detail is 'fine'"):
        lazy.correct(array, detail="fine")
    with pytest.raises(InputError, match="orientation"):
        lazy.correct(array, wrap=True, orientation=6)
    with pytest.raises(InputError, match="out"):
        drht_plugin.correct(array, out=np.zeros((40, 50, 3), np.float32))
    wrong = picture(40, 50, 3, "float32")
    wrong[7, 9] = np.nan
    with pytest.raises(InputError, match="row 7"):
        lazy.correct(chunked(wrong, 20, 20)).compute()


REFUSED: list[tuple[dict[str, Any], str]] = [
    *(({"wrap": value}, "wrap is .*; expected True or False") for value in ("yes", 2, None)),
    *(({"tile": value}, "tile is .*; expected") for value in (64.0, True, "64")),
    ({"tile": 9, "detail": "network"}, "tile is 9; expected at least"),
    ({"model": "none-such"}, "model 'none-such' is neither shipped"),
    ({"model": b"default"}, "model is .*; expected the name"),
    ({"device": "abacus"}, "device 'abacus' is unknown"),
    ({"backend": "x"}, "backend is 'x'; expected one of auto, numba, torch"),
]


@pytest.mark.parametrize(("asked", "words"), REFUSED, ids=str)
def test_arguments_are_checked_before_the_work(asked: dict[str, Any], words: str) -> None:
    """What is wrong on any machine is refused when the call is made, not by a worker."""
    array = chunked(picture(40, 50, 3, "uint8"), 20, 20)
    with pytest.raises(InputError, match=words):
        lazy.correct(array, **asked)
    with pytest.raises(InputError, match=words):
        drht_plugin.correct(array, **asked)
    if not {"tile", "detail"} & asked.keys():
        for call in (lazy.survey, lazy.estimate_hdr):
            with pytest.raises(InputError, match=words):
                call(array, **asked)


def test_a_scene_renders_its_own_image_alone() -> None:
    """An image of another size or kind is refused at once, or by the tasks of a lazy scene."""
    image = picture(60, 50, 3, "uint8")
    array = chunked(image, 20, 20)
    scene, later = drht_plugin.survey(image), lazy.survey(array)
    for detail in ("guided", "network"):
        with pytest.raises(InputError, match="40×50 pixels; the surveyed image has 60×50"):
            lazy.render(scene, array[:40], detail=detail)
        with pytest.raises(InputError, match="40×50 pixels; the surveyed image has 60×50"):
            lazy.render(later, array[:40], detail=detail).compute()
    with pytest.raises(InputError, match="the surveyed image is"):
        lazy.render(scene, array.astype("uint16"))
    with pytest.raises(InputError, match="the scene is a NoneType; expected a Scene"):
        lazy.render(cast(Any, None), array)


@pytest.mark.parametrize("strength", [0, 0.0, 0.5, True])
def test_a_number_is_no_strength_of_a_scene(strength: Any) -> None:
    """A number is refused: 0 would be taken for none given, which is the whole correction."""
    image = picture(40, 50, 3, "uint8")
    with pytest.raises(InputError, match=r"strength is .*; expected a Strength"):
        lazy.render(drht_plugin.survey(image), chunked(image, 20, 20), strength=strength)


@pytest.mark.parametrize("call", [lazy.correct, lazy.estimate_hdr])
def test_chunks_of_another_size_than_stated(call: Any) -> None:
    """A task that gives fewer rows than the dask array says is refused."""
    image = picture(40, 50, 3, "uint8")
    task = delayed(lambda: image[:30])()
    array = da.from_delayed(task, image.shape, image.dtype)
    with pytest.raises(InputError, match=r"as the dask array says|the source ends early"):
        call(array).compute()


@pytest.mark.parametrize("wrap", [False, True])
@pytest.mark.parametrize("size", [(1, 1), (10, 300), (300, 10), (39, 41)])
def test_network_detail_of_small_pictures(size: tuple[int, int], wrap: bool) -> None:
    """A picture that is narrower than what blocks see around themselves is rendered like others."""
    image = picture(*size, 3, "uint8")
    how: dict[str, Any] = {"detail": "network", "wrap": wrap}
    expected = corrector("numba").correct(image, **how)
    made = lazy.correct(chunked(image, 100, 100), device="cpu", **how).compute()
    assert np.abs(made.astype(int) - expected.astype(int)).max() <= 1


def test_masked_chunks_are_refused() -> None:
    """What a mask hides in a chunk is not taken for pixels."""
    array = da.ma.masked_greater(chunked(picture(40, 50, 3, "uint8"), 20, 20), 9)
    for call in (lazy.correct, lazy.estimate_hdr):
        with pytest.raises(InputError, match="masked pixels; expected none"):
            call(array).compute()


def test_empty_chunks() -> None:
    """Chunks without rows or columns, as slicing leaves them, change nothing."""
    image = picture(60, 50, 3, "uint8")
    array = chunked(image, 20, 20)
    rows = da.concatenate([array[:0], array[:20], array[:0], array[20:], array[:0]])
    both = da.concatenate([rows[:, :0], rows, rows[:, :0]], axis=1)
    assert np.array_equal(lazy.correct(both, device="cpu").compute(), drht_plugin.correct(image))


def test_a_worker_that_dies_costs_nothing() -> None:
    """On a cluster of processes, one of which is killed in mid job, the result is the same."""
    distributed = pytest.importorskip("distributed", reason="distributed is not installed")
    image = picture(900, 700, 3, "uint8")
    array = chunked(image, 90, 100).rechunk((90, 100, 3))
    expected = drht_plugin.correct(image, device="cpu")
    with (
        local_cluster() as cluster,
        distributed.Client(cluster) as client,
    ):
        processes = list(client.run(os.getpid).values())
        assert os.getpid() not in processes
        made = client.compute(lazy.correct(array, device="cpu"))
        while not any(client.processing().values()):
            time.sleep(0.01)
        os.kill(processes[0], signal.SIGKILL)
        assert np.array_equal(made.result(timeout=120), expected)
        assert set(client.run(os.getpid).values()) != set(processes)
