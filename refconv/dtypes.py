"""Which dtypes refconv takes, which of them go together, and which one a result has."""

from functools import lru_cache

import numpy as np

from refconv.errors import ConvError
from refconv.kernels.exact import FloatFormat

__all__ = [
    "EXTENSIONS",
    "check_operand",
    "extension_dtype",
    "format_of",
    "is_float8",
    "kind_of",
    "named_dtype",
    "parameter_dtype",
    "result_dtype",
]

# The formats that the float kernels read and write, by the name of their dtype.
_FORMATS = {
    "float16": int(FloatFormat.FLOAT16),
    "bfloat16": int(FloatFormat.BFLOAT16),
    "float32": int(FloatFormat.FLOAT32),
    "float64": int(FloatFormat.FLOAT64),
}

# The kinds of numbers: only those of one kind go together. Operands can be of these dtypes ...
_OPERANDS = {
    "float": ["float8_e4m3fn", "float8_e5m2", *_FORMATS],
    "integer": ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"],
    "complex": ["complex64", "complex128"],
}
# ... and results of these.
_RESULTS = {**_OPERANDS, "float": list(_FORMATS)}

_KINDS = {name: kind for kind, names in _OPERANDS.items() for name in names}

# Results that are not by default of the operands' dtype.
_DEFAULT_RESULTS = {
    **dict.fromkeys(["float8_e4m3fn", "float8_e5m2"], "float32"),
    **dict.fromkeys(["int8", "int16", "uint8", "uint16"], "int32"),
    **dict.fromkeys(["uint32", "uint64", "int32"], "int64"),
}

#: What NumPy learns from the package ml_dtypes.
EXTENSIONS = ("bfloat16", "float8_e4m3fn", "float8_e5m2")


@lru_cache
def format_of(dtype):
    """The format of a float dtype, or else None; from a cache, as NumPy takes a microsecond for a name."""
    return _FORMATS.get(dtype.name)


@lru_cache
def kind_of(dtype):
    """The kind of numbers that a dtype holds, 'float', 'integer' or 'complex'; None if operands cannot be of it."""
    return _KINDS.get(dtype.name)


@lru_cache
def is_float8(dtype):
    """Whether operands of a dtype are read through a table."""
    return dtype.name.startswith("float8")


@lru_cache
def _default_result(dtype):
    """The dtype of results that no other dtype was asked for."""
    return np.dtype(_DEFAULT_RESULTS.get(dtype.name, dtype))


def extension_dtype(name):
    """The dtype that NumPy calls by this name once ml_dtypes is imported.

    Raises
    ------
    ImportError
        ``bfloat16 needs the package ml_dtypes ...``
    """
    try:
        import ml_dtypes
    except ImportError:
        raise ImportError(
            f"{name} needs the package ml_dtypes, which brings the NumPy type: pip install refconv[bfloat16]"
        ) from None
    return np.dtype(getattr(ml_dtypes, name))


def named_dtype(dtype):
    """The dtype with a name, also with one that NumPy knows only once ml_dtypes is imported; dtypes as they are."""
    return extension_dtype(dtype) if isinstance(dtype, str) and dtype in EXTENSIONS else np.dtype(dtype)


def result_dtype(function, dtype, **operands):
    """The dtype of the result of a call.

    Parameters
    ----------
    function : str
        The called function, for the error message.
    dtype : dtype, str or None
        What the caller asked for: anything `numpy.dtype` takes, a name such as "bfloat16", a torch dtype, or None.
    **operands : dtype
        Those of the operands, by the names of the arguments.

    Returns
    -------
    dtype
        Without `dtype`, float8 operands give float32, integers of 8 and 16 bits int32, other integers int64, and all
        others their own dtype.

    Raises
    ------
    ConvError
        ``{function}(): operands must share one dtype, but got ...``; with `dtype` they need only be of one kind.
    TypeError
        ``{function}(): argument 'dtype' must be ...`` if it is not of the operands' kind.
    """
    first = next(iter(operands.values()))
    kind = kind_of(first)
    if len(set(operands.values())) > 1:
        _check_mixed(function, dtype, kind, operands)
    if dtype is None:
        return _default_result(first)
    resolved = _resolved(dtype)
    if resolved is None or resolved.name not in _RESULTS[kind]:
        raise TypeError(
            f"{function}(): argument 'dtype' must be {_listing(_RESULTS[kind])} for {kind} operands, not {dtype!r}"
        )
    return resolved.newbyteorder("=")


def parameter_dtype(function, dtype):
    """The dtype of a layer's parameters: float32, or what was asked for in any way that `result_dtype` takes.

    Raises
    ------
    TypeError
        ``{function}(): argument 'dtype' must be ...`` if these are no floating-point or complex numbers.
    """
    resolved = np.dtype(np.float32) if dtype is None else _resolved(dtype)
    known = [*_FORMATS, *_OPERANDS["complex"]]
    if resolved is None or resolved.name not in known:
        raise TypeError(f"{function}(): argument 'dtype' must be {_listing(known)}, not {dtype!r}")
    return resolved.newbyteorder("=")


def _check_mixed(function, dtype, kind, operands):
    one_kind = all(kind_of(other) == kind for other in operands.values())
    if one_kind and dtype is not None:
        return
    listing = ", ".join(f"{name} {other}" for name, other in operands.items())
    hint = " (with dtype= for the result they need not)" if one_kind else ""
    raise ConvError(f"{function}(): operands must share one dtype, but got {listing}{hint}")


def _resolved(dtype):
    """The NumPy dtype that is meant, or None."""
    name = dtype if isinstance(dtype, str) else None
    if type(dtype).__module__ == "torch":
        name = str(dtype).removeprefix("torch.")
    if name in EXTENSIONS:
        return extension_dtype(name)
    try:
        return np.dtype(name or dtype)
    except TypeError:
        return None


def check_operand(function, name, dtype):
    """Raise a TypeError if operands cannot be of this dtype.

    Raises
    ------
    TypeError
        ``{function}(): argument '{name}' has dtype ..., but expected ...``
    """
    if kind_of(dtype) is None:
        hint = "; astype(numpy.uint8) makes zeros and ones of it" if dtype == np.bool_ else ""
        expected = _listing(name for names in _OPERANDS.values() for name in names)
        raise TypeError(f"{function}(): argument '{name}' has dtype {dtype}, but expected {expected}{hint}")


def _listing(names):
    *others, last = names
    return f"{', '.join(others)} or {last}"
