"""Convolutions as functions: check the call, choose a kernel, run it."""

import numpy as np

from refconv import threads as threading
from refconv.arrays import (
    FORMATS,
    aligned,
    as_encodings,
    as_float64,
    as_operand,
    contiguous,
    require_one_dtype,
    result_dtype,
)
from refconv.errors import ConvError
from refconv.kernels import direct, exact, isa
from refconv.problem import ConvProblem

ALGORITHMS = ("auto", "blocked", "direct")


def conv2d(
    input,
    weight,
    bias=None,
    stride=1,
    padding=0,
    dilation=1,
    groups=1,
    *,
    dtype=None,
    algorithm="auto",
    threads=None,
):
    """Correctly rounded 2-D cross-correlation (the deep-learning "convolution"; the kernel is not flipped).

    Every output element is the exact real sum below, rounded once to the output format, to nearest, ties to even.
    So there is one right answer, bit for bit, whatever the machine, the memory layout and the number of threads.

    Parameters
    ----------
    input : array_like, shape (N, C_in, H, W) or (C_in, H, W)
        float16, bfloat16, float32 or float64; a NumPy array of any strides, a CPU torch tensor, or anything that
        `numpy.asarray` or DLPack turns into an array. Never written to.
    weight : array_like, shape (C_out, C_in // groups, kH, kW)
        Of the same dtype.
    bias : array_like, shape (C_out,), optional
        Of the same dtype.
    stride : int or (int, int), default 1
        Step between windows: one number, or one for each of (height, width).
    padding : int, (int, int), ((int, int), (int, int)), 'same' or 'valid', default 0
        Rows and columns of padding around the input: for all ends, for (height, width), or as
        ``((top, bottom), (left, right))``. ``'same'`` gives the input's size at stride 1, an odd remainder going to
        the bottom and right; ``'valid'`` is 0. A tap in the padding is not a term of the sum, whatever its weight.
    dilation : int or (int, int), default 1
        Step between the taps of a window.
    groups : int, default 1
        Channels are cut into this many groups that do not see each other; ``groups == C_in`` is depthwise.
    dtype : dtype, optional
        Output format, of the four above; by default that of the operands. The exact sum is rounded straight to it.
    algorithm : {'auto', 'direct'}, default 'auto'
        The kernel; all of them return the same bits. ``'direct'`` is the definition, loop by loop.
    threads : int, optional
        Threads to use at most; by default ``REFCONV_NUM_THREADS`` or the CPUs that the process may run on.

    Returns
    -------
    ndarray, shape (N, C_out, oH, oW) or (C_out, oH, oW)
        A new array.

    Raises
    ------
    ConvError
        For shapes and geometry that do not fit, in the order and words of PyTorch ("Given groups=1, weight of
        size ..."), and for operands of different dtypes. It is a ValueError and a RuntimeError.
    TypeError
        For an argument of the wrong type.
    MemoryError
        If the result cannot be allocated; before any work.

    See Also
    --------
    exact_dot : the sum behind one element.

    Notes
    -----
    .. math::

        y[n, k, oh, ow] = \\mathrm{round}\\Big(b[k] + \\sum_{c, r, s}
            x[n, gC + c,\\; oh \\cdot stride_h - pad_{top} + r \\cdot dil_h,\\;
                            ow \\cdot stride_w - pad_{left} + s \\cdot dil_w] \\cdot w[k, c, r, s] \\Big)

    with :math:`C = C_{in} / groups` and g the group of output channel k; an axis of the output has the size
    ``floor((size + pads - dilation * (kernel - 1) - 1) / stride) + 1``. A NaN operand in the window, infinity times
    zero and infinities of both signs give the positive quiet NaN; an exact zero is +0; subnormals are kept.
    Arguments, order and defaults are those of ``torch.nn.functional.conv2d``.

    Examples
    --------
    >>> import refconv
    >>> x = [[[[1., 2., 3.], [4., 5., 6.], [7., 8., 9.]]]]
    >>> w = [[[[1., 0.], [0., 1.]]]]
    >>> refconv.conv2d(x, w)                     # 1 + 5, 2 + 6, 4 + 8, 5 + 9
    array([[[[ 6.,  8.],
             [12., 14.]]]])
    """
    input = as_operand(input, "conv2d", "input")
    weight = as_operand(weight, "conv2d", "weight")
    if bias is not None:
        bias = as_operand(bias, "conv2d", "bias")
    require_one_dtype("conv2d", input=input, weight=weight, bias=bias)
    dtype = result_dtype(dtype, input.dtype, "conv2d")
    if algorithm not in ALGORITHMS:
        raise ConvError(f"conv2d(): argument 'algorithm' must be one of {', '.join(ALGORITHMS)}, but got {algorithm!r}")
    threads = threading.thread_count(threads, "conv2d")
    problem = ConvProblem.from_shapes(
        input.shape, weight.shape, None if bias is None else bias.shape, stride, padding, dilation, groups
    )
    output = np.empty((problem.N, problem.C_out, *problem.output_size), dtype)
    if output.size and (algorithm == "direct" or not _run_blocked(problem, input, weight, bias, output, threads)):
        _run_direct(problem, input, weight, bias, output, threads)
    return output.reshape(problem.output_shape)


def _run_blocked(problem, input, weight, bias, output, threads):
    """Fill `output` by the fast kernel; False if its buffers would be too large for this problem."""
    call = isa.blocked.Convolution(
        as_encodings(aligned(input.reshape(problem.N, problem.C_in, *problem.input_size))),
        as_encodings(contiguous(weight)),
        None if bias is None else as_encodings(contiguous(bias)),
        as_encodings(output),
        problem.stride,
        tuple(begin for begin, _ in problem.padding),
        problem.dilation,
        problem.groups,
        FORMATS[input.dtype.name],
        FORMATS[output.dtype.name],
        threads,
    )
    if call.oversized:
        return False
    units = call.units
    per_task = max(units // (8 * threads), 1)
    if problem.macs < _FAST_MACS_WORTH_A_THREAD:
        threads, per_task = 1, units
    tasks = [(first, min(first + per_task, units)) for first in range(0, units, per_task)]
    threading.run(call.run, tasks, threads)
    return True


# Below this many multiply-adds of the fast kernel waking a thread costs more than it gains.
_FAST_MACS_WORTH_A_THREAD = 1 << 20


def _run_direct(problem, input, weight, bias, output, threads):
    """Fill `output` by the definition, a few rows of one batch item at a time."""
    input = as_float64(input).reshape(problem.N, problem.C_in, *problem.input_size)
    weight = as_float64(weight)
    bias = None if bias is None else as_float64(bias)
    encodings = as_encodings(output)
    target = FORMATS[output.dtype.name]
    (pad_top, _), (pad_left, _) = problem.padding

    def kernel(items, rows, stop):
        direct.conv2d(
            input,
            weight,
            bias,
            encodings,
            target,
            problem.stride,
            (pad_top, pad_left),
            problem.dilation,
            problem.groups,
            items,
            rows,
            stop,
        )

    oH = problem.output_size[0]
    rows_per_task = -(-oH // min(oH, 4 * threads))
    tasks = [
        ((n, n + 1), (oh, min(oh + rows_per_task, oH)))
        for n in range(problem.N)
        for oh in range(0, oH, rows_per_task)
    ]
    if problem.macs < _MACS_WORTH_A_THREAD:
        threads = 1
    threading.run(kernel, tasks, threads)


# Below this many multiply-adds of the direct kernel (about half a millisecond) waking a thread costs more than it gains.
_MACS_WORTH_A_THREAD = 1 << 16


def exact_dot(x, w, *, dtype=None):
    """Correctly rounded dot product: the exact sum of ``x[i] * w[i]``, rounded once.

    Parameters
    ----------
    x, w : array_like, shape (n,)
        float16, bfloat16, float32 or float64, both of one dtype.
    dtype : dtype, optional
        Output format; by default that of the operands.

    Returns
    -------
    NumPy scalar of the output dtype
        NaN, infinities, zeros and subnormals as in `conv2d`; 0 for n = 0.

    Raises
    ------
    ConvError
        If the shapes are not one-dimensional and equal, or the dtypes differ.
    TypeError
        For an argument of the wrong type.

    Examples
    --------
    >>> import refconv
    >>> refconv.exact_dot([1e300, 1.0, -1e300], [1e300, 1.0, 1e300])   # 1e600 + 1 - 1e600
    np.float64(1.0)
    """
    x = as_operand(x, "exact_dot", "x")
    w = as_operand(w, "exact_dot", "w")
    require_one_dtype("exact_dot", x=x, w=w)
    dtype = result_dtype(dtype, x.dtype, "exact_dot")
    if x.ndim != 1 or x.shape != w.shape:
        raise ConvError(
            f"exact_dot(): expected two vectors of one length, but got x of size {list(x.shape)}"
            f" and w of size {list(w.shape)}"
        )
    encoding = exact.dot(as_float64(x), as_float64(w), FORMATS[dtype.name])
    return np.array(encoding, f"u{dtype.itemsize}").view(dtype)[()]
