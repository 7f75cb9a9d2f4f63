"""The whole family: problems over one to three axes, and everything that refconv computes of each.

A problem here is that of a forward convolution. The transposed convolution and the gradients are those of the same
problem, so all five are made from one set of arrays.
"""

import numpy as np
from hypothesis import strategies as st

import refconv
from refconv import geometry
from refconv.problem import ConvProblem

#: What is computed, and which tensors of the problem from: the input x, the weight w, the bias b of the output, and y,
#: which is shaped like the output and stands for its gradient. The transposed convolution has a bias shaped like x.
OPERATIONS = ("conv", "conv_transpose", "input", "weight", "bias")


@st.composite
def problems(draw, n=None, batches=(1, 2, 0), channels=2, groups=2, kernel=3, stride=3, spare=3, symmetric=False):
    """Forward problems, always batched; the numbers are the most that is drawn of each."""
    n = n or draw(st.integers(1, 3))
    axes = []
    for _ in range(n):
        k, s, d = draw(st.integers(1, kernel)), draw(st.integers(1, stride)), draw(st.integers(1, 3))
        begin = draw(st.integers(0, 3))
        end = begin if symmetric else draw(st.integers(0, 3))
        least = max(1, geometry.extent(k, d) - begin - end)
        axes.append((draw(st.integers(least, least + spare)), k, s, (begin, end), d))
    size, kernel_size, strides, padding, dilation = zip(*axes, strict=True)
    G = draw(st.integers(1, groups))
    C_in, C_out = draw(st.integers(1, channels)) * G, draw(st.integers(1, channels)) * G
    x_shape = (draw(st.sampled_from(batches)), C_in, *size)
    return ConvProblem.from_shapes(
        x_shape, (C_out, C_in // G, *kernel_size), (C_out,), strides, padding, dilation, G, spatial_ndim=n
    )


def arrays(problem, fill):
    """Tensors for all operations, by name, each from ``fill(shape)``."""
    shapes = {
        "x": problem.input_shape,
        "w": problem.weight_shape,
        "y": problem.output_shape,
        "b": (problem.C_out,),
        "b_transposed": (problem.C_in,),
    }
    return {name: fill(shape) for name, shape in shapes.items()}


def arguments(problem):
    """Keyword arguments that all but the bias gradient take."""
    return {
        "stride": problem.stride,
        "padding": problem.padding,
        "dilation": problem.dilation,
        "groups": problem.groups,
    }


def left_over(problem):
    """The output_padding with which the transposed convolution gives the input's size back."""
    axes = zip(problem.input_size, problem.kernel_size, problem.stride, problem.padding, problem.dilation, strict=True)
    return tuple((size + sum(pads) - geometry.extent(k, d)) % s for size, k, s, pads, d in axes)


def compute(operation, problem, x, w, y, b, b_transposed, **options):
    """One operation by refconv."""
    n = problem.spatial_ndim
    if operation == "conv":
        return getattr(refconv, f"conv{n}d")(x, w, b, **arguments(problem), **options)
    if operation == "conv_transpose":
        options["output_padding"] = left_over(problem)
        return getattr(refconv, f"conv_transpose{n}d")(y, w, b_transposed, **arguments(problem), **options)
    gradient = getattr(refconv.grad, f"conv{n}d_{operation}")
    if operation == "input":
        return gradient(problem.input_shape, w, y, **arguments(problem), **options)
    if operation == "weight":
        return gradient(x, problem.weight_shape, y, **arguments(problem), **options)
    return gradient(y, **options)


def products(problem):
    """Yield, for every product of the forward convolution, the index of its input, its weight and its output.

    Written as an enumeration on purpose: forward, transposed and gradients all follow from this one list, without an
    equation that would have to be solved.
    """
    C_in, C_out = problem.C_in // problem.groups, problem.C_out // problem.groups
    for n, oc, ic in np.ndindex(problem.N, problem.C_out, C_in):
        for o in np.ndindex(*problem.output_size):
            for k in np.ndindex(*problem.kernel_size):
                i = tuple(
                    position * stride - begin + tap * dilation
                    for position, tap, stride, (begin, _), dilation in zip(
                        o, k, problem.stride, problem.padding, problem.dilation, strict=True
                    )
                )
                if all(0 <= index < size for index, size in zip(i, problem.input_size, strict=True)):
                    yield (n, oc // C_out * C_in + ic, *i), (oc, ic, *k), (n, oc, *o)
