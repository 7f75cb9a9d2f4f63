"""When is a sum exact, whatever the order of summation? How large its whole numbers may be, and the certificate."""

import numpy as np

from refconv.dtypes import kind_of
from refconv.testing.formats import FORMATS, format_of
from refconv.testing.operation import Operation

__all__ = ["exact_in_any_order", "largest_operand", "precision_of_sums"]

# The largest operands of the formats of eight bits that are whole numbers without gaps below them.
_LARGEST = {"float8_e4m3fn": 16, "float8_e5m2": 8}


def largest_operand(dtype: np.dtype) -> int:
    """Up to which size every whole number is one of the dtype."""
    if kind_of(dtype) == "integer":
        return int(np.iinfo(dtype).max)
    return _LARGEST.get(dtype.name, 2 ** precision_of_sums(dtype))


def precision_of_sums(dtype: np.dtype) -> int:
    """How many bits sums may have, so that any result wide enough for the operands holds them."""
    if dtype.name in FORMATS:
        return format_of(dtype).precision
    # 31: integers of no more than 32 bits; float8 and complex64: float32.
    return {"integer": 31, "complex": 24, "float": 24}[kind_of(dtype)]


def exact_in_any_order(operation: Operation, dtype: np.dtype | None = None) -> bool:
    """Return whether every direct summation of an operation is exact, whatever the order.

    Parameters
    ----------
    operation : Operation
    dtype : dtype, optional
        Of the operands as they were given, if that was one of eight bits: an operation has them in a wider format.

    Returns
    -------
    bool
        True if all terms are multiples of one power of two g, and the sum of their absolute values is at most 2**p g in
        every element, where p is the precision, and not above the largest number; and if g is a number of the format.
        Then so is every partial sum. False if that cannot be shown.

    Examples
    --------
    >>> ones = np.ones((1, 1, 1, 2), np.float32)
    >>> exact_in_any_order(Operation.of("conv2d", ones, ones))
    True
    >>> exact_in_any_order(Operation.of("conv2d", np.float32([[[[1e8, 1]]]]), ones))
    False
    """
    dtype = operation.dtype if dtype is None else dtype
    if dtype.name not in FORMATS:
        return _whole_and_small(operation, dtype)
    fmt = format_of(operation.dtype)
    wide = {name: getattr(operation, name) for name in ("x", "w", "bias")}
    wide = {name: None if a is None else a.astype(np.float64) for name, a in wide.items()}
    x, w, b = (np.zeros(1) if a is None else a.reshape(-1) for a in wide.values())
    if not all(np.isfinite(a).all() for a in (x, w, b)):
        return False
    grids = [_grid_exponent(w) + _grid_exponent(x)] if w.any() and x.any() else []
    grids += [_grid_exponent(b)] if b.any() else []
    if not grids:
        return True
    grid, p = min(grids), fmt.precision
    if grid < fmt.least_exponent:
        return False
    # The sums in units of g: scaled by powers of two, so that nothing underflows, and what overflows is too large.
    scales = {"x": _grid_exponent(x) if x.any() else 0, "bias": grid}
    scales["w"] = grid - scales["x"]
    with np.errstate(over="ignore"):
        sizes = {name: None if a is None else np.ldexp(np.abs(a), -scales[name]) for name, a in wide.items()}
        largest = np.ldexp(fmt.largest, -grid)
    # The sums are whole numbers of units, and 2**53 + 1 would be rounded to 2**53.
    most = min(2.0**p if p < 53 else 2.0**p - 1, largest)
    return bool((operation.replace(**sizes).exact(np.float64) <= most).all())


def _whole_and_small(operation: Operation, dtype: np.dtype) -> bool:
    """Whether all operands are whole numbers, and sums of their sizes are no larger than recipes make them."""
    sizes = {name: getattr(operation, name) for name in ("x", "w", "bias")}
    for name, array in sizes.items():
        if array is None:
            continue
        parts = (array.real, array.imag) if array.dtype.kind == "c" else (array,)
        wide = [np.abs(part.astype(np.float64)) for part in parts]
        if not all(np.isfinite(part).all() and (part == np.floor(part)).all() for part in wide):
            return False
        sizes[name] = sum(wide)
    sums = operation.replace(**sizes).exact(np.float64)
    return bool((sums < 2.0 ** precision_of_sums(dtype)).all())


def _grid_exponent(values: np.ndarray) -> int:
    """Return the largest e such that all values are multiples of 2**e."""
    significands, exponents = np.frexp(values[values != 0])
    integers = (significands * 2.0**53).astype(np.int64)
    _, lowest_bits = np.frexp((integers & -integers).astype(np.float64))
    return int((exponents - 53 + lowest_bits - 1).min())
