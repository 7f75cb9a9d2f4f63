"""Where the operands of transposed convolutions and gradients lie in memory does not change a bit, as for conv2d."""

import numpy as np
import pytest
from family import OPERATIONS, arrays, compute
from oracle import FORMATS, same_bits
from problems import any_bits
from test_conv2d_layouts import LAYOUTS, assert_is_a_new_array, plain

from refconv.problem import ConvProblem

PROBLEMS = {
    "1d": ConvProblem.from_shapes((2, 4, 9), (6, 2, 3), (6,), 2, 1, 1, 2, spatial_ndim=1),
    "2d": ConvProblem.from_shapes((2, 4, 7, 6), (6, 2, 3, 2), (6,), (2, 1), (1, 2), 1, 2),
    "3d": ConvProblem.from_shapes((2, 4, 5, 4, 6), (6, 2, 1, 3, 2), (6,), (1, 2, 1), (0, 1, 2), 1, 2, spatial_ndim=3),
    "2d_one_group": ConvProblem.from_shapes((2, 3, 7, 6), (5, 3, 2, 2), (5,), 2, 0),
}


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("fmt", FORMATS.values(), ids=FORMATS)
@pytest.mark.parametrize("problem", PROBLEMS.values(), ids=PROBLEMS)
@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_layouts_do_not_matter(operation, fmt, problem, layout):
    tensors = {name: layout(a) for name, a in arrays(problem, any_bits(1, fmt, rare=0)).items()}
    copies = {name: plain(a) for name, a in tensors.items()}
    result = compute(operation, problem, **tensors)
    assert same_bits(result, compute(operation, problem, **copies))
    assert all(same_bits(plain(tensors[name]), copies[name]) for name in tensors), "an operand was written to"
    assert_is_a_new_array(result, tensors.values())
    assert same_bits(compute(operation, problem, **tensors, algorithm="direct"), result)


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("fmt", FORMATS.values(), ids=FORMATS)
def test_zero_strides_do_not_matter(operation, fmt):
    problem = PROBLEMS["2d"]
    tensors = {
        name: np.broadcast_to(a.reshape(-1)[: a.shape[-1]], a.shape)
        for name, a in arrays(problem, any_bits(2, fmt, rare=0)).items()
    }
    copies = {name: plain(a) for name, a in tensors.items()}
    assert same_bits(compute(operation, problem, **tensors), compute(operation, problem, **copies))
