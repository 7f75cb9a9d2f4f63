"""The convolutions as functions, with the names and arguments of ``torch.nn.functional``."""

from refconv.convolve import FORWARD, convolve
from refconv.transposed import conv_transpose1d, conv_transpose2d, conv_transpose3d

__all__ = ["conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d"]


def conv1d(
    input,
    weight,
    bias=None,
    stride=1,
    padding=0,
    dilation=1,
    groups=1,
    *,
    dtype=None,
    overflow="raise",
    algorithm="auto",
    threads=None,
):
    """Correctly rounded 1-D cross-correlation (the deep-learning "convolution"; the kernel is not flipped).

    This is `conv2d` for images of height 1, which has the details.

    Parameters
    ----------
    input : array_like, shape (N, C_in, W) or (C_in, W)
    weight : array_like, shape (C_out, C_in // groups, kW)
    bias : array_like, shape (C_out,), optional
    stride, dilation : int or (int,), default 1
    padding : int, (int,), ((int, int),), 'same' or 'valid', default 0
    groups, dtype, overflow, algorithm, threads
        As for `conv2d`.

    Returns
    -------
    ndarray, shape (N, C_out, oW) or (C_out, oW)

    Raises
    ------
    ConvError, TypeError, MemoryError
        As for `conv2d`: "Given groups=1, weight of size ...".

    Notes
    -----
    .. math::

        y[n, k, ow] = \\mathrm{round}\\Big(b[k] + \\sum_{c, s}
            x[n, gC + c,\\; ow \\cdot stride - pad_{left} + s \\cdot dil] \\cdot w[k, c, s] \\Big)

    Examples
    --------
    >>> import refconv
    >>> refconv.conv1d([[[1., 2., 3., 4.]]], [[[1., -1.]]])     # 1 - 2, 2 - 3, 3 - 4
    array([[[-1., -1., -1.]]])
    """
    arguments = (stride, padding, dilation, groups)
    return convolve(FORWARD, "conv1d", (input, weight, bias), arguments, dtype, overflow, algorithm, threads)


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
    overflow="raise",
    algorithm="auto",
    threads=None,
):
    """Correctly rounded 2-D cross-correlation (the deep-learning "convolution"; the kernel is not flipped).

    Every output element is the exact real sum below, rounded once to the output format, to nearest, ties to even.
    So there is one right answer, bit for bit, whatever the machine, the memory layout and the number of threads.

    Parameters
    ----------
    input : array_like, shape (N, C_in, H, W) or (C_in, H, W)
        A NumPy array of any strides, a CPU torch tensor, or anything that `numpy.asarray` or DLPack turns into an
        array. Never written to. Its numbers are

        - float16, bfloat16, float32, float64, float8_e4m3fn or float8_e5m2,
        - integers of 8, 16, 32 or 64 bits, with or without sign, or
        - complex64 or complex128, of which nothing is conjugated.
    weight : array_like, shape (C_out, C_in // groups, kH, kW)
        Of the same dtype. If `dtype` is given, operands of several dtypes of one kind are taken, too: they are combined
        exactly, int8 and uint8 for example, or float16 and float64.
    bias : array_like, shape (C_out,), optional
        As `weight`.
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
        Output format, of the operands' kind but not float8; the exact sum is rounded straight to it. By default float8
        operands give float32, integers of 8 and 16 bits int32, other integers int64, all others their own dtype.
    overflow : {'raise', 'wrap', 'saturate'}, default 'raise'
        What to do about an integer that does not fit the output format: raise an error, take it modulo 2^bits (torch
        does, with the operands' dtype for output), or clamp it. It concerns the exact sum only, and no step before it.
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
        size ..."), for operands of different dtypes, and for an integer that does not fit ("the output at index
        (0, 0, 1, 2) is 2147483648, which ..."). It is a ValueError and a RuntimeError.
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
    zero and infinities of both signs give the positive quiet NaN; an exact zero is +0; subnormals are kept. Of complex
    numbers the real and the imaginary part are two such sums, of twice as many real products each.
    Arguments, order and defaults are those of ``torch.nn.functional.conv2d``.

    Examples
    --------
    >>> import refconv
    >>> x = [[[[1., 2., 3.], [4., 5., 6.], [7., 8., 9.]]]]
    >>> w = [[[[1., 0.], [0., 1.]]]]
    >>> refconv.conv2d(x, w)                     # 1 + 5, 2 + 6, 4 + 8, 5 + 9
    array([[[[ 6.,  8.],
             [12., 14.]]]])
    >>> refconv.conv2d([[[[100, 100]]]], [[[[1, 1]]]], dtype="int8", overflow="saturate")    # 200 is beyond int8
    array([[[[127]]]], dtype=int8)
    """
    arguments = (stride, padding, dilation, groups)
    return convolve(FORWARD, "conv2d", (input, weight, bias), arguments, dtype, overflow, algorithm, threads)


def conv3d(
    input,
    weight,
    bias=None,
    stride=1,
    padding=0,
    dilation=1,
    groups=1,
    *,
    dtype=None,
    overflow="raise",
    algorithm="auto",
    threads=None,
):
    """Correctly rounded 3-D cross-correlation (the deep-learning "convolution"; the kernel is not flipped).

    This is `conv2d` with one more axis, which comes before the others and is like them.

    Parameters
    ----------
    input : array_like, shape (N, C_in, D, H, W) or (C_in, D, H, W)
    weight : array_like, shape (C_out, C_in // groups, kD, kH, kW)
    bias : array_like, shape (C_out,), optional
    stride, dilation : int or (int, int, int), default 1
        One number, or one for each of (depth, height, width).
    padding : int, (int, int, int), three (int, int) pairs, 'same' or 'valid', default 0
    groups, dtype, overflow, algorithm, threads
        As for `conv2d`.

    Returns
    -------
    ndarray, shape (N, C_out, oD, oH, oW) or (C_out, oD, oH, oW)

    Raises
    ------
    ConvError, TypeError, MemoryError
        As for `conv2d`: "Given groups=1, weight of size ...".

    Notes
    -----
    .. math::

        y[n, k, od, oh, ow] = \\mathrm{round}\\Big(b[k] + \\sum_{c, q, r, s}
            x[n, gC + c,\\; od \\cdot stride_d - pad_{front} + q \\cdot dil_d,\\;
            oh \\cdot stride_h - pad_{top} + r \\cdot dil_h,\\;
            ow \\cdot stride_w - pad_{left} + s \\cdot dil_w] \\cdot w[k, c, q, r, s] \\Big)

    Examples
    --------
    >>> import refconv
    >>> x = [[[[[1., 2.]], [[3., 4.]]]]]                         # two images of one row
    >>> refconv.conv3d(x, [[[[[1.]], [[10.]]]]])                 # 1 + 10 * 3, 2 + 10 * 4
    array([[[[[31., 42.]]]]])
    """
    arguments = (stride, padding, dilation, groups)
    return convolve(FORWARD, "conv3d", (input, weight, bias), arguments, dtype, overflow, algorithm, threads)
