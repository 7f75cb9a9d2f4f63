"""Clauses about calls that are wrong."""

import numpy as np

from refconv.conformance import judges
from refconv.conformance.clauses.clause import CONVOLUTIONS, clause
from refconv.dtypes import named_dtype
from refconv.testing.bad_calls import BadCall, bad_calls
from refconv.testing.calls import ConvCase, Operands

# What is wrong in torch's dialect only: elsewhere 'same' means a result of the image's size divided by the stride, an
# image without pixels may be padded, and a result may be made longer by any number.
_IN_TORCH_ONLY = (
    "'same' with a stride",
    "image without pixels",
    "output_padding not smaller than stride or dilation",
)

_NAMES_ELSEWHERE = ("SAME", "VALID", "SAME_UPPER", "SAME_LOWER")


def _refused(profile, op, dtype):
    def with_ones(bad: BadCall) -> ConvCase:
        ones = Operands(**{name: np.ones(shape, named_dtype(dtype)) for name, shape in bad.call.shapes.items()})
        return ConvCase(bad.call, ones, recipe="ones", fault=bad.fault)

    if profile.padding == "torch":
        return bad_calls(op).map(with_ones)
    bad = bad_calls(op, without=_IN_TORCH_ONLY)
    return bad.filter(lambda bad: bad.call.padding not in _NAMES_ELSEWHERE).map(with_ones)


@clause("Wrong calls are refused", _refused, kinds=CONVOLUTIONS, needs=("errors",), weight=2.0)
def errors(target, case, _):
    """A call whose shapes or arguments make no sense raises a ValueError, RuntimeError or TypeError instead of
    returning something. For torch: the same exception, with the same text, as from refconv."""
    judges.expect_refusal(target, case)


@clause("Wrong calls of gradients are refused", _refused, kinds=("by input", "by weight"), needs=("errors",))
def gradient_errors(target, case, _):
    """The same for gradients, whatever the text: also if grad_output has not got the shape of the convolution's
    result."""
    judges.expect_refusal(target, case)
