"""What a survey counts and sums over pixels, in plain tensor operations on any device.

The functions are those of `statistics`, with the device as a further argument; sums of light are
the same to the bit, since they are of whole numbers.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from drht_plugin.bridge.transfer import LUMA_WEIGHTS

Array = npt.NDArray[Any]


def mark_rows_with_bits(
    words: Array, pitch: int, length: int, mask: Any, found: Array, *, device: torch.device
) -> None:
    """Mark rows of floats, given by their bits, that hold NaN or infinity; see `statistics`."""
    rows = _picture(words, pitch, length, 1, device)[..., 0]
    bits = int(mask)
    found[:] = ((rows & bits) == bits).any(1).cpu().numpy()


def light_codes(
    pixels: Array, pitch: int, channels: int, alpha: int, codes: Array, *, device: torch.device
) -> None:
    """Convert float rows to codes 0..65535 of a table of light; see `statistics`."""
    rows, length = codes.shape
    size = pixels.itemsize
    picture = np.lib.stride_tricks.as_strided(
        pixels, (rows, length), (pitch * size, size), writeable=False
    )
    values = torch.from_numpy(np.array(picture)).to(device)
    made = (values.clamp(0, 1) * 65535 + 0.5).to(torch.int32)
    if alpha >= 0:
        made[:, alpha::channels] = (values[:, alpha::channels] != 0).to(torch.int32)
    codes[...] = made.cpu().numpy()


def area_average(
    codes: Array,
    pitch: int,
    layout: tuple[int, int, int],
    table: Array,
    down: tuple[int, int, int],
    across: tuple[int, int],
    sums: Array,
    *,
    device: torch.device,
) -> None:
    """Add a window's linear light to the sums of the overview pixels; see `statistics`."""
    columns, channels, alpha = layout
    first, step, height = down
    offset, width = across
    out_h, out_w, colours = sums.shape[0], sums.shape[1], sums.shape[2] - 1
    picture = _picture(codes, pitch, columns, channels, device)
    light = torch.ones(len(picture), columns, colours + 1, dtype=torch.int64, device=device)
    tables = torch.from_numpy(table).to(device, torch.int64)
    for channel in range(colours):
        light[..., channel] = tables[channel][picture[..., channel]]
    if alpha >= 0:
        light *= (picture[..., alpha] != 0)[..., None]
    sampled = (height - 1 - step // 2) // step + 1
    rows = np.arange(first, first + len(picture))
    ends = np.where(rows == sampled - 1, height, (rows + 1) * step)
    places = np.arange(offset, offset + columns)
    added = _spread(light, 1, *_overlaps(places, places + 1, width, out_w), out_w)
    added = _spread(added, 0, *_overlaps(rows * step, ends, height, out_h), out_h)
    sums += added.cpu().numpy()


def _overlaps(first: Array, last: Array, length: int, count: int) -> tuple[Array, Array, Array]:
    """How spans of an axis of `length` overlap its `count` cells, in 1/count of a pixel.

    Returns:
        Numbers of the spans, of the cells, and the overlap of each pair, all int64.
    """
    low, high = first * count // length, (last * count - 1) // length
    repeats = high - low + 1
    spans = np.repeat(np.arange(len(first)), repeats)
    cells = low[spans] + np.arange(len(spans)) - np.repeat(repeats.cumsum() - repeats, repeats)
    left = np.maximum(first[spans] * count, cells * length)
    right = np.minimum(last[spans] * count, (cells + 1) * length)
    return spans, cells, right - left


def _spread(
    values: Tensor, axis: int, spans: Array, cells: Array, shares: Array, count: int
) -> Tensor:
    """Add slices of an axis to `count` cells, each times its share."""
    device = values.device
    shape = [1] * values.dim()
    shape[axis] = -1
    weights = torch.from_numpy(shares).to(device).view(shape)
    given = values.index_select(axis, torch.from_numpy(spans).to(device)) * weights
    size = list(values.shape)
    size[axis] = count
    sums = torch.zeros(size, dtype=torch.int64, device=device)
    return sums.index_add_(axis, torch.from_numpy(cells).to(device), given)


def count_differences(
    codes: Array,
    pitch: int,
    layout: tuple[int, int, int],
    across: tuple[int, int],
    display: Array,
    scale: float,
    counts: Array,
    *,
    device: torch.device,
) -> None:
    """Count the second differences of luma along rows; see `statistics`."""
    columns, channels, alpha = layout
    begin, step = across
    reach, levels, steps = counts.shape
    picture = _picture(codes, pitch, columns, channels, device)
    values = torch.from_numpy(display).to(device)[picture]
    luma = values[..., 0]
    if channels > 2:
        r, g, b = LUMA_WEIGHTS
        luma = values[..., 0] * r + values[..., 1] * g + values[..., 2] * b
    at = torch.arange(begin, max(columns - reach, begin), step, device=device)
    if not len(at):
        return
    seen = torch.ones(len(picture), len(at), dtype=torch.bool, device=device)
    if alpha >= 0:
        shown = picture[..., alpha] != 0
        for tap in range(-reach, reach + 1):
            seen &= shown[:, at + tap]
    middle = luma[:, at]
    for distance in range(reach):
        ends = luma[:, at - distance - 1] + luma[:, at + distance + 1]
        mean = 0.25 * ends + 0.5 * middle
        # Noise that is cut off at black and white is not whole.
        counted = seen & (mean >= 0.5 / 255) & (mean <= 1 - 1 / 255)
        level = (mean * levels).to(torch.int64).clamp(max=levels - 1)
        size = ((ends - 2 * middle).abs() * scale).to(torch.int64).clamp(max=steps - 1)
        found = (level * steps + size)[counted]
        total = torch.bincount(found, minlength=levels * steps)
        counts[distance] += total.view(levels, steps).cpu().numpy()


def fit_statistics(
    ldr: Array, target: Array, weight: Array, wrap: bool, moments: Array, *, device: torch.device
) -> None:
    """Add the moments that a tone grid is fitted from; see `statistics`."""
    height, width = weight.shape
    grid_rows, grid_columns, levels, numbers = moments.shape
    colours, wanted = (torch.from_numpy(a.copy()).to(device) for a in (ldr, target))
    features = torch.cat([colours, torch.ones_like(colours[..., :1])], -1)
    products = [features[..., a] * features[..., b] for a in range(4) for b in range(a, 4)]
    products += [features[..., a] * wanted[..., c] for a in range(4) for c in range(3)]
    terms = torch.stack(products, -1).double().view(-1, numbers)
    r, g, b = LUMA_WEIGHTS
    luma = (colours[..., 0] * r + colours[..., 1] * g + colours[..., 2] * b).clamp(0, 1)
    place = (luma * (levels - 1)).double()
    low = place.to(torch.int64).clamp(max=levels - 2)
    rows = _between(height, grid_rows, False, device)
    columns = _between(width, grid_columns, wrap, device)
    sums = torch.zeros(
        grid_rows * grid_columns * levels, numbers, dtype=torch.float64, device=device
    )
    weights = torch.from_numpy(weight.copy()).to(device).double()
    for row, row_share in rows:
        for column, column_share in columns:
            for level, level_share in ((low, 1 - (place - low)), (low + 1, place - low)):
                cell = (row[:, None] * grid_columns + column) * levels + level
                share = weights * row_share[:, None] * column_share * level_share
                sums.index_add_(0, cell.view(-1), terms * share.view(-1, 1))
    moments += sums.view(moments.shape).cpu().numpy()


def _between(
    length: int, count: int, wrap: bool, device: torch.device
) -> list[tuple[Tensor, Tensor]]:
    """Both cells around each pixel of an axis, and their shares."""
    at = (np.arange(length) + 0.5) / length * count - 0.5
    if not wrap:
        at = at.clip(0, count - 1)
    low = np.floor(at).astype(np.int64)
    share = at - low
    pairs = ((low % count, 1 - share), ((low + 1) % count, share))
    return [(torch.from_numpy(i).to(device), torch.from_numpy(s).to(device)) for i, s in pairs]


def _picture(codes: Array, pitch: int, columns: int, channels: int, device: torch.device) -> Tensor:
    """Rows of codes as R×C×K int64 on a device."""
    rows = (codes.size - columns * channels) // max(pitch, 1) + 1
    size = codes.itemsize
    shape, strides = (rows, columns, channels), (pitch * size, channels * size, size)
    # Copied, as torch takes no arrays that are read-only.
    picture = np.lib.stride_tricks.as_strided(codes, shape, strides, writeable=False)
    # Devices convert signed integers; the bits are the same.
    signed = {2: (np.int16, 0xFFFF), 4: (np.int32, 0xFFFFFFFF)}.get(size)
    if signed is not None:
        stored = torch.from_numpy(np.array(picture).view(signed[0])).to(device)
        return stored.to(torch.int64) & signed[1]
    return torch.from_numpy(np.array(picture)).to(device).to(torch.int64)
