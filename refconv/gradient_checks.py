"""The checks of the gradients' shapes, in torch's order and with torch's words.

Gradients share most checks with the forward convolution, but torch makes them in another order, and some have other
texts. The order is again that found by making every pair of faults at once. `refconv.checks` has the rest.
"""

from refconv import checks
from refconv.checks import Call, Resolved
from refconv.errors import ConvError
from refconv.geometry import output_size

__all__ = ["check_gradient"]


def check_gradient(call: Call) -> Resolved:
    """Raise `ConvError` for the first thing that is wrong with a call of a gradient, or return its arguments resolved.

    Parameters
    ----------
    call : Call
        With a grad_output_shape. One of input_shape and weight_shape is what the caller says of the result.

    Returns
    -------
    Resolved

    Raises
    ------
    ConvError
        ``Expected a tensor of dimension 4 and tensor.size[2] == 6 but got: dimension 4 and tensor.size[2] = 7`` and
        more. Torch does not compare the batches of input and grad_output, nor, in groups, their channels, and reads
        whatever lies behind an operand that is too small; here that is an error too.
    """
    checks.check_spatial_ndim(call)
    checks.check_int64(call)
    _check_no_negative_result_size(call)
    checks.check_weight_ndim(call)
    resolved = checks.resolve(call)
    checks.check_signs(call, resolved)
    _check_gradient_groups(call)
    checks.check_equal_ndim(call)
    checks.check_weight_divides(call)
    checks.check_channels(call, resolved)
    checks.check_largest_padding(resolved)
    checks.check_kernel_fits(call, resolved)
    _check_grad_output_ndim(call)
    checks.check_empty_input(call)
    checks.check_kernel_size(call, resolved)
    checks.check_dilation(call, resolved)
    _check_grad_output_shape(call, resolved)
    return resolved


def _check_no_negative_result_size(call: Call) -> None:
    # Torch makes a tensor of the result's shape by stretching a single element.
    for shape in (call.input_shape, call.weight_shape):
        for axis, size in enumerate(shape):
            if size < 0:
                what = f"The expanded size of the tensor ({size})"
                raise ConvError(f"{what} isn't allowed in a leading, non-existing dimension {axis}")


def _check_gradient_groups(call: Call) -> None:
    if call.groups <= 0:
        raise ConvError(f"expected groups to be greater than 0, but got groups={call.groups}")


def _check_grad_output_ndim(call: Call) -> None:
    ndims = len(call.input_shape), len(call.grad_output_shape)
    if ndims[0] != ndims[1]:
        raise ConvError(
            f"Expected input and grad_output to have the same number of dimensions, but got: {ndims[0]} and {ndims[1]}"
        )


def _check_grad_output_shape(call: Call, resolved: Resolved) -> None:
    N, C_out = call.input_shape[0], call.weight_shape[0]
    per_axis = zip(
        call.input_shape[2:], call.weight_shape[2:], resolved.stride, resolved.padding, resolved.dilation, strict=True
    )
    expected = [N, C_out, *checks.as_seen([output_size(*axis) for axis in per_axis], 1)]
    got = [*call.grad_output_shape[:2], *checks.as_seen(call.grad_output_shape[2:], 1)]
    if any(d != 1 for d in resolved.dilation):
        # Another native kernel, with other texts.
        if got[1] != C_out:
            raise ConvError(f"grad_output.size(1)={got[1]} must be weight.size(0)={C_out}")
        if got[2:] != expected[2:]:
            sizes = " ".join(map(str, expected[2:]))
            raise ConvError(f"grad_output[2:] shape{got[2:]} must be equal to output size {sizes}")
    for axis in (*range(1, len(expected)), 0):  # the batch, which torch does not look at, comes last
        if got[axis] != expected[axis]:
            dimension = f"dimension {len(expected)}"
            raise ConvError(
                f"Expected a tensor of {dimension} and tensor.size[{axis}] == {expected[axis]} "
                f"but got: {dimension} and tensor.size[{axis}] = {got[axis]}"
            )
