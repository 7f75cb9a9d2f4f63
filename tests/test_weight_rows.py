"""The kernel for weight gradients of few elements and long sums: its bits are those of the definition.

`test_family_values.py` draws small problems of every kind; here are those that it was made for, and the sums that its
bound does not prove. The counters tell whether it was this kernel that computed something.
"""

import numpy as np
import pytest
from family import arguments
from oracle import FORMATS, same_bits
from problems import any_bits, integers

import refconv
from refconv import kernels
from refconv.problem import ConvProblem


def gradient(problem, x, y, **options):
    name = f"conv{problem.spatial_ndim}d_weight"
    return getattr(refconv.grad, name)(x, problem.weight_shape, y, **arguments(problem), **options)


# Input, weight, stride, padding, dilation, groups.
PROBLEMS = {
    "one channel, several bands in a row": ((1, 1, 3, 1300), (1, 1, 2, 3), 1, 1, 1, 1),
    "several rows in a band": ((2, 3, 40, 37), (4, 3, 3, 3), 1, 1, 1, 1),
    "sums of 2^15 products, many channels": ((2, 5, 128, 130), (7, 5, 3, 4), 1, 1, 1, 1),
    "strides and dilations": ((2, 4, 61, 58), (8, 1, 3, 5), (2, 3), (2, 4), (3, 2), 4),
    "a stride that skips taps' residues": ((1, 2, 30, 70), (3, 2, 2, 2), (5, 6), 0, (1, 3), 1),
    "padding wider than a register": ((1, 2, 9, 8), (2, 2, 3, 7), 1, (5, 40), (1, 8), 1),
    "depthwise": ((3, 20, 24, 25), (20, 1, 5, 5), 1, 2, 1, 20),
    "a signal": ((3, 4, 2000), (8, 2, 9), 2, 4, 1, 2),
    "a volume": ((2, 2, 9, 12, 14), (3, 2, 3, 2, 4), (2, 1, 1), (1, 2, 3), (1, 2, 1), 1),
}


@pytest.mark.parametrize("fmt", ["float16", "bfloat16", "float32"])
@pytest.mark.parametrize("problem", PROBLEMS.values(), ids=PROBLEMS)
@pytest.mark.parametrize("threads", [1, 3])
def test_the_bits_are_those_of_the_definition(fmt, problem, threads):
    x_shape, w_shape, *geometry = problem
    problem = ConvProblem.from_shapes(x_shape, w_shape, None, *geometry, spatial_ndim=len(x_shape) - 2)
    for rare in (0, 2e-5):  # every infinity spoils some of the sums
        fill = any_bits(1, FORMATS[fmt], rare)
        x, y = fill(problem.input_shape), fill(problem.output_shape)
        found = gradient(problem, x, y, threads=threads)
        assert same_bits(found, gradient(problem, x, y, algorithm="direct"))


def with_counters(function):
    kernels.reset_counters()
    result = function()
    return result, kernels.counters()


@pytest.mark.parametrize(("large", "rung2", "rung3"), [(2**30, 3, 0), (2**60, 2, 1)])
def test_sums_that_the_bound_does_not_prove_are_made_again(large, rung2, rung3):
    """2^60 + small integers - 2^60, some registers apart, so that a lane loses the integers; the rest is easy.

    A pair of words keeps them, but not beside 2^120.
    """
    x, y = (np.abs(integers(1, np.float32, limit=9)((1, C, 16, 40))) + 1 for C in (8, 4))
    x[0, 1, 5, [4, 20]] = large, -large
    y[0, 3, 5, [4, 20]] = large
    (found, counts) = with_counters(lambda: refconv.grad.conv2d_weight(x, (4, 8, 1, 2), y, padding=((0, 0), (0, 1))))
    exact = np.vdot(x[0, 1].astype(np.int64).astype(object), y[0, 3].astype(np.int64).astype(object))
    assert 0 < exact < 2**24
    assert found[3, 1, 0, 0] == exact
    assert counts["elements"] == found.size
    # And the one tap beside it, and one that is nearly a tie.
    assert (counts["rung2"], counts["rung3"]) == (rung2, rung3)


def test_many_such_sums_are_left_to_the_kernel_that_knows_cuts():
    """Half of the channels of grad_output are the other half with the opposite sign: all sums over pairs are zero."""
    fill = any_bits(1, FORMATS["float32"], rare=0)
    x, y = fill((2, 3, 30, 31)), fill((2, 4, 30, 31))
    x[1], y[1] = x[0], -y[0]
    (found, counts) = with_counters(lambda: refconv.grad.conv2d_weight(x, (4, 3, 3, 3), y, padding=1))
    assert same_bits(found, np.zeros_like(found))
    assert counts["elements"] == found.size
    assert counts["sliced"] > 0


def test_ties_are_to_even():
    """2^24 + 1 and 2^24 + 3 lie half way between two float32 numbers."""
    x = np.zeros((1, 1, 1, 64), np.float32)
    x[..., :4] = [2**24, 1, 2**24 + 2, 1]
    y = np.zeros((1, 1, 1, 62), np.float32)
    y[..., :2] = 1
    assert refconv.grad.conv2d_weight(x, (1, 1, 1, 3), y).tolist() == [[[[2**24, 2**24 + 4, 2**24 + 4]]]]
