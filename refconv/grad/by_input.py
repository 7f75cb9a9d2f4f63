"""Gradients by the input."""

import numpy as np

from refconv.adjoint import input_gradient
from refconv.arrays import as_operands
from refconv.correlate import kernel_options
from refconv.problem import ConvProblem

__all__ = ["conv1d_input", "conv2d_input", "conv3d_input"]


def conv1d_input(
    input_size,
    weight,
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
    """Correctly rounded gradient of `refconv.conv1d` (a cross-correlation) by its input.

    Parameters
    ----------
    input_size : tuple of int, (N, C_in, W)
        Shape of the input, and of the result.
    weight : array_like, shape (C_out, C_in // groups, kW)
    grad_output : array_like, shape (N, C_out, oW)
    stride, dilation : int or (int,), default 1
    padding : int, (int,) or ((int, int),), default 0
    groups : int, default 1
    dtype, overflow, algorithm, threads
        As for `conv2d_input`.

    Returns
    -------
    ndarray, shape (N, C_in, W)

    Raises
    ------
    ConvError, TypeError, MemoryError
        As for `conv2d_input`: "Expected a tensor of dimension ...".

    Notes
    -----
    .. math::

        \\frac{\\partial L}{\\partial x[n, c, iw]} = \\mathrm{round}\\Big(\\sum_{k, ow, s:\\;
            iw = ow \\cdot stride - pad_{left} + s \\cdot dil} g[n, k, ow] \\cdot w[k, c', s] \\Big)

    Examples
    --------
    >>> import refconv
    >>> refconv.grad.conv1d_input((1, 1, 4), [[[1., 10.]]], [[[1., 2., 3.]]])     # 1, 10 + 2, 20 + 3, 30
    array([[[ 1., 12., 23., 30.]]])
    """
    arguments = (stride, padding, dilation, groups)
    return _input("conv1d_input", input_size, weight, grad_output, arguments, dtype, overflow, algorithm, threads)


def conv2d_input(
    input_size,
    weight,
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
    """Correctly rounded gradient of `refconv.conv2d` (a cross-correlation) by its input.

    Parameters
    ----------
    input_size : tuple of int, (N, C_in, H, W)
        Shape of the input, and of the result.
    weight : array_like, shape (C_out, C_in // groups, kH, kW)
    grad_output : array_like, shape (N, C_out, oH, oW)
    stride, dilation : int or (int, int), default 1
    padding : int, (int, int) or ((int, int), (int, int)), default 0
    groups : int, default 1
        Arguments of the forward convolution.
    dtype : dtype, optional
        Format of the result; by default that of the operands.
    algorithm, threads
        As for `refconv.conv2d`.

    Returns
    -------
    ndarray, shape (N, C_in, H, W)

    Raises
    ------
    ConvError
        For shapes that do not fit, in the order and words of PyTorch ("Given groups=1, weight of size ...",
        "Expected a tensor of dimension 4 and tensor.size[2] == 6 but got: ..."); unlike there, for a wrong batch too.
    TypeError, MemoryError
        As for `refconv.conv2d`.

    Notes
    -----
    .. math::

        \\frac{\\partial L}{\\partial x[n, c, ih, iw]} = \\mathrm{round}\\Big(\\sum
            g[n, k, oh, ow] \\cdot w[k, c', r, s] \\Big)

    over the output channels k of c's group, with c' the number of c in it, and all (oh, r) with
    :math:`ih = oh \\cdot stride_h - pad_{top} + r \\cdot dil_h`, and likewise (ow, s). This is
    `refconv.conv_transpose2d`, with `input_size` in place of output_padding. Rows and columns at the end that no window
    covers get 0.

    Examples
    --------
    >>> import refconv
    >>> refconv.grad.conv2d_input((1, 1, 2, 3), [[[[1., 10.]]]], [[[[1., 2.], [3., 4.]]]])
    array([[[[ 1., 12., 20.],
             [ 3., 34., 40.]]]])
    """
    arguments = (stride, padding, dilation, groups)
    return _input("conv2d_input", input_size, weight, grad_output, arguments, dtype, overflow, algorithm, threads)


def conv3d_input(
    input_size,
    weight,
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
    """Correctly rounded gradient of `refconv.conv3d` (a cross-correlation) by its input.

    Parameters
    ----------
    input_size : tuple of int, (N, C_in, D, H, W)
        Shape of the input, and of the result.
    weight : array_like, shape (C_out, C_in // groups, kD, kH, kW)
    grad_output : array_like, shape (N, C_out, oD, oH, oW)
    stride, dilation : int or (int, int, int), default 1
    padding : int, (int, int, int) or three (int, int) pairs, default 0
    groups : int, default 1
    dtype, overflow, algorithm, threads
        As for `conv2d_input`.

    Returns
    -------
    ndarray, shape (N, C_in, D, H, W)

    Raises
    ------
    ConvError, TypeError, MemoryError
        As for `conv2d_input`: "Expected a tensor of dimension ...".

    Notes
    -----
    The formula of `conv2d_input`, summed also over all (od, q) with
    :math:`id = od \\cdot stride_d - pad_{front} + q \\cdot dil_d`.

    Examples
    --------
    >>> import refconv
    >>> refconv.grad.conv3d_input((1, 1, 2, 1, 2), [[[[[1.]], [[10.]]]]], [[[[[2., 3.]]]]])
    array([[[[[ 2.,  3.]],
    <BLANKLINE>
             [[20., 30.]]]]])
    """
    arguments = (stride, padding, dilation, groups)
    return _input("conv3d_input", input_size, weight, grad_output, arguments, dtype, overflow, algorithm, threads)


def _input(name, input_size, weight, grad_output, arguments, dtype, overflow, algorithm, threads):
    (weight, grad_output), dtype = as_operands(name, dtype, weight=weight, grad_output=grad_output)
    options = kernel_options(name, overflow, algorithm, threads)
    shapes = (input_size, weight.shape, grad_output.shape)
    problem = ConvProblem.from_gradient_shapes(name, *shapes, *arguments, spatial_ndim=int(name[4]))
    grad_input = np.empty(problem.input_shape, dtype)
    input_gradient(grad_output, weight, None, grad_input, **problem.kernel_arguments, **options)
    return grad_input
