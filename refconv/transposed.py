"""The transposed convolutions as functions."""

from refconv.convolve import TRANSPOSED, convolve

__all__ = ["conv_transpose1d", "conv_transpose2d", "conv_transpose3d"]


def conv_transpose1d(
    input,
    weight,
    bias=None,
    stride=1,
    padding=0,
    output_padding=0,
    groups=1,
    dilation=1,
    *,
    dtype=None,
    overflow="raise",
    algorithm="auto",
    threads=None,
):
    """Correctly rounded transposed 1-D cross-correlation (the gradient of `conv1d` by its input).

    This is `conv_transpose2d` for images of height 1, which has the details.

    Parameters
    ----------
    input : array_like, shape (N, C_in, W) or (C_in, W)
    weight : array_like, shape (C_in, C_out // groups, kW)
    bias : array_like, shape (C_out,), optional
    stride, output_padding, dilation : int or (int,)
    padding : int, (int,) or ((int, int),), default 0
    groups, dtype, overflow, algorithm, threads
        As for `conv_transpose2d`.

    Returns
    -------
    ndarray, shape (N, C_out, oW) or (C_out, oW)

    Raises
    ------
    ConvError, TypeError, MemoryError
        As for `conv_transpose2d`: "Given transposed=1, weight of size ...".

    Notes
    -----
    .. math::

        y[n, k, ow] = \\mathrm{round}\\Big(b[k] + \\sum_{c, iw, s:\\;
            iw \\cdot stride - pad_{left} + s \\cdot dil = ow} x[n, c, iw] \\cdot w[c, k, s] \\Big)

    Examples
    --------
    >>> import refconv
    >>> refconv.conv_transpose1d([[[1., 2.]]], [[[1., 10., 100.]]], stride=2)   # 1, 10, 100 + 2 * 1, 2 * 10, 2 * 100
    array([[[  1.,  10., 102.,  20., 200.]]])
    """
    arguments = (stride, padding, output_padding, groups, dilation)
    return convolve(
        TRANSPOSED, "conv_transpose1d", (input, weight, bias), arguments, dtype, overflow, algorithm, threads
    )


def conv_transpose2d(
    input,
    weight,
    bias=None,
    stride=1,
    padding=0,
    output_padding=0,
    groups=1,
    dilation=1,
    *,
    dtype=None,
    overflow="raise",
    algorithm="auto",
    threads=None,
):
    """Correctly rounded transposed 2-D cross-correlation (the gradient of `conv2d` by its input).

    Each input element adds the kernel, times itself, to the output, `stride` apart. Every output element is the exact
    real sum of what is added there and the bias, rounded once.

    Parameters
    ----------
    input : array_like, shape (N, C_in, H, W) or (C_in, H, W)
    weight : array_like, shape (C_in, C_out // groups, kH, kW)
        The weight of the `conv2d` that this is the gradient of: its outputs are our inputs.
    bias : array_like, shape (C_out,), optional
    stride : int or (int, int), default 1
        Distance in the output between the kernels of neighbouring input elements.
    padding : int, (int, int) or ((int, int), (int, int)), default 0
        Rows and columns to cut off the ends of the output.
    output_padding : int or (int, int), default 0
        Rows and columns to add at the bottom and right, less than stride or dilation. Where `padding` has cut some
        off they come back; the others are the bias, or 0.
    groups : int, default 1
    dilation : int or (int, int), default 1
        Distance in the output between the taps of a kernel.
    dtype, algorithm, threads
        As for `conv2d`.

    Returns
    -------
    ndarray, shape (N, C_out, oH, oW) or (C_out, oH, oW)
        A new array.

    Raises
    ------
    ConvError
        For shapes and geometry that do not fit, in the order and words of PyTorch ("Given transposed=1, weight of
        size ...", "output padding must be smaller than either stride or dilation, ...").
    TypeError, MemoryError
        As for `conv2d`.

    See Also
    --------
    refconv.grad.conv2d_input : the same, with the size of the result in place of output_padding.

    Notes
    -----
    .. math::

        y[n, k, oh, ow] = \\mathrm{round}\\Big(b[k] + \\sum x[n, c, ih, iw] \\cdot w[c, k, r, s] \\Big)

    over the channels c of k's group and all (ih, r) with :math:`oh = ih \\cdot stride_h - pad_{top} + r \\cdot dil_h`,
    and likewise (iw, s). An output that no tap reaches is the bias or 0, even beside infinite weights. An axis of the
    output has the size ``(size - 1) * stride - pads + dilation * (kernel - 1) + output_padding + 1``. Arguments, order
    and defaults are those of ``torch.nn.functional.conv_transpose2d``.

    Examples
    --------
    >>> import refconv
    >>> refconv.conv_transpose2d([[[[1., 2.]]]], [[[[1., 10.], [3., 4.]]]])      # 1, 10 + 2 * 1, 2 * 10 above
    array([[[[ 1., 12., 20.],
             [ 3., 10.,  8.]]]])
    """
    arguments = (stride, padding, output_padding, groups, dilation)
    return convolve(
        TRANSPOSED, "conv_transpose2d", (input, weight, bias), arguments, dtype, overflow, algorithm, threads
    )


def conv_transpose3d(
    input,
    weight,
    bias=None,
    stride=1,
    padding=0,
    output_padding=0,
    groups=1,
    dilation=1,
    *,
    dtype=None,
    overflow="raise",
    algorithm="auto",
    threads=None,
):
    """Correctly rounded transposed 3-D cross-correlation (the gradient of `conv3d` by its input).

    This is `conv_transpose2d` with one more axis, which comes before the others and is like them.

    Parameters
    ----------
    input : array_like, shape (N, C_in, D, H, W) or (C_in, D, H, W)
    weight : array_like, shape (C_in, C_out // groups, kD, kH, kW)
    bias : array_like, shape (C_out,), optional
    stride, output_padding, dilation : int or (int, int, int)
    padding : int, (int, int, int) or three (int, int) pairs, default 0
    groups, dtype, overflow, algorithm, threads
        As for `conv_transpose2d`.

    Returns
    -------
    ndarray, shape (N, C_out, oD, oH, oW) or (C_out, oD, oH, oW)

    Raises
    ------
    ConvError, TypeError, MemoryError
        As for `conv_transpose2d`: "Given transposed=1, weight of size ...".

    Notes
    -----
    The formula of `conv_transpose2d`, summed also over all (id, q) with
    :math:`od = id \\cdot stride_d - pad_{front} + q \\cdot dil_d`.

    Examples
    --------
    >>> import refconv
    >>> refconv.conv_transpose3d([[[[[3.]]]]], [[[[[1., 2.]], [[4., 5.]]]]])
    array([[[[[ 3.,  6.]],
    <BLANKLINE>
             [[12., 15.]]]]])
    """
    arguments = (stride, padding, output_padding, groups, dilation)
    return convolve(
        TRANSPOSED, "conv_transpose3d", (input, weight, bias), arguments, dtype, overflow, algorithm, threads
    )
