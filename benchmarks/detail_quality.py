"""Compare the quality of network detail and guided detail on shots of HDR images.

    python -m benchmarks.detail_quality ../shared/data/hdr_val

Uses the views of `drht evaluate --hdr` (seed 7). Prints PSNR and SSIM against the true LDR and, for
shots under-exposed by 3 EV, the noise of flat patches and the share of the true gradient at edges.

With `--bounds`, prints how much could be gained: the SSIM of guided detail for the same shots
without noise and coding losses, and of that with the true local contrast.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from drht_plugin import Corrector
from drht_plugin.engine.render.guided import guided_tone
from drht_plugin.evaluation.datasets import unit
from drht_plugin.evaluation.metrics import psnr, ssim
from drht_plugin.evaluation.views import CLASSES, Views
from drht_plugin.geometry import Window
from drht_plugin.training.detail_samples import repeated_box_mean
from drht_plugin.training.scenes import load_scenes
from drht_plugin.training.triplets import Photographer, cameras, render_triplets

Picture = npt.NDArray[np.float32]

DETAILS = ("guided", "network")
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
_PATCH = 8
_FLAT = 0.6 / 255
"""Largest standard deviation about a plane of a patch of the true LDR that counts as flat."""


def noise(picture: Picture, truth: Picture) -> float:
    """Return the mean standard deviation about a plane on flat patches of the truth, in codes."""
    flat = _roughness(truth) < _FLAT
    return float(255 * _roughness(picture)[flat].mean()) if flat.any() else float("nan")


def _roughness(picture: Picture) -> npt.NDArray[Any]:
    """Return the standard deviation of each patch of luma about its best-fitting plane."""
    luma = (picture @ _LUMA).astype(np.float64)
    rows, columns = (side // _PATCH for side in luma.shape)
    patches = luma[: rows * _PATCH, : columns * _PATCH].reshape(rows, _PATCH, columns, _PATCH)
    patches = patches.swapaxes(1, 2).reshape(-1, _PATCH * _PATCH)
    y, x = np.indices((_PATCH, _PATCH)).reshape(2, -1)
    plane = np.stack([np.ones(_PATCH * _PATCH), y, x], 1)
    residual = patches - patches @ np.linalg.pinv(plane).T @ plane.T
    return residual.std(1)


def edges(picture: Picture, truth: Picture) -> float:
    """Return the share of the true gradient that is kept where it is largest (5 % of pixels)."""

    def gradient(p: Picture) -> npt.NDArray[Any]:
        luma = (p @ _LUMA).astype(np.float64)
        return np.stack([luma[1:, :-1] - luma[:-1, :-1], luma[:-1, 1:] - luma[:-1, :-1]])

    wanted, given = gradient(truth), gradient(picture)
    size = np.hypot(*wanted)
    strong = size >= np.quantile(size, 0.95)
    along = (given * wanted).sum(0)[strong] / size[strong]
    return float(along.sum() / size[strong].sum())


def lifted(picture: Picture, like: Picture) -> Picture:
    """Apply the gamma that gives a picture the mean luma of another."""
    wanted, low, high = float((like @ _LUMA).mean()), 0.1, 4.0
    for _ in range(30):
        gamma = (low + high) / 2
        if float((picture**gamma @ _LUMA).mean()) > wanted:
            low = gamma
        else:
            high = gamma
    result: Picture = picture**gamma
    return result


def fidelity(corrector: Corrector, folder: Path, count: int) -> None:
    """Print PSNR and SSIM for each exposure class."""
    groups: dict[str, list[list[float]]] = {}
    for lazy in Views(folder, 7, count).items():
        item = lazy.load()
        scene = corrector.survey(item.ldr)
        row = []
        for detail in DETAILS:
            picture = unit(corrector.render(scene, item.ldr, detail=detail))
            row += [psnr(picture, item.reference), ssim(picture, item.reference)]
        for group in ("all", item.groups["class"]):
            groups.setdefault(group, []).append(row)
    print("class     views   PSNR guided  network   SSIM guided  network")
    for group, rows in groups.items():
        p0, s0, p1, s1 = np.mean(rows, 0)
        print(f"{group:8} {len(rows):6} {p0:13.2f} {p1:8.2f} {s0:13.4f} {s1:8.4f}")


def lifted_shadows(corrector: Corrector, folder: Path, count: int) -> None:
    """Print noise and edges for shots under-exposed by 3 EV."""
    scenes = load_scenes(folder)
    photographer = Photographer(scenes, 7)
    rows = []
    for i in range(count):
        shot = photographer.shot(-3.0)
        shot = replace(shot, shot_noise=1e-4, read_noise=1e-3, quantised=True, jpeg=0)
        plan = replace(photographer.view(0, i % len(scenes)), shots=(shot,))
        generator = torch.Generator().manual_seed(i)
        triplet = render_triplets(scenes, [plan], 320, 320, generator)
        ldr, truth = (
            np.ascontiguousarray(t[0].permute(1, 2, 0).numpy())
            for t in (triplet.ldr, triplet.true_ldr)
        )
        codes = np.rint(ldr * 255).astype(np.uint8)
        scene = corrector.survey(codes)
        made = [unit(corrector.render(scene, codes, detail=detail)) for detail in DETAILS]
        plain = lifted(unit(codes), made[0])
        rows.append(
            [noise(p, truth) for p in (*made, plain)] + [edges(p, truth) for p in made],
        )
    guided, network, plain_noise, guided_edges, network_edges = np.nanmean(rows, 0)
    print(
        f"-3 EV, {count} views: noise on flat patches {plain_noise:.2f} codes lifted by gamma, "
        f"{guided:.2f} guided ({100 * guided / plain_noise:.0f} %), "
        f"{network:.2f} network ({100 * network / guided:.0f} % of guided, "
        f"{100 * network / plain_noise:.0f} % of gamma)"
    )
    print(
        f"  true gradient left at edges: {100 * guided_edges:.0f} % guided, "
        f"{100 * network_edges:.0f} % network"
    )


def in_contrast(picture: Picture, truth: Picture) -> Picture:
    """Scale a picture's detail by the local gain, 0 to 4, that fits the truth's detail best.

    Detail is what is finer than a Gaussian of σ ≈ 4; the gain is fitted within 31×31 pixels.
    """
    given, wanted = (torch.from_numpy(p).permute(2, 0, 1)[None] for p in (picture, truth))
    coarse = repeated_box_mean(given, 9, times=3)
    fine, true_fine = given - coarse, wanted - repeated_box_mean(wanted, 9, times=3)
    alike, power = (fine * true_fine).sum(1, keepdim=True), (fine * fine).sum(1, keepdim=True)
    gain = repeated_box_mean(alike, 31) / (repeated_box_mean(power, 31) + 1e-9)
    result: Picture = (coarse + gain.clamp(0, 4) * fine)[0].permute(1, 2, 0).numpy()
    return result


def bounds(corrector: Corrector, folder: Path, count: int) -> None:
    """Print the SSIM of guided and network detail, and of the best possible detail."""
    scenes = load_scenes(folder)
    photographer, random = Photographer(scenes, 7), np.random.default_rng(7)
    groups: dict[str, list[list[float]]] = {}
    for i in range(count):
        kind = list(CLASSES)[i % len(CLASSES)]
        shot = photographer.shot(float(random.uniform(*CLASSES[kind])))
        plan = replace(photographer.view(0, i % len(scenes)), shots=(shot,))
        triplet = render_triplets(scenes, [plan], 320, 320, torch.Generator().manual_seed(i))
        curve, _ = cameras(plan.shots, triplet.ldr.device)
        ldr, truth, lossless = (
            np.ascontiguousarray(t[0].permute(1, 2, 0).numpy())
            for t in (triplet.ldr, triplet.true_ldr, curve.encode(triplet.true_hdr))
        )
        codes = np.rint(ldr * 255).astype(np.uint8)
        scene = corrector.survey(codes)
        made = [unit(corrector.render(scene, codes, detail=detail)) for detail in DETAILS]
        clean = guided_tone(scene, lossless.clip(0, 1), Window())
        row = [ssim(p, truth) for p in (*made, clean, in_contrast(clean, truth).clip(0, 1))]
        for group in ("all", kind):
            groups.setdefault(group, []).append(row)
    print("SSIM      views   guided  network  clean shot  and contrast")
    for group, rows in groups.items():
        guided, network, noiseless, best = np.mean(rows, 0)
        print(
            f"{group:8} {len(rows):6} {guided:8.4f} {network:8.4f} {noiseless:11.4f} {best:13.4f}"
        )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("hdr", type=Path, help="folder of HDR images")
    parser.add_argument("--count", type=int, default=200, help="views (default: 200)")
    parser.add_argument("--model", default="default")
    parser.add_argument(
        "--bounds", action="store_true", help="print instead how much could be gained"
    )
    options = parser.parse_args()
    corrector = Corrector(model=options.model)
    if options.bounds:
        bounds(corrector, options.hdr, options.count)
        return
    fidelity(corrector, options.hdr, options.count)
    lifted_shadows(corrector, options.hdr, max(1, options.count // 5))


if __name__ == "__main__":
    main()
