"""The sum behind one output element, as a function of its own."""

import numpy as np

from refconv.arrays import as_float64, as_operands
from refconv.correlate import correlate, kernel_options
from refconv.dtypes import format_of
from refconv.errors import ConvError
from refconv.kernels import exact

__all__ = ["exact_dot"]


def exact_dot(x, w, *, dtype=None, overflow="raise"):
    """Correctly rounded dot product: the exact sum of ``x[i] * w[i]``, rounded once.

    Parameters
    ----------
    x, w : array_like, shape (n,)
        Of one dtype, any that `conv2d` takes.
    dtype, overflow
        As for `conv2d`.

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
    (x, w), dtype = as_operands("exact_dot", dtype, x=x, w=w)
    options = kernel_options("exact_dot", overflow, "auto", 1)
    if x.ndim != 1 or x.shape != w.shape:
        raise ConvError(
            f"exact_dot(): expected two vectors of one length, but got x of size {list(x.shape)}"
            f" and w of size {list(w.shape)}"
        )
    if format_of(dtype) is not None:
        encoding = exact.dot(as_float64(x), as_float64(w), format_of(dtype))
        return np.array(encoding, f"u{dtype.itemsize}").view(dtype)[()]
    result = np.empty((), dtype)
    geometry = {"stride": (1,), "padding": (0,), "dilation": (1,), "groups": 1}
    correlate(x[None, :, None], w[None, :, None], None, result.reshape(1, 1, 1), **geometry, **options)
    return result[()]
