"""What is made of the rows: values that are measured, means, intervals, tables, ranks."""

import math

import numpy as np
import pytest
import sets

from drht_plugin.errors import InputError
from drht_plugin.evaluation import metrics
from drht_plugin.evaluation.datasets import Item, unit
from drht_plugin.evaluation.lineup import method_names
from drht_plugin.evaluation.report._examples import ranked
from drht_plugin.evaluation.scores import (
    DISPLAY,
    HDR,
    MOST_DECIBELS,
    SCORES,
    Row,
    chosen_metrics,
    require_known,
)
from drht_plugin.evaluation.summary import markdown, summarise, tables


def rows_of(values: list[float | None], method: str = "m", metric: str = "psnr") -> list[Row]:
    return [
        Row(f"i{n}", method, {"kind": "ab"[n % 2]}, {metric: value})
        for n, value in enumerate(values)
    ]


def test_means_and_counts_by_group() -> None:
    """Every item counts in all and in its group; what has no value counts nowhere."""
    cells = {c.group: c for c in summarise(rows_of([1, 2, 3, 6, None]))}
    assert {g: (c.mean, c.count) for g, c in cells.items()} == {
        "all": (3, 4),
        "kind = a": (2, 2),
        "kind = b": (4, 2),
    }


def test_interval_covers_the_true_mean_19_times_of_20() -> None:
    """In 200 draws of 40 normal numbers the 95 % interval holds their mean about 190 times."""
    random = np.random.default_rng(3)
    inside = 0
    for _ in range(200):
        (cell,) = [c for c in summarise(rows_of([*random.normal(5, 2, 40)])) if c.group == "all"]
        inside += cell.low <= 5 <= cell.high
    assert 180 <= inside <= 198


def test_markdown() -> None:
    """Methods × metrics with intervals, best direction, groups after all; gaps stay empty."""
    rows = [
        *rows_of([20.0, 22.0], "one"),
        *rows_of([10.0, 10.0], "two"),
        *rows_of([0.5, 0.5], "two", "ev-clipped"),
    ]
    shown = tables(summarise(rows), ("two", "one"), ("psnr", "ssim", "ev-clipped"))
    text = markdown(shown)
    assert text.startswith(
        "**Corrected pictures, all (2 pictures)**\n\n| method | psnr ↑ |\n|---|---:|\n"
        "| two | 10.00 (10.00 to 10.00) |\n| one | 21.00 (20.00 to 22.00) |\n"
    )
    assert "**HDR estimates, all (2 pictures)**\n\n| method | ev-clipped ↓ |" in text
    assert "| two | 0.500 (0.500 to 0.500) |" in text
    assert text.index("all (2") < text.index("kind = a (1 picture)") < text.index("kind = b")
    assert "| one | 20.00 |" in text


def test_best_goes_by_direction() -> None:
    """The best mean is the highest where higher is better, else the lowest."""
    rows = [
        Row("i", name, {}, {"psnr": value, "ev-clipped": value, "luma-change": value})
        for name, value in (("one", 3.0), ("two", 4.0))
    ]
    display, radiance = tables(
        summarise(rows), ("one", "two"), ("psnr", "luma-change", "ev-clipped")
    )
    assert display.best("psnr") == 4
    assert display.best("luma-change") is None
    assert radiance.best("ev-clipped") == 3


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], {}),
        ([3.0], {"best": "i0"}),
        ([3.0, 4.0], {"best": "i1", "worst": "i0"}),
        ([3.0, 9.0, 4.0], {"best": "i1", "median": "i2", "worst": "i0"}),
        ([3.0, None, 9.0, 4.0, 5.0], {"best": "i2", "median": "i4", "worst": "i0"}),
    ],
)
def test_ranked(values: list[float | None], expected: dict[str, str]) -> None:
    """Best, median and worst by PSNR of the one method, each item once, best first."""
    rows = [*rows_of(values, "drht"), *rows_of([50.0] * 3, "other")]
    assert ranked(rows, "drht") == expected
    assert list(ranked(rows, "drht")) == list(expected)


def item(radiance: bool = True) -> Item:
    ldr = sets.codes(1)
    light = np.square(ldr / 255).astype(np.float32)
    return Item("i", {}, ldr, sets.brighter(ldr), light if radiance else None)


def test_scores_of_a_perfect_result() -> None:
    """The truth itself gets the best value of each metric, and a finite one."""
    truth = item()
    perfect = unit(truth.reference)
    assert DISPLAY["psnr"].measure(perfect, truth) == MOST_DECIBELS
    assert DISPLAY["ssim"].measure(perfect, truth) == pytest.approx(1)
    assert truth.radiance is not None
    assert HDR["ev-unclipped"].measure(truth.radiance, truth) == 0
    assert HDR["pu21-psnr"].measure(truth.radiance, truth) == MOST_DECIBELS
    assert HDR["hdr-vdp2"].measure(truth.radiance, truth) == pytest.approx(100)


def test_stops_are_of_the_clipped_and_of_the_others() -> None:
    """One stop too bright where clipped, two where not, are told apart."""
    truth = item()
    assert truth.radiance is not None
    clipped = (truth.ldr >= 254).any(-1, keepdims=True)
    estimate = (truth.radiance * np.where(clipped, 2, 4)).astype(np.float32)
    assert HDR["ev-clipped"].measure(estimate, truth) == pytest.approx(1, abs=1e-3)
    assert HDR["ev-unclipped"].measure(estimate, truth) == pytest.approx(2, abs=1e-3)
    sure = Item("i", {}, truth.ldr.clip(10, 200), truth.reference, truth.radiance)
    assert math.isnan(HDR["ev-clipped"].measure(estimate, sure))


def test_16_bit_items_score_as_8_bit_ones() -> None:
    """The same picture in 16 bits gets the same values."""
    eight = item()
    deep = Item(
        "i",
        {},
        eight.ldr.astype(np.uint16) * 257,
        eight.reference.astype(np.uint16) * 257,
        eight.radiance,
    )
    for name, score in SCORES.items():
        result = eight.picture if name in DISPLAY else eight.picture**2 + np.float32(0.01)
        assert score.measure(result, deep) == pytest.approx(score.measure(result, eight)), name


def test_tmqi_is_against_the_radiance() -> None:
    """TMQI compares with the HDR truth, not with the reference, and says that it needs it."""
    truth = item()
    assert truth.radiance is not None
    value = DISPLAY["tmqi"].measure(truth.picture, truth)
    assert value == metrics.tmqi(truth.picture, truth.radiance)
    assert DISPLAY["tmqi"].needs_radiance


def test_choices() -> None:
    """Names are taken once and in order; unknown ones are told with those known."""
    assert require_known("methods", "drht, gamma,drht", method_names()) == ("drht", "gamma")
    assert chosen_metrics("all") == tuple(SCORES)
    assert "fsimc" not in chosen_metrics(None)
    with pytest.raises(InputError, match=r"unknown metrics 'x', ''; expected all or some of psnr"):
        chosen_metrics("x,psnr,")
