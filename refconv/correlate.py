"""The one way from arrays to a kernel: plain correlations, by the fast kernel or by the definition.

Every function of refconv comes down to correlations of views of its operands; `refconv.adjoint` has the reductions of
the others. Nothing is checked here: the arguments are those of a `ConvProblem`, or follow from them.
"""

import numpy as np

from refconv import kernels
from refconv import threads as threading
from refconv.arrays import aligned, as_buffer, as_encodings, as_float64, contiguous, format_of
from refconv.errors import ConvError
from refconv.kernels import direct, isa

__all__ = ["NEVER", "correlate", "kernel_options", "run_direct", "with_three_axes"]

ALGORITHMS = ("auto", "blocked", "direct")

# Below this many multiply-adds waking a thread costs more than it gains; for the direct kernel, half a millisecond.
_FAST_MACS_WORTH_A_THREAD = 1 << 20
_MACS_WORTH_A_THREAD = 1 << 16

# The flag of a run that no other thread takes part in, and so none can stop.
NEVER = np.zeros(1, np.int32)


def kernel_options(function, algorithm, threads):
    """Check the arguments that choose how a result is computed, and return them as keywords for the functions below.

    Raises
    ------
    ConvError
        ``{function}(): argument 'algorithm' must be one of ...``, or as for `refconv.threads.thread_count`.
    TypeError
        As for `refconv.threads.thread_count`.
    """
    if algorithm not in ALGORITHMS:
        names = ", ".join(ALGORITHMS)
        raise ConvError(f"{function}(): argument 'algorithm' must be one of {names}, but got {algorithm!r}")
    return {"algorithm": algorithm, "threads": threading.thread_count(threads, function)}


def correlate(input, weight, bias, output, *, stride, padding, dilation, groups, algorithm, threads):
    """Fill `output` with the correctly rounded correlation of input and weight, over one to three spatial axes.

    Parameters
    ----------
    input : ndarray, shape (N, C_in, ...)
        Like all of these with any strides; input, weight and bias of one dtype.
    weight : ndarray, shape (C_out, C_in // groups, ...)
    bias : ndarray, shape (C_out,), or None
    output : ndarray, shape (N, C_out, ...)
        Its sizes say how many windows there are along each axis. They may lie anywhere, also wholly outside of the
        image or short of its end.
    stride, dilation : tuple of int
        Along each axis.
    padding : tuple of int
        Along each axis how far before the image the first window starts; negative if after its beginning.
    groups : int
    algorithm : {'auto', 'blocked', 'direct'}
    threads : int
    """
    if output.size == 0:
        return
    macs = output.size * (weight.size // weight.shape[0])
    if algorithm != "direct":
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
            _run_blocked(call, macs, threads)
            return
    geometry = (stride, padding, dilation)
    run_direct(direct.correlate, (input, weight, bias), output, geometry, groups, macs, threads)


def _run_blocked(call, macs, threads):
    units = call.units
    if threads == 1 or macs < _FAST_MACS_WORTH_A_THREAD:
        call.run(0, units, NEVER)
    else:
        per_task = max(units // (8 * threads), 1)
        tasks = [(first, min(first + per_task, units)) for first in range(0, units, per_task)]
        threading.run(call.run, tasks, threads)
    kernels.add_counts(*call.tally())


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

    N, C = output.shape[:2]
    step = -(-C // min(C, -(-8 * threads // N)))
    tasks = [((n, n + 1), (c, min(c + step, C))) for n in range(N) for c in range(0, C, step)]
    threading.run(work, tasks, threads if macs >= _MACS_WORTH_A_THREAD else 1)


def with_three_axes(array):
    """The array as a problem with three spatial axes has it: those that are missing come first, with size 1."""
    if array.ndim == 1:  # a bias
        return array
    return array[(slice(None), slice(None), *(None,) * (5 - array.ndim))]
