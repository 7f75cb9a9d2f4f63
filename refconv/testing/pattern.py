"""Where the wrong elements of a result are, in words."""

import itertools

import numpy as np

from refconv.testing.operation import Operation
from refconv.testing.terms import term_counts

__all__ = ["axis_names", "pattern"]

_SPATIAL = {1: ("column",), 2: ("row", "column"), 3: ("plane", "row", "column")}
# More index values than this are not listed.
_MOST_LISTED = 6


def axis_names(operation: Operation) -> list[str]:
    """What the axes of the result are called."""
    spatial = _SPATIAL[operation.spatial_ndim]
    if operation.kind == "weight":
        taps = [f"kernel {name}" for name in spatial]
        names = ["output channel", "input channel", *taps]
        return names[: len(operation.result_shape)]
    channel = "input channel" if operation.op.endswith("_input") else "channel"
    return ["batch item"] * operation.batched + [channel, *spatial]


def pattern(wrong: np.ndarray, operation: Operation) -> str:
    """Say which elements are wrong, as far as there is an order to it.

    Parameters
    ----------
    wrong : ndarray of bool
        Of the result's shape.
    operation : Operation

    Returns
    -------
    str
        For example "all in channel 3 of 8, columns 12-13 of 14".
    """
    if wrong.all():
        return "every element"
    parts = []
    for axis, name in enumerate(axis_names(operation)):
        others = tuple(i for i in range(wrong.ndim) if i != axis)
        hit = np.flatnonzero(wrong.any(axis=others))
        if len(hit) < wrong.shape[axis]:
            plural = "s" if len(hit) > 1 else ""
            parts.append(f"{name}{plural} {_listed(hit)} of {wrong.shape[axis]}")
    border = _border(wrong, operation)
    if border:
        parts.append(border)
    if not parts:
        return "all over the place"
    return "all in " + ", ".join(parts) if parts[0] != border or len(parts) > 1 else border


def _border(wrong, operation) -> str:
    """Whether the windows that touch the padding are the wrong ones."""
    if operation.kind != "forward":
        return ""
    counts = np.broadcast_to(term_counts(operation), operation.shape).reshape(wrong.shape)
    at_border = counts < counts.max(initial=0)
    if not at_border.any():
        return ""
    if not (wrong & ~at_border).any():
        return "only windows that touch the padding"
    if not (wrong & at_border).any():
        return "only windows that do not touch the padding"
    return ""


def _listed(numbers) -> str:
    """Ascending numbers in few words: 0-3, 7; every 2nd from 1."""
    numbers = [int(number) for number in numbers]
    steps = {b - a for a, b in itertools.pairwise(numbers)}
    if len(numbers) > 2 and len(steps) == 1 and steps != {1}:
        return f"{numbers[0]}, {numbers[1]}, ... {numbers[-1]}"
    runs = []
    for number in numbers:
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    shown = [str(a) if a == b else f"{a}-{b}" for a, b in runs]
    if len(shown) > _MOST_LISTED:
        return f"{', '.join(shown[:_MOST_LISTED])}, ... ({len(numbers)})"
    return ", ".join(shown)
