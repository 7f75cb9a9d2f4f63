"""From what a caller passes to the NumPy arrays that the kernels read.

Accepted are NumPy arrays, whatever `numpy.asarray` or DLPack turns into one, and CPU torch tensors, bfloat16 and
float8 ones and those that require a gradient included. Nothing is imported for that: a torch tensor can only exist if
torch was imported.
"""

import sys
from functools import cache

import numpy as np

from refconv.dtypes import EXTENSIONS, check_operand, extension_dtype, format_of, is_float8, kind_of, result_dtype
from refconv.kernels import widen

# By the size of a number.
_ENCODINGS = {size: np.dtype(f"u{size}") for size in (1, 2, 4, 8)}


def as_operands(function, dtype, **values):
    """The operands of a call as arrays that a kernel takes together, and the dtype of the result.

    Numbers are only ever converted to formats that hold them exactly.

    Parameters
    ----------
    function : str
        The called function, for error messages.
    dtype : dtype, str or None
        What the caller asked for.
    **values : array_like
        By the names of the arguments. A `bias` can be None, and stays None.

    Returns
    -------
    operands : list of ndarray or None
        In native byte order, and copied only if necessary. All are of one dtype, or all of integer dtypes.
    dtype : dtype
        That of the result.

    Raises
    ------
    TypeError
        If a value is no array, or of a dtype that refconv does not take, or `dtype` is not of the operands' kind.
    ConvError
        ``{function}(): operands must share one dtype, but got ...``
    """
    given = {name: value for name, value in values.items() if name != "bias" or value is not None}
    arrays = {name: as_operand(value, function, name) for name, value in given.items()}
    dtypes = {name: array.dtype for name, array in arrays.items()}
    dtype = result_dtype(function, dtype, **dtypes)
    different = set(dtypes.values())
    if kind_of(dtype) != "integer" and (len(different) > 1 or any(map(is_float8, different))):
        arrays = {name: _widened(array, len(different) > 1) for name, array in arrays.items()}
    return [arrays.get(name) for name in values], dtype


def as_operand(value, function, name):
    """`value` as an ndarray in native byte order with a dtype that refconv takes, without a copy where possible.

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
        If `value` is no array, or holds numbers that refconv cannot take.
    """
    array = _as_array(value, function, name)
    check_operand(function, name, array.dtype)
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


def _widened(array, mixed):
    """The same numbers as float16 if they are float8; among operands of several dtypes as float64 or complex128."""
    if is_float8(array.dtype):
        array = _float8_values(array.dtype)[array.view(np.uint8)]
    if not mixed:
        return array
    if array.dtype.kind == "c":
        parts = contiguous(array).reshape(*array.shape, 1).view(array.real.dtype)
        return as_float64(parts).view(np.complex128).reshape(array.shape)
    return as_float64(array)


@cache
def _float8_values(dtype):
    """The float16 of the same value for each encoding of a float8 format; float16 holds all of them."""
    return np.arange(256, dtype=np.uint8).view(dtype).astype(np.float16)


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
    dtype = str(tensor.dtype).removeprefix("torch.")
    if dtype in EXTENSIONS:
        bits = torch.int16 if tensor.itemsize == 2 else torch.uint8
        return tensor.view(bits).numpy().view(extension_dtype(dtype))
    try:
        return tensor.numpy()
    except TypeError as error:
        raise TypeError(f"{function}(): argument '{name}' has dtype {tensor.dtype}, which NumPy lacks") from error


def aligned(array):
    """The array, or a copy if its numbers lie at addresses that the processor may not load from."""
    return array if array.flags.aligned else array.copy()


def contiguous(array):
    """The array in C order and aligned, copied only if it is not; unlike numpy's own it keeps 0 dimensions."""
    flags = array.flags
    return array if flags.c_contiguous and flags.aligned else array.copy(order="C")


def as_bytes(array):
    """The memory of a C-contiguous array as uint8, for kernels that are told the format beside it."""
    return array.reshape(-1).view(np.uint8)


def as_encodings(array):
    """The memory of a float array as the unsigned integers that encode its numbers."""
    return array.view(_ENCODINGS[array.itemsize])


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


def with_three_axes(array):
    """The array as a problem with three spatial axes has it: those that are missing come first, with size 1."""
    if array.ndim == 1:  # a bias
        return array
    return array[(slice(None), slice(None), *(None,) * (5 - array.ndim))]
