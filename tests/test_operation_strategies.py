"""Operations are drawn for every function, from every recipe and layout, and shrink to something readable."""

import numpy as np
import pytest
from hypothesis import HealthCheck, find, given, settings

from refconv.testing.layouts import LAYOUTS
from refconv.testing.operation_strategies import operations
from refconv.testing.recipes import EXACT, ROUNDED
from refconv.testing.strategies import conv_calls
from refconv.testing.verdict import judge_operation

CALLS = conv_calls(max_macs=1 << 10)


@given(operations(CALLS, dtypes=("float32", "float64", "float16")))
@settings(max_examples=150, deadline=None)
def test_the_exact_result_of_whatever_is_drawn_is_right(operation):
    with np.errstate(all="ignore"):
        assert judge_operation(operation.exact().reshape(operation.result_shape), operation).grade == "EXACT"


@pytest.mark.parametrize(
    ("what", "wanted"),
    [
        ("transposed, with output_padding", lambda op: any(op.output_padding)),
        ("a view", lambda op: not op.x.flags.c_contiguous),
    ],
)
def test_drawn_operations_shrink_to_few_numbers(what, wanted):
    unlimited = settings(max_examples=3000, database=None, suppress_health_check=list(HealthCheck), derandomize=True)
    found = find(operations(CALLS), wanted, settings=unlimited)
    assert found.x.size <= 16, what
    assert found.w.size <= 16, what
    assert found.groups == 1
    assert max(found.stride) <= 2


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts_do_not_change_numbers(layout):
    array = np.repeat(np.arange(12, dtype=np.float32).reshape(1, 3, 2, 2), 2, axis=0)
    view = LAYOUTS[layout](array)
    np.testing.assert_array_equal(view, array)
    assert view.dtype == array.dtype


def test_constant_data_are_constant_and_ties_are_ties():
    from refconv.testing.calls import ConvCall
    from refconv.testing.recipes import build_operands

    call = ConvCall(input_shape=(1, 4, 5, 5), weight_shape=(2, 4, 3, 3), bias_shape=(2,))
    constant = build_operands("constant", call, "float32", seed=0)
    assert len(np.unique(constant.input)) == len(np.unique(constant.weight)) == 1
    equal = build_operands("equal_sizes", call, "float32", seed=0)
    assert len(np.unique(abs(equal.input))) == 1
    assert len(np.unique(equal.input)) == 2
    ties = build_operands("ties", call, "float32", seed=0)
    assert (np.count_nonzero(ties.weight.reshape(2, -1), axis=1) == 2).all()
    # Sums of two such integers are often odd and beyond 2**24: the middle between two numbers.
    sums = ties.input.astype(np.float64).ravel()[:-1] + ties.input.astype(np.float64).ravel()[1:]
    assert (sums.astype(np.float32) != sums).any()
    assert not set(EXACT) & set(ROUNDED)
