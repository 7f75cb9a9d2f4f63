"""Hypothesis strategies for calls of every function of the family over two spatial axes, as operations."""

from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
from hypothesis import strategies as st

from refconv.testing.layouts import LAYOUTS
from refconv.testing.operation import Operation
from refconv.testing.recipes import RECIPES, build_operands

__all__ = ["operations"]

_TWO_AXES = ("conv2d", "conv_transpose2d", "conv2d_input", "conv2d_weight", "conv2d_bias")


class _Shapes(NamedTuple):
    """What a recipe has to know of a call."""

    input_shape: tuple[int, ...]
    weight_shape: tuple[int, ...]
    bias_shape: tuple[int, ...] | None
    pads: bool

    @property
    def problem(self):
        return SimpleNamespace(terms=int(np.prod(self.weight_shape[1:])))


@st.composite
def operations(
    draw, calls, *, dtypes=("float32",), recipes=tuple(RECIPES), ops=_TWO_AXES, layouts=tuple(LAYOUTS), views=False
):
    """Draw calls with numbers, of one function or another.

    Parameters
    ----------
    calls : strategy of ConvCall
        Forward convolutions. The other functions get the shapes and arguments of one, too: the transposed convolution
        and the gradients of it.
    dtypes : collection of str, optional
        Formats of the operands.
    recipes : collection of str, optional
        Keys of `refconv.testing.recipes.RECIPES`.
    ops : collection of str, optional
        Names of functions over two axes.
    layouts : collection of str, optional
        Keys of `refconv.testing.layouts.LAYOUTS` in which operands may lie in memory.
    views : bool, optional
        Whether every operand lies in one of these layouts, and not only some in half of the cases.

    Returns
    -------
    strategy of Operation
    """
    call = draw(calls)
    op = draw(st.sampled_from(ops), label="op")
    dtype = np.dtype(draw(st.sampled_from(dtypes), label="dtype"))
    recipe = draw(st.sampled_from(recipes), label="recipe")
    seed = draw(st.integers(0, 2**32 - 1), label="seed")
    bits = draw(st.integers(1, 53), label="bits")
    problem = call.problem
    stride, padding, dilation, groups = call.arguments
    if op != "conv2d":
        padding = problem.padding
    geometry = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    x = call.input_shape if op == "conv2d" else (problem.N, problem.C_in, *problem.input_size)
    g = (problem.N, problem.C_out, *problem.output_size)
    w, bias = call.weight_shape, call.bias_shape
    bias_of = {"conv2d": bias, "conv_transpose2d": None if bias is None else (problem.C_in,)}
    first, second = {
        "conv2d": (x, w),
        "conv_transpose2d": (g, w),
        "conv2d_input": (g, w),
        "conv2d_weight": (x, g),
        "conv2d_bias": (g, (1, 1)),
    }[op]
    shapes = _Shapes(first, second, bias_of.get(op), pads=any(map(sum, problem.padding)))
    operands = _laid_out(draw, build_operands(recipe, shapes, dtype, seed, bits), layouts, views)
    if op == "conv2d":
        return Operation.of(op, *operands, **geometry)
    if op == "conv_transpose2d":
        return _transposed(draw, operands, problem, geometry)
    if op == "conv2d_input":
        return Operation.of(op, x, operands.weight, grad_output=operands.input, **geometry)
    if op == "conv2d_weight":
        return Operation.of(op, operands.input, w, grad_output=operands.weight, **geometry)
    return Operation.of(op, grad_output=operands.input)


def _transposed(draw, operands, problem, geometry):
    """With some rows and columns added, and no more cut off than there are."""
    added = tuple(
        draw(st.integers(0, max(s, d) - 1), label="output_padding")
        for s, d in zip(problem.stride, problem.dilation, strict=True)
    )
    sizes = zip(problem.output_size, problem.kernel_size, problem.stride, problem.dilation, strict=True)
    whole = [(o - 1) * s + d * (k - 1) + 1 for o, k, s, d in sizes]
    if any(sum(pads) >= size for pads, size in zip(problem.padding, whole, strict=True)):
        geometry = {**geometry, "padding": 0}
    return Operation.of("conv_transpose2d", *operands, output_padding=added, **geometry)


def _laid_out(draw, operands, layouts, views):
    """The same numbers in other layouts; repeated ones for a stride of zero."""
    if not layouts or not (views or draw(st.booleans(), label="views")):
        return operands
    names = operands._fields if views else draw(st.sets(st.sampled_from(operands._fields)), label="views of")
    for name in names:
        array = getattr(operands, name)
        if array is None:
            continue
        layout = draw(st.sampled_from(layouts), label=f"layout of {name}")
        if layout == "expanded":
            array = np.repeat(array[:1], len(array), axis=0)
        operands = operands._replace(**{name: LAYOUTS[layout](array)})
    return operands
