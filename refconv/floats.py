"""Correctly rounded correlation of float arrays: by the fast kernel, or by the definition."""

from refconv import kernels
from refconv import threads as threading
from refconv.arrays import aligned, as_buffer, as_encodings, as_float64, contiguous, with_three_axes
from refconv.dtypes import format_of
from refconv.kernels import direct, isa
from refconv.kernels.exact import FloatFormat

__all__ = ["correlate", "run_direct", "weight_gradient"]

# Below this many multiply-adds waking a thread costs more than it gains; for the direct kernel, half a millisecond.
_FAST_MACS_WORTH_A_THREAD = 1 << 20
_MACS_WORTH_A_THREAD = 1 << 16

# The weight gradient along rows is worth its while for few output channels in a group, or sums so long that the packed
# kernel of the correlation would not stay in a cache; if a row has more than one tap, and steps are those of layers.
_FEW_CHANNELS = 5
_LONG_SUM = 1 << 15
_LARGEST_STEP_OF_ROWS = 8


def correlate(input, weight, bias, output, *, stride, padding, dilation, groups, algorithm, threads):
    """Fill `output` with the correctly rounded correlation; as `refconv.correlate.correlate`, for float dtypes."""
    macs = output.size * (weight.size // weight.shape[0])
    if algorithm != "direct":
        threads = threads if macs >= _FAST_MACS_WORTH_A_THREAD else 1
        call = isa.blocked.Convolution(
            aligned(as_buffer(input)),
            contiguous(as_buffer(weight)),
            None if bias is None else contiguous(as_buffer(bias)),
            as_buffer(output),
            stride,
            padding,
            dilation,
            groups,
            format_of(input.dtype),
            format_of(output.dtype),
            threads,
        )
        if not call.oversized:
            threading.run(call.run, min(threads, call.units))
            kernels.add_counts(*call.tally())
            return
    geometry = (stride, padding, dilation)
    run_direct(direct.correlate, (input, weight, bias), output, geometry, groups, macs, threads)


def weight_gradient(input, grad_output, grad_weight, *, stride, padding, dilation, groups, threads):
    """Fill `grad_weight` by the kernel for few and long sums, and return True; or return False if that is not apt.

    Arguments are those of `refconv.adjoint.weight_gradient`, none of them empty.
    """
    formats = format_of(input.dtype), format_of(grad_weight.dtype)
    if None in formats or FloatFormat.FLOAT64 in formats:
        return False
    few = grad_weight.shape[0] // groups < _FEW_CHANNELS
    long = grad_output.size // grad_output.shape[1] >= _LONG_SUM
    steps = max(*stride, *dilation)
    if not (few or long) or grad_weight.shape[-1] == 1 or steps > _LARGEST_STEP_OF_ROWS:
        return False
    call = isa.weight_rows.WeightGradient(
        *map(aligned, map(as_buffer, (input, grad_output))),
        as_buffer(grad_weight),
        stride,
        padding,
        dilation,
        groups,
        *formats,
    )
    macs = grad_output.size * (grad_weight.size // grad_weight.shape[0])
    threading.run(call.run, min(threads, call.units) if macs >= _FAST_MACS_WORTH_A_THREAD else 1)
    lower_rungs = call.finish(threading.NEVER)
    if lower_rungs is None:
        return False
    kernels.add_counts(grad_weight.size, 0, *lower_rungs)
    return True


def run_direct(kernel, operands, output, geometry, groups, macs, threads):
    """Fill `output` by one of the definitions in ``direct.pyx`` and ``direct_grad.pyx``.

    Parameters
    ----------
    kernel : callable
        Takes the operands, the output's encodings and format, the geometry, the groups, and ranges of the output's
        first two axes.
    operands : tuple of ndarray, shape (N, C, ...) or (C,), or None
    output : ndarray, shape (N, C, ...)
    geometry : (stride, padding, dilation), tuples of int
    groups, macs, threads : int
    """
    fixed = [None if operand is None else with_three_axes(as_float64(operand)) for operand in operands]
    fixed += [with_three_axes(as_encodings(output)), format_of(output.dtype)]
    for neutral, values in zip((1, 0, 1), geometry, strict=True):
        fixed.append((neutral,) * (5 - output.ndim) + tuple(values))

    def work(items, channels, stop):
        kernel(*fixed, groups, items, channels, stop)

    threading.run_channels(work, *output.shape[:2], threads if macs >= _MACS_WORTH_A_THREAD else 1)
