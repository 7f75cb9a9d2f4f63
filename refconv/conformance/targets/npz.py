"""The files of the ``exec:`` protocol: IN.npz with a call, OUT.npy with its result. docs/protocol.md describes them.

They are files of NumPy's, written in one of the many possible ways, so that they can be read without a library: the
members of IN.npz are not compressed and come in a fixed order, numbers are little-endian, arrays in C order.
"""

import io
import operator
import zipfile
from pathlib import Path

import numpy as np

from refconv.errors import ConvError
from refconv.testing.calls import ConvCall, Operands

__all__ = ["NotExpressible", "argument_vector", "read_result", "write_call"]

VERSION = 1

_KINDS = {"forward": 0, "transposed": 1, "by input": 2, "by weight": 3, "by bias": 4}

# Kinds of dtypes that .npy has names for: bool, integers, floats, complex numbers. Others travel as their bits.
_NAMED_KINDS = "biufc"


class NotExpressible(Exception):
    """A wrong call that is wrong in a way in which this protocol cannot be used."""


def write_call(path: Path, call: ConvCall, arrays: dict[str, np.ndarray], result_shape: tuple[int, ...] = ()):
    """Write IN.npz.

    Parameters
    ----------
    path : Path
    call : ConvCall
    arrays : dict of str to ndarray
        The operands, in the target's order of axes.
    result_shape : tuple of int, optional
        For the gradients that are told it, likewise.

    Raises
    ------
    NotExpressible
        ``stride=(1, 2, 3) is not one number for each of the 2 axes``
    """
    members = {"arguments": argument_vector(call, result_shape), **arrays}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name in ("arguments", *Operands._fields):
            if name not in members:
                continue
            array = members[name]
            array = np.ascontiguousarray(array, array.dtype.newbyteorder("<")).reshape(array.shape)
            if array.dtype.kind not in _NAMED_KINDS:
                array = array.view(_bits(array.dtype))
            member = io.BytesIO()
            np.lib.format.write_array(member, array, version=(1, 0), allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), member.getvalue())


def argument_vector(call: ConvCall, result_shape: tuple[int, ...] = ()) -> np.ndarray:
    """Return what is not an array in a call as a vector of int64, in the order that docs/protocol.md has.

    Examples
    --------
    >>> call = ConvCall((1, 1, 9, 9), (1, 1, 3, 3), stride=2, padding=(1, 0))
    >>> argument_vector(call).tolist()    # version, op, axes, groups; stride, padding (begin, end), dilation, ...
    [1, 0, 2, 1, 2, 2, 1, 0, 1, 0, 1, 1, 0, 0]
    """
    n = call.spatial_ndim
    padding = _padding(call, n)
    vector = [VERSION, _KINDS[call.kind], n, call.groups]
    vector += _per_axis("stride", call.stride, n)
    vector += [begin for begin, _ in padding] + [end for _, end in padding]
    vector += _per_axis("dilation", call.dilation, n) + _per_axis("output_padding", call.output_padding, n)
    vector += result_shape
    try:
        return np.array([operator.index(number) for number in vector], np.int64)
    except (TypeError, OverflowError) as error:
        raise NotExpressible(f"{error}: {vector}") from None


def _padding(call: ConvCall, n: int) -> list[tuple[int, int]]:
    if isinstance(call.padding, str):
        try:
            return list(call.problem.padding)
        except (ConvError, TypeError) as error:
            raise NotExpressible(f"padding={call.padding!r} comes to no numbers: {error}") from None
    return [side if isinstance(side, tuple) else (side, side) for side in _per_axis("padding", call.padding, n)]


def _per_axis(name: str, value, n: int) -> list:
    values = list(value) if isinstance(value, (tuple, list)) else [value]
    if len(values) not in (1, n):
        raise NotExpressible(f"{name}={value} is not one number for each of the {n} axes")
    return values * (n // len(values))


def read_result(path: Path, dtype: np.dtype) -> np.ndarray:
    """Read OUT.npy.

    Parameters
    ----------
    path : Path
    dtype : dtype
        That of the operands: what has come as bits may be of that.

    Raises
    ------
    Exception
        Any, if it cannot be read.
    """
    with open(path, "rb") as file:
        result = np.lib.format.read_array(file, allow_pickle=False)
    if dtype.kind not in _NAMED_KINDS and result.dtype == _bits(dtype):
        result = result.view(dtype)
    return np.ascontiguousarray(result, result.dtype.newbyteorder("=")).reshape(result.shape)


def _bits(dtype: np.dtype) -> np.dtype:
    return np.dtype(f"u{dtype.itemsize}")
