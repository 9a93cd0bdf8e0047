"""What a picture shows of its own exposure, and what stays as it is without that."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import picture, seeds

from drht_plugin.engine.survey.rules.apply import apply_rules, blend_with_input
from drht_plugin.engine.survey.rules.evidence import (
    drawn,
    on_paper,
    share_to_keep,
    unfounded,
    unseen,
)

Float = npt.NDArray[np.float32]
SHAPE = (96, 128)


def photograph(seed: int, low: float = 0.1, high: float = 0.8) -> Float:
    """A picture with grain in a span of codes."""
    made: Float = picture(*SHAPE, 3, "float32", seed, (low, high))
    return made


def everywhere() -> Float:
    return np.ones(SHAPE, np.float32)


def seen() -> npt.NDArray[np.bool_]:
    return np.ones(SHAPE, bool)


def share(ldr: Float, power: float) -> float:
    """What is kept of the input where T is a power of it."""
    return share_to_keep(ldr, ldr ** np.float32(power), everywhere(), wrap=False, enlarged=False)


def with_clipped(part: float) -> Float:
    """A bright photograph, a part of which is clipped."""
    ldr = photograph(1, 0.5, 0.95)
    ldr.reshape(-1, 3)[: round(part * ldr[..., 0].size)] = 1
    return ldr


@given(seeds, st.floats(1.5, 4))
def test_what_has_lost_no_light_is_not_lowered(seed: int, power: float) -> None:
    """A bright picture without clipped light, such as snow, is kept whole; a clipped one is not."""
    assert share(photograph(seed, 0.55, 0.95), power) == 1
    assert share(with_clipped(0.02), power) == 0


@given(seeds, st.floats(0.1, 0.4))
def test_what_is_bright_is_not_lifted(seed: int, power: float) -> None:
    """A picture of bright grounds is kept; a dark one is lifted as the networks say."""
    assert share(photograph(seed, 0.8, 0.97), power) > 0.9
    assert share(photograph(seed, 0.02, 0.4), power) == 0


def test_a_lift_is_hedged_where_there_is_white() -> None:
    """Of a lift by about 1.3 EV a picture that has white keeps a part; from 2 EV on, nothing."""
    dim = photograph(2, 0.05, 0.5)
    white = dim.copy()
    white[:6, :60] = 1
    shares = {change: unfounded(white.reshape(-1, 3), change) for change in (0.25, 1.3, 2.1)}
    assert shares[0.25] == shares[2.1] == 0
    assert 0.3 < shares[1.3] < 0.9
    assert unfounded(dim.reshape(-1, 3), 1.3) == 0


def test_a_change_that_nobody_sees_is_not_made() -> None:
    """T within a twentieth of a stop of the input is the input, bit for bit; a third of one not."""
    ldr = photograph(3)
    ripple = np.float32(0.01) * np.sin(np.arange(SHAPE[1], dtype=np.float32))[None, :, None]
    near = (ldr * (1 + ripple)).astype(np.float32)
    assert unseen(ldr, near, everywhere()) == 1
    assert (
        apply_rules(ldr, near, everywhere(), wrap=False, enlarged=False).tobytes() == ldr.tobytes()
    )
    far = (ldr * (1 + 10 * ripple)).astype(np.float32)
    assert unseen(ldr, far, everywhere()) == 0
    assert (
        apply_rules(ldr, far, everywhere(), wrap=False, enlarged=False).tobytes() != ldr.tobytes()
    )


def test_what_is_drawn_is_told_from_what_is_photographed() -> None:
    """A coloured panel of one code is drawn; with grain, crushed or clipped it is not."""
    ldr = photograph(4)
    assert drawn(ldr, seen()) == 0
    for level, expected in ((0.5, 1), (0.02, 0), (1.0, 0)):
        panel = ldr.copy()
        panel[:40] = level
        assert drawn(panel, seen()) == expected
    grain = ldr.copy()
    grain[:40] = 0.5 + np.random.default_rng(0).normal(0, 1 / 255, (40, SHAPE[1], 3))
    assert drawn(grain, seen()) == 0


def test_flat_places_of_what_was_enlarged_say_nothing() -> None:
    """A thumbnail whose pixels fill blocks of the overview is not taken for drawn."""
    blocks = photograph(4, 0.3, 0.6)[::8, ::8].repeat(8, 0).repeat(8, 1)
    lifted = blocks ** np.float32(0.9)
    for enlarged, expected in ((False, 1), (True, 0)):
        assert (
            share_to_keep(blocks, lifted, everywhere(), wrap=False, enlarged=enlarged) == expected
        )


def test_paper_is_white_all_round() -> None:
    """White on four sides is paper; a sky that is white on one or two is not."""
    page = np.ones((*SHAPE, 3), np.float32)
    page[20:-20, 20:-20] = photograph(5)[20:-20, 20:-20]
    assert on_paper(page, seen()) == 1
    sky = photograph(5)
    sky[:60] = 1
    assert on_paper(sky, seen()) == 0


def test_a_panorama_lies_on_no_paper() -> None:
    """Of a panorama the margin says nothing."""
    page = np.ones((*SHAPE, 3), np.float32)
    page[20:-20, 20:-20] = photograph(5, 0.0, 0.4)[20:-20, 20:-20]
    lowered = page ** np.float32(3)
    assert share_to_keep(page, lowered, everywhere(), wrap=False, enlarged=False) == 1
    assert share_to_keep(page, lowered, everywhere(), wrap=True, enlarged=False) == 0


@pytest.mark.parametrize("rule", [drawn, on_paper])
def test_hidden_places_do_not_count(
    rule: Callable[[Float, npt.NDArray[np.bool_]], float],
) -> None:
    """A ground that alpha hides is neither drawn nor paper; with nothing seen, nothing breaks."""
    ldr = photograph(6)
    ldr[:48] = 0.95
    ldr[:, :4] = ldr[:, -4:] = ldr[-4:] = 0.95
    shown = seen()
    shown[:48] = False
    assert rule(ldr, seen()) == 1
    shown[:, :4] = shown[:, -4:] = shown[-4:] = False
    assert rule(ldr, shown) == 0
    nothing = np.zeros(SHAPE, np.float32)
    assert share_to_keep(ldr, ldr**2, nothing, wrap=False, enlarged=False) == 0
    assert np.isfinite(apply_rules(ldr, ldr**2, nothing, wrap=False, enlarged=False)).all()


@pytest.mark.parametrize("name", ["lowered", "lifted", "clipped", "bright", "flat", "margin"])
def test_nothing_jumps(name: str) -> None:
    """What is kept follows the picture and T without a step."""
    clipped, dim = with_clipped(0.002), photograph(2, 0.05, 0.5)
    dim[:6, :60] = 1
    panel, page = photograph(7), np.ones((*SHAPE, 3), np.float32)

    def at(i: int) -> float:
        step = i / 400
        if name == "lowered":
            return share(clipped, 1 + step)
        if name == "lifted":
            return share(dim, 1 - 0.8 * step)
        if name == "clipped":
            return share(with_clipped(0.02 * step), 2)
        if name == "bright":
            return share(photograph(8, 0.3 + 0.5 * step, 0.6 + 0.35 * step), 0.7)
        if name == "flat":
            changed = panel.copy()
            changed.reshape(-1, 3)[: 4 * i] = 0.5
            return drawn(changed, seen())
        changed = page.copy()
        changed[0, : i // 4] = 0
        return on_paper(changed, seen())

    shares = np.array([at(i) for i in range(400)])
    assert np.ptp(shares) > 0.3
    assert np.abs(np.diff(shares)).max() < 0.1


@given(seeds, st.floats(0, 1))
def test_towards(seed: int, part: float) -> None:
    """T with none of the input is T, with all of it the input, bit for bit; between, both."""
    ldr, corrected = photograph(seed), photograph(seed + 1)
    assert blend_with_input(ldr, corrected, 0).tobytes() == corrected.tobytes()
    assert blend_with_input(ldr, corrected, 1).tobytes() == ldr.tobytes()
    mixed = blend_with_input(ldr, corrected, part)
    assert mixed.dtype == np.float32
    np.testing.assert_allclose(mixed, part * ldr + (1 - part) * corrected, atol=1e-6)
