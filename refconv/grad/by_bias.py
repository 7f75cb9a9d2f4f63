"""Gradients by the bias."""

import numpy as np

from refconv.adjoint import bias_gradient
from refconv.arrays import as_operands
from refconv.correlate import kernel_options
from refconv.errors import ConvError

__all__ = ["conv1d_bias", "conv2d_bias", "conv3d_bias"]


def conv1d_bias(grad_output, *, dtype=None, overflow="raise", algorithm="auto", threads=None):
    """Correctly rounded gradient of `refconv.conv1d` (a cross-correlation) by its bias.

    Parameters
    ----------
    grad_output : array_like, shape (N, C_out, oW)
    dtype, overflow, algorithm, threads
        As for `refconv.grad.conv1d_input`.

    Returns
    -------
    ndarray, shape (C_out,)
        The sum of each channel over all positions and the batch; 0 if there are none.

    Raises
    ------
    ConvError
        "Expected 3-dimensional grad_output for conv1d_bias, but got ...".
    TypeError
        As for `refconv.conv1d`.

    Examples
    --------
    >>> import refconv
    >>> refconv.grad.conv1d_bias([[[1., 2.], [3., 5.]]])
    array([3., 8.])
    """
    return _bias("conv1d_bias", grad_output, dtype, overflow, algorithm, threads)


def conv2d_bias(grad_output, *, dtype=None, overflow="raise", algorithm="auto", threads=None):
    """Correctly rounded gradient of `refconv.conv2d` (a cross-correlation) by its bias.

    Parameters
    ----------
    grad_output : array_like, shape (N, C_out, oH, oW)
    dtype, overflow, algorithm, threads
        As for `refconv.grad.conv2d_input`.

    Returns
    -------
    ndarray, shape (C_out,)
        The sum of each channel over all positions and the batch; 0 if there are none.

    Raises
    ------
    ConvError
        "Expected 4-dimensional grad_output for conv2d_bias, but got ...".
    TypeError
        As for `refconv.conv2d`.

    Examples
    --------
    >>> import refconv
    >>> refconv.grad.conv2d_bias([[[[1e16, 1.], [-1e16, 1.]]]])
    array([2.])
    """
    return _bias("conv2d_bias", grad_output, dtype, overflow, algorithm, threads)


def conv3d_bias(grad_output, *, dtype=None, overflow="raise", algorithm="auto", threads=None):
    """Correctly rounded gradient of `refconv.conv3d` (a cross-correlation) by its bias.

    Parameters
    ----------
    grad_output : array_like, shape (N, C_out, oD, oH, oW)
    dtype, overflow, algorithm, threads
        As for `refconv.grad.conv3d_input`.

    Returns
    -------
    ndarray, shape (C_out,)
        The sum of each channel over all positions and the batch; 0 if there are none.

    Raises
    ------
    ConvError
        "Expected 5-dimensional grad_output for conv3d_bias, but got ...".
    TypeError
        As for `refconv.conv3d`.

    Examples
    --------
    >>> import refconv
    >>> refconv.grad.conv3d_bias([[[[[1., 2.]], [[3., 4.]]]]])
    array([10.])
    """
    return _bias("conv3d_bias", grad_output, dtype, overflow, algorithm, threads)


def _bias(name, grad_output, dtype, overflow, algorithm, threads):
    (grad_output,), dtype = as_operands(name, dtype, grad_output=grad_output)
    options = kernel_options(name, overflow, algorithm, threads)
    ndim = int(name[4]) + 2
    if grad_output.ndim != ndim:
        raise ConvError(
            f"Expected {ndim}-dimensional grad_output for {name}, "
            f"but got {grad_output.ndim}-dimensional grad_output of size {list(grad_output.shape)} instead"
        )
    grad_bias = np.empty(grad_output.shape[1], dtype)
    bias_gradient(grad_output, grad_bias, **options)
    return grad_bias
