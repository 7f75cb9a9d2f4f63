"""Gradients by the weight."""

import numpy as np

from refconv.adjoint import weight_gradient
from refconv.arrays import as_operands
from refconv.correlate import kernel_options
from refconv.problem import ConvProblem

__all__ = ["conv1d_weight", "conv2d_weight", "conv3d_weight"]


def conv1d_weight(
    input,
    weight_size,
    grad_output,
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
    """Correctly rounded gradient of `refconv.conv1d` (a cross-correlation) by its weight.

    Parameters
    ----------
    input : array_like, shape (N, C_in, W)
    weight_size : tuple of int, (C_out, C_in // groups, kW)
        Shape of the weight, and of the result.
    grad_output : array_like, shape (N, C_out, oW)
    stride, padding, dilation, groups, dtype, overflow, algorithm, threads
        As for `refconv.grad.conv1d_input`.

    Returns
    -------
    ndarray, shape (C_out, C_in // groups, kW)

    Raises
    ------
    ConvError, TypeError, MemoryError
        As for `refconv.grad.conv1d_input`: "Expected a tensor of dimension ...".

    Notes
    -----
    .. math::

        \\frac{\\partial L}{\\partial w[k, c, s]} = \\mathrm{round}\\Big(\\sum_{n, ow} g[n, k, ow] \\cdot
            x[n, gC + c,\\; ow \\cdot stride - pad_{left} + s \\cdot dil] \\Big)

    Examples
    --------
    >>> import refconv
    >>> refconv.grad.conv1d_weight([[[1., 2., 3., 4.]]], (1, 1, 2), [[[1., 0., 1.]]])   # 1 + 3, 2 + 4
    array([[[4., 6.]]])
    """
    arguments = (stride, padding, dilation, groups)
    return _weight("conv1d_weight", input, weight_size, grad_output, arguments, dtype, overflow, algorithm, threads)


def conv2d_weight(
    input,
    weight_size,
    grad_output,
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
    """Correctly rounded gradient of `refconv.conv2d` (a cross-correlation) by its weight.

    Parameters
    ----------
    input : array_like, shape (N, C_in, H, W)
    weight_size : tuple of int, (C_out, C_in // groups, kH, kW)
        Shape of the weight, and of the result.
    grad_output : array_like, shape (N, C_out, oH, oW)
    stride, padding, dilation, groups, dtype, overflow, algorithm, threads
        As for `refconv.grad.conv2d_input`.

    Returns
    -------
    ndarray, shape (C_out, C_in // groups, kH, kW)

    Raises
    ------
    ConvError, TypeError, MemoryError
        As for `refconv.grad.conv2d_input`: "Expected a tensor of dimension ...".

    Notes
    -----
    .. math::

        \\frac{\\partial L}{\\partial w[k, c, r, s]} = \\mathrm{round}\\Big(\\sum_{n, oh, ow} g[n, k, oh, ow] \\cdot
            x[n, gC + c,\\; oh \\cdot stride_h - pad_{top} + r \\cdot dil_h,\\;
                            ow \\cdot stride_w - pad_{left} + s \\cdot dil_w] \\Big)

    with :math:`C = C_{in} / groups` and g the group of k. Taps in the padding are not terms of the sum; a sum over an
    empty batch is 0.

    Examples
    --------
    >>> import refconv
    >>> x = [[[[1., 2., 3.], [4., 5., 6.]]]]
    >>> refconv.grad.conv2d_weight(x, (1, 1, 1, 2), [[[[1., 0.], [0., 1.]]]])     # 1 + 5, 2 + 6
    array([[[[6., 8.]]]])
    """
    arguments = (stride, padding, dilation, groups)
    return _weight("conv2d_weight", input, weight_size, grad_output, arguments, dtype, overflow, algorithm, threads)


def conv3d_weight(
    input,
    weight_size,
    grad_output,
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
    """Correctly rounded gradient of `refconv.conv3d` (a cross-correlation) by its weight.

    Parameters
    ----------
    input : array_like, shape (N, C_in, D, H, W)
    weight_size : tuple of int, (C_out, C_in // groups, kD, kH, kW)
        Shape of the weight, and of the result.
    grad_output : array_like, shape (N, C_out, oD, oH, oW)
    stride, padding, dilation, groups, dtype, overflow, algorithm, threads
        As for `refconv.grad.conv3d_input`.

    Returns
    -------
    ndarray, shape (C_out, C_in // groups, kD, kH, kW)

    Raises
    ------
    ConvError, TypeError, MemoryError
        As for `refconv.grad.conv3d_input`: "Expected a tensor of dimension ...".

    Notes
    -----
    The formula of `conv2d_weight`, with the index :math:`od \\cdot stride_d - pad_{front} + q \\cdot dil_d` of one more
    axis, and summed also over od.

    Examples
    --------
    >>> import refconv
    >>> x = [[[[[1., 2.]], [[3., 4.]]]]]
    >>> refconv.grad.conv3d_weight(x, (1, 1, 2, 1, 1), [[[[[10., 1.]]]]])        # 10 * 1 + 2, 10 * 3 + 4
    array([[[[[12.]],
    <BLANKLINE>
             [[34.]]]]])
    """
    arguments = (stride, padding, dilation, groups)
    return _weight("conv3d_weight", input, weight_size, grad_output, arguments, dtype, overflow, algorithm, threads)


def _weight(name, input, weight_size, grad_output, arguments, dtype, overflow, algorithm, threads):
    (input, grad_output), dtype = as_operands(name, dtype, input=input, grad_output=grad_output)
    options = kernel_options(name, overflow, algorithm, threads)
    shapes = (input.shape, weight_size, grad_output.shape)
    problem = ConvProblem.from_gradient_shapes(name, *shapes, *arguments, spatial_ndim=int(name[4]))
    grad_weight = np.empty(problem.weight_shape, dtype)
    weight_gradient(input, grad_output, grad_weight, **problem.kernel_arguments, **options)
    return grad_weight
