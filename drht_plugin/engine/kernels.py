"""What a survey computes over pixels, by numba on the CPU or by tensors on any device."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import torch


class SurveyKernels(NamedTuple):
    """The functions of `bridge.statistics`, or others that take the same arguments.

    Attributes:
        mark_rows_with_bits: Finds rows with NaN or infinity.
        light_codes: Turns floats into codes of a table of light.
        area_average: Adds light to the sums of an overview.
        count_differences: Counts second differences, which tell the noise.
        fit_statistics: Adds the moments that a tone grid is fitted from.
    """

    mark_rows_with_bits: Callable[..., Any]
    light_codes: Callable[..., Any]
    area_average: Callable[..., Any]
    count_differences: Callable[..., Any]
    fit_statistics: Callable[..., Any]


def numba_kernels() -> SurveyKernels:
    """Return the compiled kernels."""
    from drht_plugin.bridge import statistics

    return SurveyKernels(*(getattr(statistics, name) for name in SurveyKernels._fields))


def tensor_kernels(device: torch.device) -> SurveyKernels:
    """Return the same in tensor operations on a device; numba is not imported.

    Moments are added up on the CPU: on CUDA a sum of floats has no fixed order. So is everything on
    MPS, which has no float64 and lacks some operations on int64.
    """
    import torch

    from drht_plugin.bridge import tensor_statistics

    cpu = torch.device("cpu")

    def kernel(name: str) -> Callable[..., Any]:
        there = device.type != "mps" and name != "fit_statistics"
        return partial(getattr(tensor_statistics, name), device=device if there else cpu)

    return SurveyKernels(*map(kernel, SurveyKernels._fields))
