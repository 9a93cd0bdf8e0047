"""The virtual camera: geometry, exposure, curve, noise, JPEG."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from drht_plugin import virtual_camera
from drht_plugin.bridge import transfer
from drht_plugin.virtual_camera import Aim, Curve, HdrImage, Sensor


def panorama(height: int = 64, width: int = 128) -> HdrImage:
    """Smooth and periodic: red is the cosine of longitude, green its sine, blue the height."""
    longitude = ((torch.arange(width) + 0.5) / width - 0.5) * 2 * math.pi
    latitude = (0.5 - (torch.arange(height) + 0.5) / height) * math.pi
    ones = torch.ones(height, width)
    planes = [
        2 + torch.cos(longitude) * ones,
        2 + torch.sin(longitude) * ones,
        2 + latitude[:, None] * ones,
        torch.zeros(height, width),
    ]
    return HdrImage("directions", torch.stack(planes), True)


def curve(count: int = 1, exponent: float = 0.8, middle: float = 0.15, srgb: bool = False) -> Curve:
    """The same curve for a batch."""
    return Curve(
        torch.full((count,), exponent), torch.full((count,), middle), torch.full((count,), srgb)
    )


def sensor(shot: float = 0, read: float = 0, quantised: bool = False, jpeg: float = 0) -> Sensor:
    """A sensor for one picture."""
    return Sensor(*(torch.tensor([v]) for v in (shot, read, quantised, jpeg)))


@given(st.floats(-math.pi, math.pi), st.floats(-1.2, 1.2))
def test_a_view_looks_where_it_is_aimed(yaw: float, pitch: float) -> None:
    """The middle of a view shows the panorama's direction of its yaw and pitch."""
    seen = virtual_camera.view(panorama(), Aim(yaw=yaw, pitch=pitch, field_of_view=0.2), 8, 8)
    middle = seen[:3, 3:5, 3:5].mean((1, 2))
    expected = torch.tensor([2 + math.cos(yaw), 2 + math.sin(yaw), 2 + pitch])
    assert (middle - expected).abs().max() < 0.03


@pytest.mark.parametrize("column", [0, 5, 64, 127])
def test_a_marked_column(column: int) -> None:
    """A single bright column of the panorama is in the middle of the view aimed at it."""
    scene = panorama()
    scene.radiance[:3] = 0
    scene.radiance[:3, :, column] = 1
    yaw = ((column + 0.5) / 128 - 0.5) * 2 * math.pi
    seen = virtual_camera.view(scene, Aim(yaw=yaw, field_of_view=1.2), 33, 65)[0]
    assert int(seen[16].argmax()) == 32
    aside = virtual_camera.view(scene, Aim(yaw=yaw - 0.3, field_of_view=1.2), 33, 65)[0]
    assert int(aside[16].argmax()) == round(32 + 32.5 * math.tan(0.3) / math.tan(0.6))


def test_right_is_right_and_up_is_up() -> None:
    """Longitude grows to the right, latitude to the top; a mirrored view is its flip."""
    aim = Aim(field_of_view=1.0)
    seen = virtual_camera.view(panorama(), aim, 16, 24)
    assert (seen[1].diff(dim=1) > 0).all()
    assert (seen[2].diff(dim=0) < 0).all()
    mirrored = virtual_camera.view(panorama(), Aim(field_of_view=1.0, mirrored=True), 16, 24)
    assert torch.allclose(mirrored, seen.flip(2), atol=1e-5)
    rolled = virtual_camera.view(panorama(), Aim(field_of_view=1.0, roll=math.pi / 2), 24, 24)
    upright = virtual_camera.view(panorama(), aim, 24, 24)
    turned = [torch.rot90(upright, k, (1, 2)) for k in (1, -1)]
    assert min(float((rolled - t).abs().max()) for t in turned) < 1e-3


def test_field_of_view_spans_the_longer_side() -> None:
    """At the ends of the longer side, the direction is half the field of view off the middle."""
    seen = virtual_camera.view(panorama(256, 512), Aim(field_of_view=1.0), 32, 64)
    end = math.atan(math.tan(0.5) * (63 / 64))
    assert abs(float(seen[1, 15:17, -1].mean()) - 2 - math.sin(end)) < 0.01


def test_no_seam() -> None:
    """A view across the panorama's edge is the view of the turned panorama's middle."""
    scene = panorama()
    turned = HdrImage("turned", scene.radiance.roll(64, -1), True)
    over_seam = virtual_camera.view(scene, Aim(yaw=math.pi), 40, 56)
    middle = virtual_camera.view(turned, Aim(), 40, 56)
    assert (over_seam - middle).abs().max() < 1e-4
    steps = over_seam[:3].diff(dim=2).abs().amax((0, 1))
    assert steps[25:30].max() < 1.5 * steps[[15, 16, 38, 39]].max()


@given(st.floats(-0.3, 0.3), st.floats(0, 1), st.floats(0, 1), st.floats(0.2, 1), st.booleans())
def test_crops_stay_inside(roll: float, x: float, y: float, zoom: float, mirrored: bool) -> None:
    """A view of a photograph shows no place outside it, at any roll, centre and zoom."""
    rows, columns = torch.meshgrid(torch.arange(50.0), torch.arange(70.0), indexing="ij")
    photograph = HdrImage("photo", torch.stack([columns, rows, rows, rows]), False)
    seen = virtual_camera.view(
        photograph, Aim(roll=roll, x=x, y=y, zoom=zoom, mirrored=mirrored), 24, 32
    )
    # Borders are held: samples outside would stand still along rows and columns.
    assert (seen[0].diff(dim=1).abs() > 0.05).float().mean() > 0.95
    assert (seen[1].diff(dim=0).abs() > 0.05).float().mean() > 0.95


def test_whole_photograph() -> None:
    """The plain view of a photograph in its own shape is the photograph itself."""
    random = torch.rand(4, 48, 64, generator=torch.Generator().manual_seed(0))
    smooth = torch.nn.functional.avg_pool2d(random[None], 9, 1, 4)[0]
    seen = virtual_camera.view(HdrImage("photo", smooth, False), Aim(), 48, 64)
    assert (seen - smooth)[:, 1:-1, 1:-1].abs().max() < 0.025


@given(st.integers(0, 99), st.floats(0.05, 0.5), st.floats(-20, 12))
def test_metering(seed: int, mean: float, stops: float) -> None:
    """The metered mean of min(luminance, 1) is the wanted one within 2 %, in any unit."""
    random = torch.Generator().manual_seed(seed)
    light = torch.exp2(2.5 * torch.randn(2, 1, 64, 64, generator=random)).expand(2, 3, 64, 64)
    radiance = light * 2.0**stops
    factor = virtual_camera.metered_exposure(radiance, mean).view(-1, 1, 1, 1)
    metered = virtual_camera.luminance(radiance * factor).clamp(max=1).mean((1, 2, 3))
    assert ((metered / mean - 1).abs() < 0.02).all()


@given(st.floats(0.6, 1), st.floats(0.08, 0.24), st.booleans())
def test_curve(exponent: float, middle: float, srgb: bool) -> None:
    """A curve rises from 0 to 1, codes its middle as 0.5, and clips beyond; sRGB's is sRGB."""
    own = curve(1, exponent, middle, srgb)
    ramp = torch.linspace(0, 1.5, 1501).view(1, 1, 1, -1)
    coded = own.encode(ramp).flatten()
    assert coded[0] == 0
    assert abs(float(coded[1000]) - 1) < 1e-5
    assert (coded.diff()[:1000] > 0).all()
    assert torch.allclose(coded[1000:], coded[1000])
    if srgb:
        expected = transfer.srgb_encode(ramp.flatten()[:1001].double().numpy())
        assert np.abs(coded[:1001].numpy() - expected).max() < 1e-6
    else:
        half = own.encode(torch.full((1, 1, 1, 1), middle))
        assert abs(float(half) - 0.5) < 1e-5


def smooth_picture(size: int = 64) -> Tensor:
    """A colourful picture with soft edges, 1×3×H×W codes."""
    noise = torch.rand(1, 3, size, size, generator=torch.Generator().manual_seed(2))
    soft = torch.nn.functional.avg_pool2d(noise, 11, 1, 5)
    return ((soft - soft.min()) / (soft.max() - soft.min())).clamp(0.02, 0.98)


def test_jpeg_quality() -> None:
    """Quality 100 loses about a code, lower ones more and more, and 0 nothing at all."""
    picture = smooth_picture()

    def error(quality: float) -> float:
        loss = virtual_camera.jpeg(picture, torch.tensor([quality])) - picture
        return float(loss.square().mean().sqrt())

    assert error(0) == 0
    assert error(100) < 1 / 255
    assert error(100) < error(90) < error(60) < error(20) < error(5)
    assert error(5) > 5 / 255


def test_jpeg_batch() -> None:
    """Each picture of a batch has its own quality; constant blocks keep their value."""
    picture = smooth_picture()
    quality = torch.tensor([0.0, 40.0, 90.0])
    together = virtual_camera.jpeg(picture.expand(3, 3, 64, 64), quality)
    for i in range(3):
        assert torch.allclose(together[i : i + 1], virtual_camera.jpeg(picture, quality[i : i + 1]))
    flat = torch.full((1, 3, 16, 24), 0.4)
    assert (virtual_camera.jpeg(flat, torch.tensor([75.0])) - flat).abs().max() < 0.02


def test_jpeg_is_that_of_a_codec() -> None:
    """The loss is that of libjpeg at the same quality, without chroma subsampling, within 5 %."""
    cv2 = pytest.importorskip("cv2")
    picture = (smooth_picture() * 255).round() / 255
    codes = (picture[0].flip(0).permute(1, 2, 0) * 255).round().to(torch.uint8).numpy()
    for quality in (30, 60, 90):
        flags = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, 0x111111]
        decoded = cv2.imdecode(cv2.imencode(".jpg", codes, flags)[1], -1)
        theirs = float(np.sqrt(((decoded.astype(float) - codes) ** 2).mean()))
        ours = virtual_camera.jpeg(picture, torch.tensor([float(quality)]))
        own = float((ours - picture).square().mean().sqrt()) * 255
        assert abs(own / theirs - 1) < 0.05, quality


def test_shots_follow_their_generator() -> None:
    """The same generator gives the same noise, another one other noise; no noise, no generator."""
    radiance = smooth_picture()

    def shot(seed: int, noise: float) -> Tensor:
        generator = torch.Generator().manual_seed(seed)
        return virtual_camera.shoot(radiance, curve(), sensor(noise, noise), generator)

    assert torch.equal(shot(1, 0.01), shot(1, 0.01))
    assert not torch.equal(shot(1, 0.01), shot(2, 0.01))
    assert torch.equal(shot(1, 0.0), shot(2, 0.0))
    assert torch.allclose(shot(1, 0.0), curve().encode(radiance))


def test_noise_grows_with_light() -> None:
    """The variance of the noise in H is shot·H + read²."""
    own = curve(1, srgb=True)
    for light in (0.1, 0.3, 0.6):
        radiance = torch.full((1, 3, 128, 128), light)
        made = virtual_camera.shoot(
            radiance, own, sensor(1e-4, 3e-3), torch.Generator().manual_seed(0)
        )
        decoded = transfer.srgb_decode(made.double().numpy())
        expected = 1e-4 * light + 9e-6
        assert abs(decoded.var() / expected - 1) < 0.05
        assert abs(decoded.mean() / light - 1) < 0.01


def test_shots_are_codes() -> None:
    """A shot is within 0..1, clipped at H = 1, and in 8-bit steps where it is quantised."""
    radiance = smooth_picture() * 4
    made = virtual_camera.shoot(
        radiance, curve(), sensor(1e-3, 1e-2, True, 80), torch.Generator().manual_seed(0)
    )
    assert made.min() >= 0
    assert made.max() == 1
    assert torch.equal(made, torch.round(made * 255) / 255)
    bright = torch.full((1, 3, 8, 8), 1.5)
    clipped = virtual_camera.shoot(bright, curve(), sensor(), torch.Generator().manual_seed(0))
    assert (clipped > 1 - 1e-6).all()


def test_luminance() -> None:
    """Luminance is BT.709's, one for white."""
    assert abs(sum(transfer.LUMA_WEIGHTS) - 1) < 1e-9
    red = virtual_camera.luminance(torch.tensor([1.0, 0, 0]).view(1, 3, 1, 1))
    assert abs(float(red) - 0.2126) < 1e-6


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 2**31), st.sampled_from([(32, 48), (40, 24), (64, 64)]))
def test_a_batch_of_views_is_its_views(seed: int, size: tuple[int, int]) -> None:
    """Views of scenes of several kinds and sizes have the bits that each has alone."""
    random = np.random.default_rng(seed)
    scenes = [
        panorama(),
        panorama(48, 96),
        HdrImage("photograph", torch.rand(4, 60, 90), False),
        HdrImage("upright", torch.rand(4, 90, 50), False, rendition=True),
    ]
    which = [int(i) for i in random.integers(0, len(scenes), 7)]
    aims = [
        Aim(
            yaw=random.uniform(-4, 4),
            pitch=random.uniform(-1, 1),
            roll=random.normal(0, 0.5),
            field_of_view=random.uniform(0.5, 2),
            x=random.random(),
            y=random.random(),
            zoom=random.uniform(0.4, 1),
            mirrored=bool(random.random() < 0.5),
        )
        for _ in which
    ]
    together = virtual_camera.views([scenes[i] for i in which], aims, *size)
    for index, aim, seen in zip(which, aims, together, strict=True):
        assert torch.equal(seen, virtual_camera.view(scenes[index], aim, *size))


def test_noise_of_a_mosaic_is_smooth_and_unbiased() -> None:
    """Interpolated noise has the mean of single pixels' and is alike from pixel to pixel."""
    gray = torch.full((2, 3, 128, 128), 0.2)
    srgb = curve(2, srgb=True)
    flags = torch.tensor([False, True])

    def noisy(**shape: Tensor) -> Tensor:
        sensor = Sensor(
            torch.tensor([1e-3, 1e-3]),
            torch.tensor([1e-3, 1e-3]),
            torch.tensor([False, False]),
            torch.zeros(2),
            **shape,
        )
        return virtual_camera.shoot(gray, srgb, sensor, torch.Generator().manual_seed(0))

    plain, mosaic, denoised = noisy(), noisy(mosaic=flags), noisy(denoised=flags)
    for shaped in (mosaic, denoised):
        assert torch.equal(shaped[0], plain[0])
        assert (shaped[1].mean() - plain[1].mean()).abs() < 2e-3
        assert 0.2 < shaped[1].std() / plain[1].std() < 0.95

    def alike(noise: Tensor) -> float:
        n = noise - noise.mean((-1, -2), keepdim=True)
        return float((n[..., 1:] * n[..., :-1]).mean() / (n * n).mean())

    assert abs(alike(plain[1])) < 0.02
    assert alike(mosaic[1]) > 0.3
    light = virtual_camera.luminance(denoised)
    assert alike((denoised - light)[1]) > 0.7 > 0.6 > alike(light[1]) > 0.1
