"""A complex operation as two real ones, for its real and its imaginary part.

As in `refconv.complexes`: with x = xr + i xi and w = wr + i wi, nothing conjugated, both parts are real sums of twice
as many terms,

    re = sum  xr wr  +  xi (-wi)
    im = sum  xr wi  +  xi wr

so that a bound of a real sum is one of a part. Of products by three multiplications it is not.
"""

import numpy as np

from refconv.testing.operation import Operation

__all__ = ["real_and_imaginary"]


def real_and_imaginary(operation: Operation) -> tuple[Operation, Operation]:
    """Return the operations that give the real and the imaginary part of a complex result.

    They have both parts of x side by side along what is summed over: the channels of every group, or the batch.
    """
    x, w, bias, groups = operation.x, operation.w, operation.bias, operation.groups
    if operation.kind == "weight":
        groups, x_axis, w_axis = 1, 0, 0
    else:
        x_axis, w_axis = 1, (1 if operation.kind == "forward" else 0)
    of_w = 1 if operation.kind == "forward" else groups
    both = _side_by_side(x.real, x.imag, x_axis, groups)
    biases = (None, None) if bias is None else (bias.real, bias.imag)
    return tuple(
        operation.replace(x=both, w=_side_by_side(*pair, w_axis, of_w), bias=part)
        for pair, part in zip(((w.real, -w.imag), (w.imag, w.real)), biases, strict=True)
    )


def _side_by_side(first, second, axis, groups):
    """Both arrays in one, along an axis: in each of its groups the part of the first comes first."""
    shape = first.shape
    in_groups = (*shape[:axis], groups, shape[axis] // groups, *shape[axis + 1 :])
    both = np.concatenate([first.reshape(in_groups), second.reshape(in_groups)], axis=axis + 1)
    return both.reshape(*shape[:axis], 2 * shape[axis], *shape[axis + 1 :])
