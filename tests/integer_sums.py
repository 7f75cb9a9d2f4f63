"""Convolutions of integers in Python's own, which have no limits; and what a dtype makes of them."""

import itertools

import numpy as np

DTYPES = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]


def convolution(problem, input, weight, bias):
    """The exact result of a ConvProblem, forward or transposed, as an array of Python integers."""
    batched = input if problem.batched else input[np.newaxis]
    N, groups = problem.N, problem.groups
    x = batched.astype(object).reshape(N, groups, problem.C_in // groups, *problem.input_size)
    w = weight.astype(object).reshape(groups, len(weight) // groups, *weight.shape[1:])
    y = np.zeros((N, groups, problem.C_out // groups, *problem.output_size), object)
    for position in itertools.product(*map(range, problem.output_size)):
        for tap, place in problem.taps(*position):
            # [group, item, ic] and [group, ic, oc], of a transposed one as it is stored
            xs, ws = x[(..., *place)].swapaxes(0, 1), w[(..., *tap)]
            y[(..., *position)] += (xs @ (ws if problem.transposed else ws.swapaxes(1, 2))).swapaxes(0, 1)
    y = y.reshape(N, problem.C_out, *problem.output_size)
    if bias is not None:
        y += bias.astype(object).reshape(-1, *(1,) * problem.spatial_ndim)
    return y if problem.batched else y[0]


def gradients(problem, input, weight, grad_output):
    """The exact gradients of a batched forward ConvProblem by its input and by its weight."""
    N, groups = problem.N, problem.groups
    x = input.astype(object).reshape(N, groups, problem.C_in // groups, *problem.input_size)
    w = weight.astype(object).reshape(groups, len(weight) // groups, *weight.shape[1:])
    g = grad_output.astype(object).reshape(N, groups, problem.C_out // groups, *problem.output_size)
    by_input, by_weight = np.zeros(x.shape, object), np.zeros(w.shape, object)
    for position in itertools.product(*map(range, problem.output_size)):
        for tap, place in problem.taps(*position):
            gs, xs = g[(..., *position)].swapaxes(0, 1), x[(..., *place)].swapaxes(0, 1)
            by_input[(..., *place)] += (gs @ w[(..., *tap)]).swapaxes(0, 1)
            by_weight[(..., *tap)] += gs.swapaxes(1, 2) @ xs
    return by_input.reshape(problem.input_shape), by_weight.reshape(problem.weight_shape)


def limits(dtype):
    """The least and the greatest number of an integer dtype, as Python integers."""
    return int(np.iinfo(dtype).min), int(np.iinfo(dtype).max)


def fitted(sums, dtype, overflow):
    """What becomes of exact sums in a dtype if they are wrapped or saturated."""
    least, greatest = limits(dtype)
    if overflow == "saturate":
        numbers = [min(max(int(s), least), greatest) for s in sums.flat]
    else:
        numbers = [(int(s) - least) % (greatest - least + 1) + least for s in sums.flat]
    return np.array(numbers, dtype).reshape(sums.shape)


def first_misfit(sums, dtype):
    """Index and value of the first sum that a dtype cannot hold, or None."""
    least, greatest = limits(dtype)
    return next(((index, int(s)) for index, s in np.ndenumerate(sums) if not least <= s <= greatest), None)


def fill(seed, dtype, bits):
    """A fill of numbers with up to so many bits, many of them at the ends of that range."""
    rng = np.random.default_rng(seed)
    least, greatest = limits(dtype)
    least, greatest = max(least, -(2**bits)), min(greatest, 2**bits - 1)

    def numbers(shape):
        anything = rng.integers(least, greatest, shape, np.dtype(dtype), endpoint=True)
        ends = rng.choice(np.array([least, greatest, 0, 1], dtype), shape)
        return np.where(rng.random(shape) < 0.3, ends, anything)

    return numbers
