"""From what a caller passes to the NumPy arrays that the kernels read.

Accepted are NumPy arrays, whatever `numpy.asarray` or DLPack turns into one, and CPU torch tensors, bfloat16 and
requires_grad ones included. Nothing is imported for that: a torch tensor can only exist if torch was imported.
"""

import sys
from functools import lru_cache

import numpy as np

from refconv.errors import ConvError
from refconv.kernels import widen
from refconv.kernels.exact import FloatFormat

#: The formats that operands and results can have, by the name of their dtype.
FORMATS = {
    "float16": int(FloatFormat.FLOAT16),
    "bfloat16": int(FloatFormat.BFLOAT16),
    "float32": int(FloatFormat.FLOAT32),
    "float64": int(FloatFormat.FLOAT64),
}

_SUPPORTED = "float16, bfloat16, float32 or float64"


@lru_cache
def format_of(dtype):
    """The format of a dtype, or None if it is not supported; from a cache, as NumPy takes a microsecond for a name."""
    return FORMATS.get(dtype.name)


def as_operand(value, function, name):
    """`value` as an ndarray in native byte order with a supported dtype, without a copy where possible.

    Parameters
    ----------
    value : array_like
        A NumPy array, nested list, CPU torch tensor, or object with ``__array__`` or ``__dlpack__``.
    function, name : str
        The function that was called and its argument, for the error message.

    Returns
    -------
    ndarray

    Raises
    ------
    TypeError
        If `value` is no array, or holds numbers that refconv cannot take yet.
    """
    array = _as_array(value, function, name)
    if format_of(array.dtype) is None:
        raise TypeError(
            f"{function}(): argument '{name}' has dtype {array.dtype}, but expected {_SUPPORTED}"
            " (integers and complex numbers are not supported yet)"
        )
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    return array


def _as_array(value, function, name):
    if type(value) is np.ndarray:
        return value
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(value, torch.Tensor):
        return _from_torch(value, torch, function, name)
    if value is None or isinstance(value, (str, bytes, dict, set)):
        raise TypeError(f"{function}(): argument '{name}' must be an array, not {type(value).__name__}")
    try:
        if hasattr(value, "__dlpack__") and not hasattr(value, "__array__"):
            return np.from_dlpack(value)
        return np.asarray(value)
    except (TypeError, ValueError, RuntimeError, BufferError) as error:
        raise TypeError(
            f"{function}(): argument '{name}' of type {type(value).__name__} cannot be read as an array: {error}"
        ) from error


def _from_torch(tensor, torch, function, name):
    """The tensor's memory as an ndarray; torch's own bridge refuses bfloat16 and tensors that require a gradient."""
    if tensor.device.type != "cpu" or tensor.layout != torch.strided:
        raise TypeError(
            f"{function}(): argument '{name}' must be a dense CPU tensor, but is {tensor.layout} on {tensor.device};"
            " pass tensor.cpu() or tensor.to_dense()"
        )
    tensor = tensor.detach().resolve_conj().resolve_neg()
    if tensor.dtype == torch.bfloat16:
        return tensor.view(torch.int16).numpy().view(_bfloat16())
    return tensor.numpy()


def _bfloat16():
    try:
        from ml_dtypes import bfloat16
    except ImportError:
        raise ImportError(
            "bfloat16 needs the package ml_dtypes, which brings the NumPy type: pip install refconv[bfloat16]"
        ) from None
    return np.dtype(bfloat16)


def result_dtype(dtype, operand_dtype, function):
    """The output dtype asked for by `dtype=`: anything `numpy.dtype` takes, "bfloat16", a torch dtype, or None.

    Raises
    ------
    TypeError
        If it is not one of the four supported formats.
    """
    if dtype is None:
        return operand_dtype
    name = dtype if isinstance(dtype, str) else None
    if type(dtype).__module__ == "torch":
        name = str(dtype).removeprefix("torch.")
    if name == "bfloat16":
        return _bfloat16()
    try:
        resolved = np.dtype(name or dtype)
    except TypeError:
        resolved = None
    if resolved is None or format_of(resolved) is None:
        raise TypeError(f"{function}(): argument 'dtype' must be {_SUPPORTED}, not {dtype!r}")
    return resolved.newbyteorder("=")


def require_one_dtype(function, **operands):
    """Raise a ConvError that names the dtypes unless all the given operands (None is skipped) share one.

    Raises
    ------
    ConvError
        ``{function}(): operands must share one dtype, but got ...``
    """
    dtypes = {name: array.dtype for name, array in operands.items() if array is not None}
    if len(set(dtypes.values())) > 1:
        listing = ", ".join(f"{name} {dtype}" for name, dtype in dtypes.items())
        raise ConvError(f"{function}(): operands must share one dtype, but got {listing}")


def aligned(array):
    """The array, or a copy if its numbers lie at addresses that the processor may not load from."""
    return array if array.flags.aligned else array.copy()


def contiguous(array):
    """The array in C order and aligned, copied only if it is not; unlike numpy's own it keeps 0 dimensions."""
    return array if array.flags.c_contiguous and array.flags.aligned else array.copy(order="C")


def as_bytes(array):
    """The memory of a C-contiguous array as uint8, for kernels that are told the format beside it."""
    return array.reshape(-1).view(np.uint8)


def as_encodings(array):
    """The memory of a float array as the unsigned integers that encode its numbers."""
    return array.view(f"u{array.itemsize}")


def as_buffer(array):
    """The array in a dtype whose memory NumPy lends to others: bfloat16, of which it knows nothing, as integers."""
    return array if array.dtype.isbuiltin == 1 else as_encodings(array)


def as_float64(array):
    """A C-contiguous float64 array with exactly the same numbers, whatever the floating-point environment is."""
    array = contiguous(array)
    if array.dtype == np.float64:
        return array
    wide = np.empty(array.shape, np.float64)
    widen.widened(as_bytes(array), format_of(array.dtype), wide.reshape(-1))
    return wide
