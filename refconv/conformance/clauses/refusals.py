"""Clauses about calls that are wrong."""

import numpy as np

from refconv.conformance import judges
from refconv.conformance.clauses.clause import clause
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

    calls = bad_calls(op)
    if profile.padding != "torch":
        calls = calls.filter(lambda bad: bad.fault not in _IN_TORCH_ONLY and bad.call.padding not in _NAMES_ELSEWHERE)
    return calls.map(with_ones)


@clause("Wrong calls are refused", _refused, kinds=("forward", "transposed"), needs=("errors",))
def errors(target, case, _):
    """A call whose shapes or arguments make no sense raises a ValueError, RuntimeError or TypeError instead of
    returning something. For torch: the same exception, with the same text, as from refconv."""
    judges.expect_refusal(target, case)
