"""Hypothesis strategies for calls of every function of the family, as operations."""

import numpy as np
from hypothesis import strategies as st

from refconv.testing.calls import ConvCase
from refconv.testing.layouts import LAYOUTS
from refconv.testing.operation import OPS
from refconv.testing.recipes import RECIPES, build_operands
from refconv.testing.strategies import related_call

__all__ = ["operations"]

# Of recipes whose results are numbers of all kinds.
_RECIPES = tuple(recipe for recipe in RECIPES if recipe != "signed_zeros")
# From the simplest to the least simple, for each number of spatial axes.
_OPS = {axes: tuple(op for op in OPS if f"{axes}d" in op) for axes in (1, 2, 3)}


@st.composite
def operations(draw, calls, *, dtypes=("float32",), recipes=_RECIPES, ops=None, layouts=tuple(LAYOUTS), views=False):
    """Draw calls with numbers, of one function or another.

    Parameters
    ----------
    calls : strategy of ConvCall
        Forward convolutions. The other functions get the shapes and arguments of one, too: the transposed convolution
        and the gradients of it.
    dtypes : collection of str, optional
        Formats of the operands.
    recipes : collection of str, optional
        Keys of `refconv.testing.recipes.RECIPES`; by default all but that of zeros.
    ops : collection of str, optional
        Names of functions over as many axes as the calls have; by default all of them.
    layouts : collection of str, optional
        Keys of `refconv.testing.layouts.LAYOUTS` in which operands may lie in memory.
    views : bool, optional
        Whether every operand lies in one of these layouts, and not only some in half of the cases.

    Returns
    -------
    strategy of Operation
    """
    call = draw(calls)
    op = draw(st.sampled_from(ops or _OPS[call.spatial_ndim]), label="op")
    dtype = np.dtype(draw(st.sampled_from(dtypes), label="dtype"))
    recipe = draw(st.sampled_from(recipes), label="recipe")
    seed = draw(st.integers(0, 2**32 - 1), label="seed")
    bits = draw(st.integers(1, 53), label="bits")
    call = related_call(draw, call, op)
    operands = build_operands(recipe, call, dtype, seed, bits)
    return ConvCase(call, _laid_out(draw, operands, layouts, views), recipe="").operation


def _laid_out(draw, operands, layouts, views):
    """The same numbers in other layouts; repeated ones for a stride of zero."""
    if not layouts or not (views or draw(st.booleans(), label="views")):
        return operands
    given = operands.given
    names = [name for name in given if views or draw(st.booleans(), label=f"{name} is a view")]
    for name in names:
        array = given[name]
        layout = draw(st.sampled_from(layouts), label=f"layout of {name}")
        if layout == "expanded":
            array = np.repeat(array[:1], len(array), axis=0)
        operands = operands._replace(**{name: LAYOUTS[layout](array)})
    return operands
