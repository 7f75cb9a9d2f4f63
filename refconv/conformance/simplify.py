"""Makes a failing case small and its numbers round.

Hypothesis shrinks what it has drawn, but it knows the operands by seed and recipe only: with every other shape come
other numbers, and the failure may be gone. Here the arrays themselves are cut down, and then their numbers are replaced
by simpler ones, for as long as the case still fails.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from refconv.conformance.judges import Mismatch
from refconv.errors import ConvError
from refconv.testing.calls import ConvCall, ConvCase, Operands

__all__ = ["MOST_PRINTED", "simplify"]

#: Cases whose operands have no more elements than this are printed in full.
MOST_PRINTED = 256

Failing = tuple[ConvCase, Mismatch]

# The sizes of a convolution, and for each the axes along which it is found in the operands when these have an axis for
# groups: input (N, groups, C_in, H, W), weight (groups, C_out, C_in, kH, kW), bias (groups, C_out), channels being
# those of one group.
_SIZES = {
    "N": {"input": 0},
    "groups": {"input": 1, "weight": 0, "bias": 0},
    "C_out": {"weight": 1, "bias": 1},
    "C_in": {"input": 2, "weight": 2},
    "H": {"input": 3},
    "W": {"input": 4},
    "kH": {"weight": 3},
    "kW": {"weight": 4},
}


def simplify(failing: Failing, fails: Callable[[ConvCase], Mismatch | None], attempts: int) -> Failing:
    """Return a smaller failing case with simpler numbers.

    Parameters
    ----------
    failing : (ConvCase, Mismatch)
    fails : callable
        Returns how a case fails, or None if it does not.
    attempts : int
        How often it may be asked.

    Returns
    -------
    (ConvCase, Mismatch)
        The case that was given if it cannot be made small enough to be printed: that one can be built by its recipe.
    """
    search = _Search(failing, fails, attempts)
    if failing[0].fault is None:
        search.exhaust(_smaller_cases)
    if search.failing[0].operands.size > MOST_PRINTED:
        return failing
    search.exhaust(_cases_with_simpler_numbers)
    return search.failing


class _Search:
    """The simplest failing case so far."""

    def __init__(self, failing: Failing, fails: Callable[[ConvCase], Mismatch | None], attempts: int):
        self.failing = failing
        self._fails = fails
        self._attempts = attempts

    def exhaust(self, candidates: Callable[[ConvCase], Iterator[ConvCase]]):
        """Go from a failing case to the first of its candidates that fails too, until none does."""
        progress = True
        while progress:
            progress = any(self._accepts(candidate) for candidate in candidates(self.failing[0]))

    def _accepts(self, candidate: ConvCase) -> bool:
        if self._attempts == 0:
            return False
        self._attempts -= 1
        mismatch = self._fails(candidate)
        if mismatch is not None:
            self.failing = candidate, mismatch
        return mismatch is not None


# ---- Smaller ----


def _smaller_cases(case: ConvCase) -> Iterator[ConvCase]:
    """Yield right calls that are a little simpler: first plainer arguments, then parts of the arrays."""
    for layout in case.layouts:
        yield replace(case, layouts={name: other for name, other in case.layouts.items() if name != layout})
    for call in _plainer_calls(case.call):
        if _is_right(call):
            yield replace(case, call=call)
    if case.operands.bias is not None:
        yield _with_operands(case, case.operands._replace(bias=None), case.call.groups)
    parts = _with_group_axis(case)
    for name, axes in _SIZES.items():
        if name == "N" and case.operands.input.ndim == 3:
            continue
        operand, axis = next(iter(axes.items()))
        for kept in _parts(getattr(parts, operand).shape[axis]):
            smaller = {
                operand: getattr(parts, operand)[(slice(None),) * axis + (kept,)]
                for operand, axis in axes.items()
                if getattr(parts, operand) is not None
            }
            candidate = _without_group_axis(case, parts._replace(**smaller))
            if _is_right(candidate.call):
                yield candidate


def _plainer_calls(call: ConvCall) -> Iterator[ConvCall]:
    for argument, default in (("stride", 1), ("padding", 0), ("dilation", 1)):
        value = getattr(call, argument)
        if value == default:
            continue
        yield replace(call, **{argument: default})
        if isinstance(value, str):
            continue
        if isinstance(value, int):
            yield replace(call, **{argument: value - 1})
            continue
        if len(set(value)) == 1:
            yield replace(call, **{argument: value[0]})
        for axis, number in enumerate(value):
            if isinstance(number, int) and number > default:
                yield replace(call, **{argument: (*value[:axis], number - 1, *value[axis + 1 :])})


def _parts(size: int) -> Iterator[slice]:
    """Yield ranges of indices to keep: halves, and all but one at either end."""
    if size < 2:
        return
    half = size // 2
    if half > 1:
        yield slice(0, half)
        yield slice(half, None)
    yield slice(1, None)
    yield slice(0, -1)


def _is_right(call: ConvCall) -> bool:
    try:
        return bool(call.problem)
    except ConvError:
        return False


def _with_group_axis(case: ConvCase) -> Operands:
    x, w, b = case.operands
    groups = case.call.groups
    x = x if x.ndim == 4 else x[None]
    return Operands(
        x.reshape(len(x), groups, x.shape[1] // groups, *x.shape[2:]),
        w.reshape(groups, len(w) // groups, *w.shape[1:]),
        None if b is None else b.reshape(groups, len(b) // groups),
    )


def _without_group_axis(case: ConvCase, parts: Operands) -> ConvCase:
    x, w, b = parts
    N, groups, C_in, *image = x.shape
    x = x.reshape(N, groups * C_in, *image)
    operands = Operands(
        x if case.operands.input.ndim == 4 else x[0],
        w.reshape(groups * w.shape[1], *w.shape[2:]),
        None if b is None else b.reshape(-1),
    )
    return _with_operands(case, operands, groups)


def _with_operands(case: ConvCase, operands: Operands, groups: int) -> ConvCase:
    shapes = [None if array is None else array.shape for array in operands]
    call = replace(case.call, input_shape=shapes[0], weight_shape=shapes[1], bias_shape=shapes[2], groups=groups)
    return replace(case, call=call, operands=operands)


# ---- Rounder ----


def _cases_with_simpler_numbers(case: ConvCase) -> Iterator[ConvCase]:
    for name in Operands._fields:
        array = getattr(case.operands, name)
        for index in np.ndindex(array.shape if array is not None else 0):
            for number in _simpler_numbers(array[index]):
                changed = array.copy()
                changed[index] = number
                yield replace(case, operands=case.operands._replace(**{name: changed}))


def _simpler_numbers(value: np.floating) -> Iterator[np.floating]:
    """Yield numbers that are easier to read than a value, the easiest first, and none that the value is itself."""
    candidates = [0.0, 1.0]
    if np.isfinite(value):
        candidates += [float(f"{value:.{digits}e}") for digits in range(3)]
    for candidate in candidates:
        number = value.dtype.type(candidate)
        if number == value and np.signbit(number) == np.signbit(value):
            return
        yield number
