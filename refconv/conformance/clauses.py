"""The specification of conv2d, one property after the other: a paragraph of text and the test that enforces it.

The first clauses vary one thing at a time, so that the names of those that fail say what is wrong; "anything goes" and
"rounding" vary everything at once. Cases are drawn by Hypothesis from `refconv.testing.strategies`. Wherever the data
allow it the result has to be *equal* to the exact one: small integers, whose sums no order of summation rounds.

Three things are left open on purpose, because torch's backends do not agree on them: the sign of a zero, infinite or
NaN weights under padding, and results of sums that overflow on the way.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from refconv.conformance import judges
from refconv.conformance.judges import Tally
from refconv.conformance.targets import FunctionTarget
from refconv.testing.calls import ConvCase, Operands
from refconv.testing.layouts import LAYOUTS, NEEDS_NEGATIVE_STRIDES
from refconv.testing.recipes import EXACT, ROUNDED, exact_in_any_order
from refconv.testing.strategies import BadCall, bad_calls, conv_calls, conv_cases, long_sums

__all__ = ["CLAUSES", "Clause"]

CaseStrategies = Callable[[FunctionTarget, str], "SearchStrategy[ConvCase]"]


@dataclass(frozen=True)
class Clause:
    """One property that every implementation has to have.

    Parameters
    ----------
    key : str
        Short name, for ``-k``.
    title : str
        The property in a few words.
    text : str
        The paragraph of the specification.
    cases : callable
        Returns, for a target and the name of a dtype, the strategy that draws cases.
    check : callable
        Raises a `Mismatch` if a target has not got the property on a case.
    exact : bool
        Whether cases must be exact in any order of summation.
    """

    key: str
    title: str
    text: str
    cases: CaseStrategies
    check: Callable[[FunctionTarget, ConvCase, Tally], None]
    exact: bool

    def admits(self, case: ConvCase) -> bool:
        """Return whether the clause can judge a case at all."""
        return not self.exact or exact_in_any_order(case.operands)


#: All clauses, in the order of the specification.
CLAUSES: list[Clause] = []


def _clause(title: str, cases: CaseStrategies, *, exact: bool = False):
    """Register a check as a clause. Its name is the key, its docstring the paragraph of the specification."""

    def register(check):
        key = check.__name__.replace("_", "-")
        CLAUSES.append(Clause(key, title, " ".join(check.__doc__.split()), cases, check, exact))
        return check

    return register


# Flushing subnormal numbers to zero is a fault with a clause of its own, so the others do without them.
_INTEGERS = frozenset(EXACT) - {"subnormal_integers"}


def _exact(*vary: str, always: tuple[str, ...] = (), recipes=_INTEGERS) -> CaseStrategies:
    """Cases in which only some features vary, with numbers whose sums are exact."""
    calls = conv_calls(vary=vary, always=always)
    return lambda _, dtype: conv_cases(dtype, recipes, calls)


# Most calls of any kind, and some with few outputs that are long sums.
_ANY_CALLS = st.one_of(conv_calls(), conv_calls(), long_sums())


# ---- One thing at a time ----


@_clause(
    "The result has the right shape and dtype", lambda _, dtype: conv_cases(dtype, ["small_integers"], conv_calls())
)
def shape(target, case, _):
    """The result has shape (N, C_out, oH, oW), or (C_out, oH, oW) for an input without a batch axis, where along each
    axis oH = floor((H + pads - dilation * (kH - 1) - 1) / stride) + 1. Its dtype is that of the operands."""
    judges.expect_shape_and_dtype(target, case)


@_clause("The kernel is not flipped", _exact("kernel"), exact=True)
def kernel(target, case, _):
    """out[oh, ow] = sum over r, s of input[oh + r, ow + s] * weight[r, s]: the kernel lies over the image as it is
    stored. (This is cross-correlation; a mathematical convolution would turn the kernel by 180 degrees.)"""
    judges.expect_equal(target, case)


@_clause("Every channel counts, once", _exact("channels"), exact=True)
def channels(target, case, _):
    """Output channel k is the sum over all input channels c of input[c] * weight[k, c], for any number of channels:
    also those that are not a multiple of a vector's length."""
    judges.expect_equal(target, case)


@_clause("Images of a batch are independent", _exact("kernel", "channels", "batch", "empty_batch", "bias"), exact=True)
def batch(target, case, _):
    """Every image of a batch is convolved by itself, with the same weights and the same bias. A batch of no images
    gives a result with no images."""
    judges.expect_equal(target, case)


@_clause("An input needs no batch axis", _exact("kernel", "channels", "bias", always=("unbatched",)), exact=True)
def unbatched(target, case, _):
    """An input of shape (C_in, H, W) is one image, and the result has shape (C_out, oH, oW)."""
    judges.expect_equal(target, case)


@_clause("The bias is added once, per channel", _exact("channels", "batch", always=("bias",)), exact=True)
def bias(target, case, _):
    """bias[k] is added to every element of output channel k, once."""
    judges.expect_equal(target, case)


@_clause("The stride is respected, per axis", _exact("kernel", "stride"), exact=True)
def stride(target, case, _):
    """The window of output row oh begins at input row oh * stride[0], that of output column ow at column ow *
    stride[1]. An int is short for two equal numbers. Rows and columns left over at the end are not read. The stride may
    be larger than the kernel."""
    judges.expect_equal(target, case)


@_clause("The dilation is respected, per axis", _exact("kernel", "dilation"), exact=True)
def dilation(target, case, _):
    """Tap r of the kernel lies r * dilation[0] rows below the window's first row, tap s lies s * dilation[1] columns to
    the right. A dilation of 1 leaves no gaps."""
    judges.expect_equal(target, case)


@_clause("Padding adds zeros on all sides", _exact("kernel", "padding"), exact=True)
def padding(target, case, _):
    """padding[0] rows of zeros are put above and below the image, padding[1] columns left and right of it. There is no
    upper limit: the kernel may be larger than the image, and windows that lie in the padding altogether give the
    bias."""
    judges.expect_equal(target, case)


@_clause(
    "'same' and 'valid' name paddings",
    _exact("kernel", "stride", "dilation", always=("named_padding",)),
    exact=True,
)
def named_padding(target, case, _):
    """'valid' is no padding. 'same' is dilation * (k - 1) zeros along each axis, so that the result is as large as the
    image; if the number is odd, the extra zero goes to the end (below and right). 'same' is defined for stride 1
    only."""
    judges.expect_equal(target, case)


@_clause("Groups do not see each other", _exact("kernel", "channels", "groups", "bias"), exact=True)
def groups(target, case, _):
    """Input and output channels are cut into `groups` equal runs, and run g of the output is made of run g of the input
    alone. groups = C_in is a depthwise convolution, with C_out / C_in kernels per channel."""
    judges.expect_equal(target, case)


# ---- Everything at once ----


@_clause(
    "Anything goes with anything, exactly",
    lambda _, dtype: conv_cases(dtype, _INTEGERS, _ANY_CALLS),
    exact=True,
)
def anything_goes(target, case, _):
    """All of the above in every combination: out[n, k, oh, ow] = bias[k] + sum over c, r, s of input[n, g * C_in /
    groups + c, oh * stride - padding + r * dilation, ow * stride - padding + s * dilation] * weight[k, c, r, s], where
    g is the group of k and the sum is over the taps inside the image. If all products and partial sums are numbers of
    the format, the result is exact."""
    judges.expect_equal(target, case)


@_clause(
    "Rounding stays within what it may cost",
    lambda _, dtype: conv_cases(dtype, ROUNDED, _ANY_CALLS),
)
def rounding(target, case, tally):
    """Results differ from the exact sum by no more than m u (1 + u) A: m is the number of terms that are not zero, u
    the unit roundoff of the operands' format, A the sum of the terms' absolute values. That is the most that adding
    them in any order can cost if every step is rounded to nearest. Half of the least subnormal number per term is
    allowed besides, for products that underflow. Sums that may overflow on the way are not judged."""
    judges.expect_within_bound(target, case, tally)


@_clause(
    "NaN and infinity reach what they should",
    lambda _, dtype: conv_cases(dtype, ["special_values"], conv_calls()),
)
def non_finite(target, case, tally):
    """A NaN operand makes every result NaN whose window holds it, and no other; so do infinity times zero and
    infinities of both signs. Any other infinity gives that infinity. Padding does not multiply with anything."""
    judges.expect_within_bound(target, case, tally)


@_clause("Subnormal numbers are kept", _exact("kernel", "channels", "bias", recipes={"subnormal_integers"}), exact=True)
def subnormals(target, case, _):
    """Operands, products and sums below the least normal number are numbers like any other, not zeros."""
    judges.expect_equal(target, case)


# ---- Memory ----


@st.composite
def _views(draw, target: FunctionTarget, dtype: str) -> ConvCase:
    case = draw(
        conv_cases(dtype, ["small_integers"], conv_calls(vary=("kernel", "channels", "batch", "bias", "padding")))
    )
    names = [name for name in LAYOUTS if target.negative_strides or name not in NEEDS_NEGATIVE_STRIDES]
    layouts = draw(st.fixed_dictionaries({}, optional={name: st.sampled_from(names) for name in Operands._fields}))
    repeated = {
        name: np.repeat(array[:1], len(array), axis=0)
        for name, array in case.operands._asdict().items()
        if layouts.get(name) == "expanded" and array is not None
    }
    return replace(case, operands=case.operands._replace(**repeated), layouts=layouts)


@_clause("Operands may be views of any layout", _views, exact=True)
def views(target, case, _):
    """The result depends on the operands' numbers, not on how they lie in memory: slices with and without steps,
    Fortran order, channels last, repeated entries with a stride of zero (such operands are read-only), and, where the
    array library has them, negative strides."""
    judges.expect_equal(target, case)


@_clause("Operands are left alone", lambda _, dtype: conv_cases(dtype, ["normal"], conv_calls()))
def untouched(target, case, _):
    """The call does not write to its operands."""
    judges.expect_untouched(target, case)


@_clause("The same call gives the same bits", lambda _, dtype: conv_cases(dtype, ["normal"], _ANY_CALLS))
def repeatable(target, case, _):
    """A call with the same operands gives the same bits, whatever was computed in between, and a result does not change
    after it has been returned."""
    judges.expect_repeatable(target, case)


# ---- Wrong calls ----


def _refused(_: FunctionTarget, dtype: str) -> "SearchStrategy[ConvCase]":
    def with_ones(bad: BadCall) -> ConvCase:
        shapes = (bad.call.input_shape, bad.call.weight_shape, bad.call.bias_shape)
        ones = Operands(*(None if shape is None else np.ones(shape, dtype) for shape in shapes))
        return ConvCase(bad.call, ones, recipe="ones", fault=bad.fault)

    return bad_calls().map(with_ones)


@_clause("Wrong calls are refused", _refused)
def errors(target, case, _):
    """A call whose shapes or arguments make no sense raises a ValueError, RuntimeError or TypeError instead of
    returning something. For torch: the same exception, with the same text, as from refconv."""
    judges.expect_refusal(target, case)
