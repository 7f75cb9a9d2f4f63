"""What is printed of a failure is small: for each of the fifteen functions, as small as the planted bug permits.

The sizes are worked out by hand: the fewest numbers with which the bug makes any difference.
"""

from dataclasses import replace

import numpy as np
import pytest

import refconv
import refconv.grad
from refconv.conformance.clauses import CLAUSES
from refconv.conformance.judges import Mismatch
from refconv.conformance.profile import Profile
from refconv.conformance.repro import script
from refconv.conformance.runner import run
from refconv.conformance.simplify import simplify
from refconv.conformance.targets.function import FunctionTarget
from refconv.testing.calls import SIGNATURES, ConvCall, ConvCase, Operands
from refconv.testing.operation import OPS

CLAUSE = {clause.key: clause for clause in CLAUSES}


def cleared(array, last):
    """A copy with zeros in a part of it."""
    array = array.copy()
    array[last] = 0
    return array


def last_tap_lost(op):
    """The last tap of each row, if it has several; of gradients by weight and bias the last column of grad_output.

    Forward:                two taps over two pixels                 2 + 2 numbers
    Transposed, by input:   two taps that one number is spread by    1 + 2
    By weight:              two pixels, two windows of one tap       2 + 2
    By bias:                two numbers of one channel               2
    """
    function = function_of(op)

    def wrong(*values):
        named = dict(zip(SIGNATURES[op], values, strict=True))
        name = "grad_output" if op.endswith(("_weight", "_bias")) else "weight"
        if named[name].shape[-1] > 1:
            named[name] = cleared(named[name], (..., slice(-1, None)))
        return function(*named.values())

    return wrong


def second_channel_negated(op):
    """The second channel of the result; of the gradient by the weight, the second kernel.

    One number of the result is a product of two, and there have to be two: two kernels of a tap each over one pixel, or
    what corresponds to them, 1 + 2 numbers. By bias they are two numbers of grad_output.
    """
    function = function_of(op)
    images = () if op.endswith(("_weight", "_bias")) else (slice(None),)

    def wrong(*values):
        out = function(*values)
        out[(*images, slice(1, 2))] *= -1
        return out

    return wrong


def function_of(op):
    return getattr(refconv.grad if op.endswith(("_input", "_weight", "_bias")) else refconv, op)


def fewest(bug, op):
    """How many numbers a case has at least."""
    if op.endswith("_bias"):
        return 2
    if bug is last_tap_lost:
        return 3 if "transpose" in op or op.endswith("_input") else 4
    return 3


BUGS = {last_tap_lost: "kernel", second_channel_negated: "channels"}


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.__name__)
@pytest.mark.parametrize("op", OPS)
def test_the_smallest_case_is_printed_and_fails_when_it_is_pasted(op, bug):
    lines = [f"from test_small_cases import {bug.__name__}", f"{op} = {bug.__name__}({op!r})"]
    target = FunctionTarget("mine", {op: bug(op)}, Profile(ops=(op,), dtypes=("float32",)), {op: lines})
    (row,) = run(target, seed=1, cases=40, clauses=[CLAUSE[BUGS[bug]]]).failures
    case, mismatch = row.failing
    assert case.operands.size == fewest(bug, op)
    call = case.call
    assert (call.stride, call.padding, call.dilation, call.groups, call.bias_shape) == (1, 0, 1, 1, None)
    numbers = np.concatenate([array.ravel() for array in case.operands.given.values()])
    assert set(np.abs(numbers)) <= {0, 1}
    pasted = script(target, case, mismatch)
    assert len(pasted.splitlines()) <= 18
    with pytest.raises(AssertionError, match=r"Arrays are not equal|AssertionError"):
        exec(pasted, {})


@pytest.mark.parametrize("op", OPS)
def test_of_a_large_case_only_what_fails_is_left(op):
    """Without Hypothesis: arrays are cut down around the one number that matters."""
    n = ConvCall((), (), op=op).spatial_ndim
    geometry = {"stride": (2,) * n, "padding": 1, "dilation": (1,) * (n - 1) + (2,), "groups": 2}
    large = ConvCall((3, 4, *(7,) * n), (4, 2, *(3,) * n), (4,), **geometry, op=f"conv{n}d")
    if "transpose" in op:
        large = replace(large, op=op)
    elif op != large.op:
        large = replace(large, op=op, bias_shape=None, grad_shape=large.result_shape)
    arrays = {name: np.ones(shape, np.float32) for name, shape in large.shapes.items()}
    first = next(iter(arrays))
    arrays[first].flat[arrays[first].size // 2] = 77

    def fails(case):
        return Mismatch("", code=[]) if 77 in getattr(case.operands, first) else None

    case = ConvCase(large, Operands(**arrays), recipe="")
    left, _ = simplify((case, fails(case)), fails, attempts=800)
    assert [array.size for array in left.operands.given.values()] == [1] * (len(arrays) - ("bias" in arrays))
    assert (left.call.stride, left.call.padding, left.call.dilation, left.call.groups) == (1, 0, 1, 1)
    assert getattr(left.operands, first).item() == 77


@pytest.mark.parametrize("name", ["SAME", "SAME_UPPER", "SAME_LOWER"])
def test_padding_is_what_its_name_stands_for_in_the_smallest_case_too(name):
    """If it stayed what it was for another size, a right function would be accused: of another shape."""
    large = ConvCall((1, 2, 9, 8), (2, 2, 4, 3), stride=(2, 3), padding_name=name).with_named_padding()
    arrays = {name: np.ones(shape, np.float32) for name, shape in large.shapes.items()}
    arrays["input"][0, 1, 7, 5] = 77

    def fails(case):
        assert case.call == case.call.with_named_padding()
        large_enough = 77 in case.operands.input and case.call.weight_shape[2] > 1
        return Mismatch("", code=[]) if large_enough else None

    case = ConvCase(large, Operands(**arrays), recipe="")
    left, _ = simplify((case, fails(case)), fails, attempts=800)
    assert (left.call.input_shape, left.call.weight_shape) == ((1, 1, 1, 1), (1, 1, 2, 1))
    assert left.call.padding == (((1, 0) if name == "SAME_LOWER" else (0, 1)), (0, 0))


@pytest.mark.parametrize("op", ["conv1d", "conv_transpose1d", "conv1d_input", "conv1d_weight", "conv1d_bias"])
def test_the_script_passes_once_the_bug_is_mended(op):
    mended = [f"from test_small_cases import function_of\n{op} = function_of({op!r})"]
    target = FunctionTarget("mine", {op: last_tap_lost(op)}, Profile(ops=(op,), dtypes=("float32",)), {op: mended})
    (row,) = run(target, seed=1, cases=40, clauses=[CLAUSE["kernel"]]).failures
    exec(script(target, *row.failing), {})
