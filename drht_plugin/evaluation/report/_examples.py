"""The pictures in a report: the best, the median and the worst of one method."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from drht_plugin.evaluation import metrics
from drht_plugin.evaluation.datasets import FloatArray, Item, LazyItem, unit
from drht_plugin.evaluation.lineup import Method
from drht_plugin.evaluation.optional import import_optional
from drht_plugin.evaluation.scores import Row

METRIC = "psnr"
_JPEG_QUALITY = 93


@dataclass(frozen=True)
class Example:
    """A picture in the report.

    Attributes:
        rank: "best", "median" or "worst".
        name: name of the item.
        width: width in pixels.
        height: height in pixels.
        before: input, as a `data:` URI.
        after: result, as a `data:` URI.
        reference: true LDR, as a `data:` URI.
        psnr_before: PSNR of the input in dB.
        psnr_after: PSNR of the result in dB.
    """

    rank: str
    name: str
    width: int
    height: int
    before: str
    after: str
    reference: str
    psnr_before: float
    psnr_after: float


def examples(
    rows: Sequence[Row], items: Sequence[LazyItem], name: str, method: Method
) -> list[Example]:
    """Compute the best, median and worst picture of a method again.

    Args:
        rows: measured values.
        items: the data set.
        name: name of the method.
        method: the method.

    Returns:
        The pictures by rank; none if PSNR was not measured.

    Raises:
        ReadError: an item can no longer be loaded.
    """
    lazies = {lazy.name: lazy for lazy in items}
    return [
        _example(rank, lazies[item].load(), method) for rank, item in ranked(rows, name).items()
    ]


def ranked(rows: Sequence[Row], method: str) -> Mapping[str, str]:
    """Choose the best, median and worst item by a method's PSNR.

    Args:
        rows: measured values.
        method: name of the method.

    Returns:
        Rank → name of the item, each item once; of two medians, the better one.
    """
    scored = [(v, r.item) for r in rows if r.method == method and (v := r.values.get(METRIC))]
    order = [item for _, item in sorted(scored, key=lambda pair: (-pair[0], pair[1]))]
    if not order:
        return {}
    ranks = {"best": order[0], "median": order[(len(order) - 1) // 2], "worst": order[-1]}
    shown: dict[str, str] = {}
    for rank, item in ranks.items():
        if item not in shown.values():
            shown[rank] = item
    return shown


def _example(rank: str, item: Item, method: Method) -> Example:
    corrected = method(item)
    height, width = corrected.shape[:2]
    return Example(
        rank=rank,
        name=item.name,
        width=width,
        height=height,
        before=_data_uri(item.picture),
        after=_data_uri(corrected),
        reference=_data_uri(unit(item.reference)),
        psnr_before=metrics.psnr(item.picture, item.reference),
        psnr_after=metrics.psnr(corrected, item.reference),
    )


def _data_uri(picture: FloatArray) -> str:
    cv2 = import_optional("cv2")
    codes = np.rint(picture[..., ::-1] * 255).astype(np.uint8)
    flags = [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY]
    _, stream = cv2.imencode(".jpg", np.ascontiguousarray(codes), flags)
    return "data:image/jpeg;base64," + base64.b64encode(stream.tobytes()).decode("ascii")
