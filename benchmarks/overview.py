"""Measure how reading only every k-th row changes the overview and the corrected picture."""

from __future__ import annotations

from pathlib import Path
from unittest import mock

import numpy as np

from benchmarks.suite import Benchmark, CannotRun, Figure, Setting

_PHOTOS = Path(__file__).parents[2] / "shared/data/photos_dev"
_LARGE = 24e6


def run(_: Setting) -> list[Figure]:
    """Measure the mean difference, in 8-bit codes, over photographs enlarged to 24 MP."""
    try:
        import cv2
    except ImportError as error:
        raise CannotRun("OpenCV is not installed") from error
    from drht_plugin import Corrector
    from drht_plugin.engine.survey.make import overview

    photos = sorted(_PHOTOS.glob("sice_*.jpg")) + sorted(_PHOTOS.glob("msec_*van_lint*.jpg"))
    if not photos:
        raise CannotRun(f"no photographs in {_PHOTOS}")
    corrector = Corrector()
    overview_errors, picture_errors = [], []
    for path in photos:
        photo = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
        scale = (_LARGE / (photo.shape[0] * photo.shape[1])) ** 0.5
        large = cv2.resize(photo, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
        noise = np.random.default_rng(0).normal(0, 3, large.shape).astype(np.float32)
        noisy = (large + noise).clip(0, 255).astype(np.uint8)
        sampled = corrector.survey(noisy)
        with mock.patch.object(overview, "row_step", return_value=1):
            every = corrector.survey(noisy)
        one, other = (corrector.render(s, noisy, detail="guided") for s in (sampled, every))
        overview_errors.append(255 * float(np.abs(sampled.ldr - every.ldr).mean()))
        picture_errors.append(float(np.abs(one.astype(np.int16) - other).mean()))
    return [
        Figure(f"overview, mean of {len(photos)} photographs", np.mean(overview_errors), "codes"),
        Figure("overview, worst photograph's mean", max(overview_errors), "codes"),
        Figure(f"picture, mean of {len(photos)} photographs", np.mean(picture_errors), "codes"),
        Figure("picture, worst photograph's mean", max(picture_errors), "codes"),
    ]


BENCHMARKS = (Benchmark("overview", "effect of skipping rows at 24 megapixels", run, full=True),)
