"""Pictures of a run's progress: a sheet of results and a plot of the validation."""

from __future__ import annotations

import csv
from pathlib import Path

import torch
from torch import Tensor

from drht_plugin.model.networks import Estimate
from drht_plugin.training.losses import TERMS
from drht_plugin.training.triplets import Triplets


def write_sheet(path: Path, batch: Triplets, estimate: Estimate) -> None:
    """Write a PNG with a row per picture, for the first 12; do nothing without OpenCV.

    The columns are input, T, true LDR, and the estimated and the true HDR at −3 EV.

    Args:
        path: file to write.
        batch: the pictures.
        estimate: output of the networks for them.
    """
    try:
        import cv2
    except ImportError:
        return

    def darker(radiance: Tensor) -> Tensor:
        return (radiance / 8).clamp(0, 1) ** (1 / 2.2)

    columns = [
        batch.ldr,
        estimate.corrected.clamp(0, 1),
        batch.true_ldr,
        darker(estimate.y.clamp_min(0) ** 2.2),
        darker(batch.true_hdr),
    ]
    rows = torch.cat([c[:12].float() for c in columns], 3).cpu().permute(0, 2, 3, 1)
    picture = (rows.flatten(0, 1).flip(-1) * 255).round().to(torch.uint8).numpy()
    cv2.imwrite(str(path), cv2.resize(picture, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA))


def write_plot(folder: Path) -> None:
    """Plot validation.csv over training time as log.png; do nothing without Matplotlib.

    Args:
        folder: folder of the run.
    """
    try:
        import matplotlib as mpl
    except ImportError:
        return
    mpl.use("Agg")
    from matplotlib import pyplot as plt

    with (folder / "validation.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    minutes = [float(r["minutes"]) for r in rows]
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4))
    for name in ("psnr", "under", "normal", "over"):
        left.plot(minutes, [float(r[name]) for r in rows], label=name)
    for name in sorted(rows[-1].keys() & TERMS.keys()):
        right.plot(minutes, [float(r[name]) for r in rows], label=name)
    left.set(xlabel="minutes", ylabel="PSNR of T (dB)")
    right.set(xlabel="minutes", ylabel="loss", yscale="symlog")
    left.legend()
    right.legend()
    figure.savefig(folder / "log.png", dpi=80)
    plt.close(figure)
