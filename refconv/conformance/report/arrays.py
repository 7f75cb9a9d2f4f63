"""Arrays in JSON, number by number and exact: floating-point numbers in hexadecimal, as C's ``%a`` prints them."""

import numpy as np

from refconv.dtypes import EXTENSIONS, extension_dtype

__all__ = ["decode", "encode"]


def encode(array: np.ndarray) -> dict:
    """Return a dict of plain data that `decode` makes the same array of.

    Parameters
    ----------
    array : ndarray, any shape
        Of integers, or of a format that float64 contains. NaNs lose their payload.

    Returns
    -------
    dict
        dtype, shape, and data: the elements with the last index running fastest.

    Examples
    --------
    >>> encode(np.float32([[0.1, 3]]))
    {'dtype': 'float32', 'shape': [1, 2], 'data': ['0x1.99999a0000000p-4', '0x1.8000000000000p+1']}
    """
    array = np.asarray(array)
    flat = array.ravel()
    numbers = flat.tolist() if array.dtype.kind in "iub" else [float(number).hex() for number in flat]
    return {"dtype": array.dtype.name, "shape": list(array.shape), "data": numbers}


def decode(data: dict) -> np.ndarray:
    """Return the array that `encode` was given.

    Parameters
    ----------
    data : dict

    Returns
    -------
    ndarray
        Contiguous.

    Raises
    ------
    ValueError
        For a number that cannot be read, or too few or too many of them.

    Examples
    --------
    >>> decode({"dtype": "float16", "shape": [2], "data": ["0x1.8p+1", "-inf"]})
    array([  3., -inf], dtype=float16)
    """
    name = data["dtype"]
    dtype = extension_dtype(name) if name in EXTENSIONS else np.dtype(name)
    numbers = [float.fromhex(number) if isinstance(number, str) else number for number in data["data"]]
    return np.array(numbers, dtype).reshape(data["shape"])
