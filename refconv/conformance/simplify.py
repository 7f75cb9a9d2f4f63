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

# The sizes of a convolution but those per spatial axis, and for each the axes along which it is found in the operands
# when these have an axis for groups: input (N, groups, C_in, ...), weight (groups, C_out, C_in, ...), or transposed
# (groups, C_in, C_out, ...), bias (groups, C_out), grad_output (N, groups, C_out, ...); channels being those of one
# group.
_SIZES = {
    "N": {"input": 0, "grad_output": 0},
    "groups": {"input": 1, "grad_output": 1, "weight": 0, "bias": 0},
    "C_out": {"grad_output": 2, "weight": 1, "bias": 1},
    "C_in": {"input": 2, "weight": 2},
}
_SIZES_TRANSPOSED = {**_SIZES, "C_out": {"weight": 2, "bias": 1}, "C_in": {"input": 2, "weight": 1}}


def _sizes(call: ConvCall) -> dict[str, dict[str, int]]:
    sizes = dict(_SIZES_TRANSPOSED if call.kind == "transposed" else _SIZES)
    for axis in range(call.spatial_ndim):
        sizes[f"image {axis}"] = {"input": 3 + axis}
        sizes[f"kernel {axis}"] = {"weight": 3 + axis}
    return sizes


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
    candidates = [_rebuilt(case, call, case.operands) for call in _plainer_calls(case.call)]
    if case.operands.bias is not None:
        call = replace(case.call, bias_shape=None)
        candidates.append(_rebuilt(case, call, case.operands._replace(bias=None)))
    yield from (candidate for candidate in candidates if candidate is not None)
    parts = _with_group_axis(case)
    for name, axes in _sizes(case.call).items():
        if name == "N" and not case.call.problem.batched:
            continue
        (operand, axis), *_ = ((operand, axis) for operand, axis in axes.items() if operand in parts)
        for kept in _parts(parts[operand].shape[axis]):
            smaller = {
                operand: parts[operand][(slice(None),) * axis + (kept,)]
                for operand, axis in axes.items()
                if operand in parts
            }
            candidate = _without_group_axis(case, {**parts, **smaller})
            if candidate is not None:
                yield candidate


def _plainer_calls(call: ConvCall) -> Iterator[ConvCall]:
    for argument, default in (("stride", 1), ("padding", 0), ("dilation", 1), ("output_padding", 0)):
        value = getattr(call, argument)
        # The numbers of a padding that has a name follow from the other arguments.
        if value == default or (argument == "padding" and call.padding_name is not None):
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


def _with_group_axis(case: ConvCase) -> dict[str, np.ndarray]:
    """Return the operands, and for those of which only the shape is passed arrays of that shape, cut into groups."""
    call, groups = case.call, case.call.groups
    shapes = {"input": call.input_shape, "weight": call.weight_shape}
    # No memory is needed for numbers that nobody looks at.
    arrays = {name: np.broadcast_to(np.float32(0), shape) for name, shape in shapes.items()} | case.operands.given
    split = {}
    for name, array in arrays.items():
        if name == "input" and not call.problem.batched:
            array = array[np.newaxis]
        axis = 1 if name in ("input", "grad_output") else 0
        shape = array.shape
        split[name] = array.reshape(*shape[:axis], groups, shape[axis] // groups, *shape[axis + 1 :])
    return split


def _without_group_axis(case: ConvCase, parts: dict[str, np.ndarray]) -> ConvCase | None:
    whole = {}
    for name, array in parts.items():
        axis = 1 if name in ("input", "grad_output") else 0
        shape = array.shape
        array = array.reshape(*shape[:axis], shape[axis] * shape[axis + 1], *shape[axis + 2 :])
        whole[name] = array if name != "input" or case.call.problem.batched else array[0]
    call = replace(
        case.call,
        input_shape=whole["input"].shape,
        weight_shape=whole["weight"].shape,
        bias_shape=whole["bias"].shape if "bias" in whole else None,
        groups=len(parts["weight"]),
    )
    return _rebuilt(case, call, Operands(**{name: whole[name] for name in case.operands.given}))


def _rebuilt(case: ConvCase, call: ConvCall, operands: Operands) -> ConvCase | None:
    """Return a case with another call and operands, or None if they make no sense."""
    try:
        if call.padding_name is not None:
            call = call.with_named_padding()
        if call.kind.startswith("by"):
            forward = replace(call, op=f"conv{call.spatial_ndim}d", grad_shape=None)
            grad_output = _fitted(operands.grad_output, forward.problem.output_size)
            operands = operands._replace(grad_output=grad_output)
            call = replace(call, grad_shape=grad_output.shape)
        return replace(case, call=call, operands=operands) if call.problem else None
    except ConvError:
        return None


def _fitted(grad_output: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """Return grad_output with other spatial sizes: less of it, or repeated."""
    for axis, wanted in enumerate(size, start=2):
        grad_output = np.take(grad_output, np.arange(wanted) % grad_output.shape[axis], axis)
    return grad_output


# ---- Rounder ----


def _cases_with_simpler_numbers(case: ConvCase) -> Iterator[ConvCase]:
    for name, array in case.operands.given.items():
        for index in np.ndindex(array.shape):
            for number in _simpler_numbers(array[index]):
                changed = array.copy()
                changed[index] = number
                yield replace(case, operands=case.operands._replace(**{name: changed}))


def _simpler_numbers(value: np.floating) -> Iterator[np.floating]:
    """Yield numbers that are easier to read than a value, the easiest first, and none that the value is itself."""
    candidates = [0.0, 1.0]
    if value.dtype.kind != "c" and np.isfinite(value):
        rounded = [float(f"{float(value):.{digits}e}") for digits in range(3)]
        # Rounding upwards may leave the range of integers.
        candidates += [number for number in rounded if value.dtype.kind not in "iu" or abs(number) <= abs(int(value))]
    for candidate in candidates:
        number = value.dtype.type(candidate)
        if number == value and np.signbit(number) == np.signbit(value):
            return
        yield number
