"""The sum behind one output element, as a function of its own."""

import numpy as np

from refconv.arrays import as_float64, as_operand, format_of, require_one_dtype, result_dtype
from refconv.errors import ConvError
from refconv.kernels import exact

__all__ = ["exact_dot"]


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
    encoding = exact.dot(as_float64(x), as_float64(w), format_of(dtype))
    return np.array(encoding, f"u{dtype.itemsize}").view(dtype)[()]
