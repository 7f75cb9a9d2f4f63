"""Sizes beyond int64: an error in words, where torch wraps around.

The kernels index with 64-bit integers. These checks make sure beforehand that no size, index or byte count of a problem
overflows them. They come after torch's own checks and have no counterpart there: torch computes modulo 2**64, or 2**32,
and then reports negative sizes, fails to allocate or crashes. Whether a problem fits into this machine's memory is
another question, answered by allocating the result.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from refconv.errors import ConvError

if TYPE_CHECKING:
    from refconv.problem import ConvProblem

__all__ = ["check_limits"]

INT64_MAX = 2**63 - 1
ITEMSIZE = 8  # of float64 and int64, the widest operands


def check_limits(problem: ConvProblem) -> None:
    """Raise `ConvError` if a size, a byte count or the number of multiply-adds does not fit in int64.

    Parameters
    ----------
    problem : ConvProblem

    Raises
    ------
    ConvError
        ``conv2d(): the padded input has size ...``, ``conv2d(): the output of shape ...`` or
        ``conv2d(): input of shape ...``.
    """
    _check_padded_size(problem)
    _check_bytes(problem)
    _check_macs(problem)


def _check_padded_size(problem: ConvProblem) -> None:
    # The index map ranges over the padded input, or if transposed over the output before the padding is cropped.
    what, sizes = "padded input", problem.input_size
    if problem.transposed:
        what, sizes = "output before cropping", problem.output_size
    padded = [size + sum(pair) for size, pair in zip(sizes, problem.padding, strict=True)]
    if max(padded) > INT64_MAX:
        raise ConvError(
            f"{problem.name}(): the {what} has size {' x '.join(map(str, padded))} per channel, "
            "which does not fit in int64"
        )


def _check_bytes(problem: ConvProblem) -> None:
    shapes = {"input": problem.input_shape, "weight": problem.weight_shape, "output": problem.output_shape}
    for what, shape in shapes.items():
        # As for NumPy, a size of 0 does not excuse the others: the strides of an empty array must fit as well.
        elements = math.prod(max(size, 1) for size in shape)
        if elements * ITEMSIZE > INT64_MAX:
            raise ConvError(
                f"{problem.name}(): the {what} of shape {list(shape)} has {elements} elements, "
                f"whose bytes at {ITEMSIZE} each do not fit in int64"
            )


def _check_macs(problem: ConvProblem) -> None:
    if problem.macs > INT64_MAX:
        raise ConvError(
            f"{problem.name}(): input of shape {list(problem.input_shape)} and weight of shape "
            f"{list(problem.weight_shape)} take {problem.macs} multiply-adds, a number that does not fit in int64"
        )
