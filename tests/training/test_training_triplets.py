"""Triplets and true-LDR operators."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace
from functools import cache

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from drht_plugin import virtual_camera
from drht_plugin.bridge import transfer
from drht_plugin.training import tonemap
from drht_plugin.training.pages import draw_page
from drht_plugin.training.tonemap import fusion
from drht_plugin.training.triplets import (
    Mix,
    Photographer,
    Shot,
    Triplets,
    ViewPlan,
    render_triplets,
)
from drht_plugin.virtual_camera import Aim, HdrImage

PLAIN = Shot(
    stops=0.0,
    exponent=0.8,
    middle=0.15,
    srgb=False,
    shot_noise=0.0,
    read_noise=0.0,
    quantised=False,
    jpeg=0,
)


@cache
def scenes() -> tuple[HdrImage, ...]:
    """A panorama of ten stops with a small sun, and a photograph of three."""
    random = torch.Generator().manual_seed(4)

    def soft(height: int, width: int, stops: float) -> Tensor:
        noise = torch.rand(1, 3, height, width, generator=random)
        noise = torch.nn.functional.avg_pool2d(noise, 9, 1, 4)[0]
        noise = (noise - noise.min()) / (noise.max() - noise.min())
        mask = torch.zeros(1, height, width)
        return torch.cat([torch.exp2(stops * (noise - 0.5)), mask])

    panorama = soft(64, 128, 10)
    panorama[:3, 10:14, 60:66] = 3000
    panorama[3, 10:14, 60:66] = 1
    return HdrImage("panorama", panorama, True), HdrImage("photograph", soft(60, 90, 3), False)


def plan(shot: Shot, scene: int = 1, aim: Aim | None = None) -> ViewPlan:
    """One shot of a scene as it is."""
    return ViewPlan(scene, aim or Aim(), 1.0, 1.0, 1.0, (shot,))


def rendered(*plans: ViewPlan, seed: int = 0) -> Triplets:
    """Small triplets."""
    return render_triplets(scenes(), plans, 32, 48, torch.Generator().manual_seed(seed))


def drawn(seed: int, views: int = 6) -> tuple[list[ViewPlan], Triplets]:
    """Plans and triplets from a seed, as training draws them."""
    photographer = Photographer(scenes(), seed)
    plans = [photographer.view(2) for _ in range(views)]
    return plans, rendered(*plans, seed=seed)


def test_a_seed_is_a_batch() -> None:
    """The same seed draws the same plans and the same pixels; another one draws others."""
    plans, batch = drawn(5)
    again, batch_again = drawn(5)
    assert plans == again
    for name, values in vars(batch).items():
        assert torch.equal(values, getattr(batch_again, name)), name
    others, batch_other = drawn(6)
    assert plans != others
    assert not torch.equal(batch.ldr, batch_other.ldr)


@given(st.integers(0, 999))
def test_batches_are_triplets(seed: int) -> None:
    """LDR, true LDR and true HDR have their shapes and ranges; the clipped source is marked."""
    plans, batch = drawn(seed)
    assert batch.ldr.shape == batch.true_ldr.shape == batch.true_hdr.shape == (12, 3, 32, 48)
    assert batch.source_clipped.shape == (12, 1, 32, 48)
    for codes in (batch.ldr, batch.true_ldr, batch.source_clipped):
        assert codes.min() >= 0
        assert codes.max() <= 1 + 1e-6
    assert batch.true_hdr.min() >= 0
    assert batch.true_hdr.max() <= transfer.H_MAX
    assert all(bool(values.isfinite().all()) for values in vars(batch).values())
    panoramas = torch.tensor([plan.scene == 0 for plan in plans]).repeat_interleave(2)
    assert not batch.source_clipped[~panoramas].any()


@given(st.integers(0, 999))
def test_shots_are_possible(seed: int) -> None:
    """Every drawn shot has a curve that exists, and settings within their documented ranges."""
    photographer = Photographer(scenes(), seed)
    for _ in range(20):
        shot = photographer.shot()
        assert -5 <= shot.stops <= 4
        assert 0.65 <= shot.exponent <= 0.95
        assert 0.10 <= shot.middle <= 0.15
        assert shot.middle**shot.exponent < 0.5
        assert shot.jpeg == 0 or 60 <= shot.jpeg <= 96
        assert not shot.own_target or abs(shot.stops) <= 0.4
    assert photographer.shot(-2.5).stops == -2.5
    assert photographer.view(3, 1).scene == 1
    assert len(photographer.view(3).shots) == 3


def test_shots_of_a_view_share_its_truth() -> None:
    """Exposures of one view differ in LDR and H by their stops, and have one true LDR."""
    shots = tuple(replace(PLAIN, stops=stops) for stops in (-2.0, 0.0, 1.0))
    batch = rendered(replace(plan(PLAIN), shots=shots))
    assert torch.equal(batch.true_ldr[0], batch.true_ldr[1])
    assert torch.equal(batch.true_ldr[0], batch.true_ldr[2])
    assert torch.allclose(batch.true_hdr[1], 4 * batch.true_hdr[0], rtol=1e-5)
    assert torch.allclose(batch.true_hdr[2], 2 * batch.true_hdr[1], rtol=1e-5)
    assert batch.ldr[0].mean() < batch.ldr[1].mean() < batch.ldr[2].mean()


@pytest.mark.parametrize("srgb", [False, True])
def test_ldr_is_the_curve_of_the_truth(srgb: bool) -> None:
    """Without noise, the LDR decodes through its curve to the true HDR where nothing clips."""
    batch = rendered(plan(replace(PLAIN, srgb=srgb, stops=0.5)))
    codes, radiance = batch.ldr.double(), batch.true_hdr.double()
    within = radiance < 1
    assert within.double().mean() > 0.7
    if srgb:
        decoded = torch.from_numpy(transfer.srgb_decode(codes.numpy()))
    else:
        half = PLAIN.middle**PLAIN.exponent
        s = 0.5 * half / (0.5 - half)
        decoded = (s * codes / (1 + s - codes)) ** (1 / PLAIN.exponent)
    assert (decoded / radiance - 1)[within].abs().max() < 1e-3
    assert (codes[~within] > 1 - 1e-6).all()


def test_own_target() -> None:
    """A well-exposed shot is its own true LDR, its noise aside; a clipped one is not."""
    noisy = replace(PLAIN, shot_noise=1e-4, read_noise=1e-3, own_target=True, stops=-0.2)
    batch = rendered(plan(noisy))
    difference = batch.ldr - batch.true_ldr
    assert 1e-4 < difference.std() < 0.02
    assert difference.mean().abs() < 2e-3
    clean = rendered(plan(replace(noisy, shot_noise=0.0, read_noise=0.0)))
    assert torch.equal(clean.ldr, clean.true_ldr)
    assert torch.equal(clean.true_ldr, batch.true_ldr)
    over = rendered(plan(replace(noisy, stops=2.0)))
    mapped = rendered(plan(replace(noisy, stops=2.0, own_target=False)))
    assert torch.equal(over.true_ldr, mapped.true_ldr)


def test_highlights_metering_holds_the_sun_back() -> None:
    """Exposing for the highlights never exposes longer than the meter."""
    aim = Aim(pitch=0.9, field_of_view=1.5)
    plain = rendered(plan(PLAIN, 0, aim))
    backlit = rendered(plan(replace(PLAIN, metered_highlights=True), 0, aim))
    assert backlit.true_hdr.mean() < plain.true_hdr.mean()
    clipped = (virtual_camera.luminance(backlit.true_hdr) > 1).float().mean()
    assert clipped < 0.025


def test_look_changes_input_and_truth_alike() -> None:
    """White balance and saturation are the scene's: they reach all three pictures."""
    warm = replace(plan(PLAIN), red=1.3, blue=0.8)
    batch, neutral = rendered(warm), rendered(plan(PLAIN))
    for name in ("ldr", "true_hdr", "true_ldr"):
        ratio = getattr(batch, name).mean((0, 2, 3)) / getattr(neutral, name).mean((0, 2, 3))
        assert ratio[0] > ratio[1] > ratio[2], name
    gray = rendered(replace(plan(PLAIN), saturation=0.0))
    assert (gray.ldr.amax(1) - gray.ldr.amin(1)).max() < 1e-5


def test_bright_directions_are_looked_at() -> None:
    """Half of a panorama's views are drawn near its light: the sun is seen more than by chance."""
    photographer = Photographer(scenes(), 0)
    yaws = np.array([photographer.view(1, 0).aim.yaw for _ in range(200)])
    near = np.abs((yaws - ((63 / 128) - 0.5) * 2 * math.pi + math.pi) % (2 * math.pi) - math.pi)
    assert (near < 0.5).mean() > 1.3 * 0.5 / math.pi


def radiance(stops: float, count: int = 2) -> Tensor:
    """Smooth scenes that span so many stops."""
    noise = torch.rand(count, 3, 64, 80, generator=torch.Generator().manual_seed(1))
    noise = torch.nn.functional.avg_pool2d(noise, 15, 1, 7)
    low, high = noise.amin((1, 2, 3), True), noise.amax((1, 2, 3), True)
    return torch.exp2(stops * (noise - low) / (high - low))


@pytest.mark.parametrize("stops", [0.5, 4, 14])
def test_fusion_gives_codes(stops: float) -> None:
    """The true LDR lies in 0..1, is neither dark nor bright, and its batch does not change it."""
    scene = radiance(stops)
    result = fusion(scene)
    assert result.shape == scene.shape
    assert result.min() >= 0
    assert result.max() <= 1
    assert 0.15 < result.mean() < 0.75
    assert torch.allclose(fusion(scene[1:]), result[1:], atol=1e-5)


@pytest.mark.parametrize("light", [0.0, 1e-9, 1.0, 6e4])
def test_fusion_of_flat_scenes(light: float) -> None:
    """Scenes of one light, black among them, give finite and even codes."""
    flat = torch.full((1, 3, 32, 40), light)
    result = fusion(flat)
    assert result.isfinite().all()
    assert result.max() - result.min() < 1e-3
    half = flat.clone()
    half[..., 20:] = 0
    assert fusion(half).isfinite().all()


@given(st.integers(-14, 14), st.sampled_from([2.0, 12.0]))
def test_unit_of_radiance_is_free(power: int, stops: float) -> None:
    """Radiance in another unit gives the same picture."""
    scene = radiance(stops)
    assert torch.allclose(fusion(scene * 2.0**power), fusion(scene), atol=2e-3)


def test_fusion_is_that_of_opencv() -> None:
    """The same bracket, fused by OpenCV, differs by less than a code of 255 in the mean."""
    scene = radiance(9.0, 1).repeat(1, 1, 2, 2)[..., :96, :128].contiguous()
    # OpenCV's pyramids, too, end at two pixels for this height.
    bracket = tonemap._bracket(scene, 6, 7.0, 0.04)[0].permute(0, 2, 3, 1).numpy()
    shots = [np.ascontiguousarray(255 * shot) for shot in bracket]
    wanted = np.clip(cv2.createMergeMertens(1, 1, 1).process(shots), 0, 1)
    mine = fusion(scene, contrast=0.0)[0].permute(1, 2, 0).numpy()
    assert 255 * np.abs(mine - wanted).mean() < 1
    assert wanted.std() > 0.05


def test_both_ends_of_a_high_range_are_kept() -> None:
    """Of a room and its window, nine stops apart, next to nothing is clipped or black."""
    scene = radiance(2.0)
    scene[..., 40:] *= 2.0**9
    exposed = scene * virtual_camera.metered_exposure(scene, 0.24).view(-1, 1, 1, 1)
    plain = virtual_camera.display_codes(exposed.clamp(max=1))

    def lost(codes: Tensor) -> float:
        light = virtual_camera.luminance(codes)
        return float(((light > 0.99) | (light < 0.02)).float().mean())

    assert lost(plain) > 0.4
    assert lost(fusion(scene)) < 0.02


@cache
def all_scenes() -> tuple[HdrImage, ...]:
    """The panorama, the photograph, and a photograph that is its own rendition."""
    codes = torch.rand(1, 3, 80, 60, generator=torch.Generator().manual_seed(2))
    light = torch.nn.functional.avg_pool2d(codes, 7, 1, 3)[0] ** 2.2
    rendition = torch.cat([light / light.max(), torch.zeros(1, 80, 60)])
    return (*scenes(), HdrImage("rendition", rendition, False, rendition=True))


MIX = Mix(photographs=0.7, renditions=0.7, pages=0.3, kept=0.3, turned=0.2, contrast=0.1, lit=0.4)


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 999))
def test_a_batch_is_its_views(seed: int) -> None:
    """Projection, looks, pages, fusion and shots of a batch have the bits that each has alone."""
    photographer = Photographer(all_scenes(), seed, MIX)
    # Without noise, which is drawn for the batch as a whole.
    plans = [
        replace(p, shots=tuple(replace(s, shot_noise=0.0, read_noise=0.0) for s in p.shots))
        for p in (photographer.view(2) for _ in range(5))
    ]
    noise = torch.Generator().manual_seed(0)
    together = render_triplets(all_scenes(), plans, 64, 96, noise)
    for i, plan in enumerate(plans):
        alone = render_triplets(all_scenes(), [plan], 64, 96, noise)
        for name, values in vars(alone).items():
            assert torch.equal(getattr(together, name)[2 * i : 2 * i + 2], values), name


def test_a_mix_leaves_plain_views_alone() -> None:
    """Without a mix the views are those that evaluations have always drawn."""
    plans = [Photographer(scenes(), 7).view(1) for _ in range(2)]
    assert plans[0] == plans[1]
    assert plans[0].scene == 1
    assert plans[0].shots[0].stops == -3.727263807358883
    assert not plans[0].light
    assert plans[0].contrast == 1


def test_the_mix_is_drawn_in_its_shares() -> None:
    """Photographs, pages, kept shots, turned and lit views come as often as the mix says."""
    photographer = Photographer(all_scenes(), 3, MIX)
    plans = [photographer.view(1) for _ in range(1500)]
    drawn = np.array([plan.scene for plan in plans])

    def share(flags: Iterable[bool]) -> float:
        return float(np.mean(list(flags)))

    assert abs(share(drawn > 0) - 0.7) < 0.05
    of_renditions = [plan for plan in plans if plan.scene == 2]
    assert abs(len(of_renditions) / share(drawn > 0) / len(plans) - 0.7) < 0.05
    assert abs(share(plan.page >= 0 for plan in of_renditions) - 0.3) < 0.05
    photographs = [plan.shots[0] for plan in of_renditions if plan.page < 0]
    assert abs(share(shot.as_it_is for shot in photographs) - 0.3) < 0.06
    assert all(shot.own_target for shot in photographs if shot.as_it_is)
    assert abs(share(abs(plan.aim.roll) > 1 for plan in plans) - 0.2) < 0.04
    assert abs(share(bool(plan.light) for plan in plans) - 0.4) < 0.05
    assert 0.05 < np.std([plan.contrast for plan in plans]) < 0.12
    assert not any(plan.page >= 0 for plan in plans if plan.scene != 2)


def test_a_page_is_its_own_truth() -> None:
    """A page exposed as it is has itself for the true LDR; one too dark or too bright, the same."""
    page = replace(plan(PLAIN, 2), page=4)
    shots = tuple(replace(PLAIN, as_it_is=True, stops=stops) for stops in (0.0, -2.0, 1.0))
    batch = render_triplets(
        all_scenes(), [replace(page, shots=shots)], 64, 96, torch.Generator().manual_seed(0)
    )
    assert torch.equal(batch.true_ldr[0], batch.ldr[0])
    assert torch.equal(batch.true_ldr[1], batch.true_ldr[0])
    assert batch.ldr[1].mean() < batch.ldr[0].mean() < batch.ldr[2].mean()
    assert not batch.source_clipped.any()


def test_a_kept_photograph_is_its_own_truth() -> None:
    """A photograph exposed as it is stays as bright as it was taken, whatever a meter says."""
    kept = replace(PLAIN, as_it_is=True, own_target=True, srgb=True)
    batch = render_triplets(all_scenes(), [plan(kept, 2)], 64, 96, torch.Generator().manual_seed(0))
    assert torch.equal(batch.true_ldr, batch.ldr)
    scene = all_scenes()[2].radiance[:3]
    assert abs(float(batch.true_hdr.mean()) / float(scene.mean()) - 1) < 0.2


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**31 - 1), st.sampled_from([(64, 64), (96, 64), (192, 320)]))
def test_pages(seed: int, size: tuple[int, int]) -> None:
    """A page is light in 0..1 with a mask in 0..1, the same for a seed."""
    ground, mask = draw_page(seed, *size)
    assert ground.shape == (3, *size)
    assert mask.shape == (1, *size)
    for planes in (ground, mask):
        assert planes.min() >= 0
        assert planes.max() <= 1
    again, _ = draw_page(seed, *size)
    assert torch.equal(ground, again)


def test_most_pages_are_white() -> None:
    """Two of three grounds are near white, and some are grey or dark."""
    levels = [float(draw_page(seed, 64, 64)[0].median()) for seed in range(200)]
    assert 0.55 < np.mean(np.array(levels) > 0.6) < 0.9
    assert np.mean(np.array(levels) < 0.1) > 0.02


def test_a_views_own_light_and_contrast() -> None:
    """Light of one EV everywhere doubles the scene; an exponent widens its range of light."""
    lit = rendered(replace(plan(replace(PLAIN, as_it_is=True)), light=(1.0,) * 16))
    plain = rendered(plan(replace(PLAIN, as_it_is=True)))
    assert torch.allclose(lit.true_hdr, 2 * plain.true_hdr, rtol=1e-4)
    hard = rendered(replace(plan(replace(PLAIN, as_it_is=True)), contrast=1.2))

    def stops(batch: Triplets) -> float:
        return float(virtual_camera.luminance(batch.true_hdr).clamp_min(1e-6).log2().std())

    assert abs(stops(hard) / stops(plain) - 1.2) < 0.05
