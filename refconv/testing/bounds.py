"""How wrong may a convolution be? A bound for every output element, derived from the arithmetic that was claimed.

There is no tolerance to choose here. An implementation states a claim, such as "accumulates in float32, in some order",
and theory says how far from the exact sum each of its results can then be. Inside the bound a result proves nothing;
outside of it the claim is false, whatever the order of summation was.

    y   exact value of an output element: the sum of its terms, that is of its products and the bias
    A   the sum of the absolute values of the same terms
    m   how many of the terms are not zero (adding a zero is exact in any order, so those do not count)
    u   unit roundoff, 2**-precision            eta   least subnormal number
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from refconv.testing.claim import Claim
from refconv.testing.complex_parts import real_and_imaginary
from refconv.testing.formats import FORMATS, Format, format_of
from refconv.testing.operation import Operation
from refconv.testing.terms import term_counts

__all__ = ["Magnitudes", "allowed_error", "conv_bound"]

# The bound itself is evaluated with fewer than 32 float64 operations, each with a relative error of at most 2**-53.
_ROUND_UP = 1.0 + 2.0**-47


@dataclass(frozen=True, eq=False)
class Magnitudes:
    """The sums over the same terms that bounds are made of.

    Parameters
    ----------
    operation : Operation
        On floating-point numbers.
    wide : bool
        Whether sums are evaluated in float64; otherwise in float32, unless the operands are of float64.
    """

    operation: Operation
    wide: bool = False

    @classmethod
    def for_claim(cls, operation: Operation, claim: Claim) -> "Magnitudes":
        """In float32 only if the claimed sums may overflow there."""
        return cls(operation, wide=claim.accumulate == "float64")

    @cached_property
    def finite(self) -> Operation:
        """The operation with zeros for NaN and infinity."""

        def cleaned(a):
            if a is None or np.isfinite(a).all():
                return a
            return np.where(np.isfinite(a), a, a.dtype.type(0))

        op = self.operation
        changed = {name: cleaned(getattr(op, name)) for name in ("x", "w", "bias")}
        return op.replace(**changed) if any(changed[name] is not getattr(op, name) for name in changed) else op

    @property
    def working_dtype(self) -> type:
        """The format that sums are evaluated in."""
        return np.float64 if self.wide or self.operation.dtype == np.float64 else np.float32

    @cached_property
    def A(self) -> np.ndarray:
        """The sum of the terms' absolute values, rounded upwards, as float64 of the operation's shape."""
        return _upwards(self.A_nearest, self.working_dtype)

    @cached_property
    def A_nearest(self) -> np.ndarray:
        """The same in the working format, rounded to nearest."""
        return _sizes(self.finite, self.working_dtype).exact(self.working_dtype)

    def sizes(self) -> list[np.ndarray | None]:
        """Return the absolute values of x, w and the bias in the working format, NaN and infinity as they are."""
        op, dtype = self.operation, self.working_dtype
        return [None if a is None else np.abs(a).astype(dtype, copy=False) for a in (op.x, op.w, op.bias)]

    @cached_property
    def Q(self) -> np.ndarray:
        """The sum of the terms' squares, as float64; for statistics, not for bounds."""
        with np.errstate(over="ignore"):
            return _mapped(self.finite, lambda a: np.square(a.astype(np.float64))).exact(np.float64)

    @cached_property
    def m(self) -> np.ndarray:
        """How many terms are not zero, to be broadcast with the operation's shape. NaN and infinity count."""
        bias, m = self.operation.bias, self._products
        if bias is None or not bias.any():
            return m
        return m + (1.0 if bias.all() else (bias != 0).reshape(1, -1, *(1,) * (m.ndim - 2)))

    @property
    def _products(self) -> np.ndarray:
        """How many products are not zero."""
        op = self.operation.replace(bias=None)
        if op.w.all() and op.x.all():
            return term_counts(op)
        if not op.w.all():
            return op.replace(x=_is_not_zero(op.x), w=_is_not_zero(op.w)).exact(np.float64)
        # The same for all outputs of a group: one of them is enough.
        if op.kind == "forward" and op.groups == 1:
            w = np.ones((1, *op.w.shape[1:]), np.float32)
            op = op.replace(w=w, shape=(op.shape[0], 1, *op.shape[2:]))
        else:
            w = np.ones(op.w.shape, np.float32)
        return op.replace(x=_is_not_zero(op.x), w=w).exact(np.float64)

    def window_sum(self, operand: str) -> np.ndarray:
        """The sum of one factor's absolute values over the terms, rounded upwards."""
        ones = {"x": "w", "w": "x"}[operand]
        op = self.finite.replace(bias=None)
        dtype = self.working_dtype
        kept = np.abs(getattr(op, operand)).astype(dtype)
        other = np.ones_like(getattr(op, ones), dtype)
        return _upwards(op.replace(**{operand: kept, ones: other}).exact(dtype), dtype)


def _mapped(op, function) -> Operation:
    """An operation with all its operands changed by a function."""
    return op.replace(x=function(op.x), w=function(op.w), bias=None if op.bias is None else function(op.bias))


def _sizes(op, dtype) -> Operation:
    """The operation on absolute values, in a format."""
    return _mapped(op, lambda a: np.abs(a).astype(dtype, copy=False))


def _is_not_zero(a) -> np.ndarray:
    return (a != 0).astype(np.float32)


def _upwards(sums, dtype) -> np.ndarray:
    """Undo that sums have been rounded to nearest: by one unit more than it can have cost."""
    fmt = format_of(dtype)
    wide = sums.astype(np.float64)
    wide *= 1.0 + 2.0 * fmt.unit_roundoff
    wide[wide > 0] += fmt.least
    return wide


def allowed_error(magnitudes: Magnitudes, claim: Claim, size_of_y: np.ndarray, out: Format) -> np.ndarray:
    """Return the largest distance from the exact sum that a claim allows, per element.

    Parameters
    ----------
    magnitudes : Magnitudes
    claim : Claim
    size_of_y : ndarray of float64
        The absolute value of the exact sums; zero where they are not finite.
    out : Format
        Of the result.

    Returns
    -------
    ndarray of float64
        As `conv_bound`, which has the formula.
    """
    check_claim(magnitudes.operation, claim)
    if claim.algorithm != "direct":
        # Only needed by those who claim such an algorithm.
        from refconv.testing import fast_algorithms

        claim = fast_algorithms.claim_for(magnitudes.operation, claim)
    accumulator, m = claim.accumulator, magnitudes.m
    with np.errstate(over="ignore", invalid="ignore"):
        E, A = _operands_error(magnitudes, claim)
        if claim.algorithm == "direct":
            E += _relative_accumulation(m, claim) * A
            E += (1.0 + m * accumulator.unit_roundoff) * np.ceil(m / 2) * accumulator.least
        else:
            E += fast_algorithms.allowed_error(magnitudes, claim)
        if claim.flush_subnormals:
            smallest = 2.0 ** (1 - accumulator.emax)
            E += smallest * (2.0 * m + magnitudes.window_sum("x") + magnitudes.window_sum("w"))
        if not out.contains(accumulator):
            cut = 1.0 if claim.rounding == "nearest" else 2.0
            E += cut * (out.unit_roundoff * (size_of_y + E) + out.least / 2)
            if claim.flush_subnormals:
                E += 2.0 ** (1 - out.emax)
        # A few operations here have subnormal results, off by half a least number of float64 each.
        E = E * _ROUND_UP + 8 * FORMATS["float64"].least
        may_overflow = min(accumulator.largest, out.largest) <= A + E
    if claim.algorithm == "direct":
        E = np.where(m == 0, 0.0, E)
    elif magnitudes.finite is not magnitudes.operation:
        return np.full(E.shape, np.inf)
    return np.where(may_overflow | np.isnan(E), np.inf, E)


def check_claim(operation: Operation, claim: Claim):
    """Raise a ValueError for a claim that nobody can make about an operation."""
    held = claim.input_format or format_of(operation.x.real.dtype)
    if not claim.accumulator.contains(held):
        what = f"{claim.inputs}" if claim.inputs else f"{operation.dtype}"
        raise ValueError(f"claim: an accumulator of {claim.accumulate} cannot hold {what} operands")
    if claim.algorithm != "direct" and operation.is_complex:
        raise ValueError(f"claim: {claim.algorithm} is for real numbers, not for {operation.dtype}")
    if claim.algorithm != "direct" and operation.kind != "forward":
        raise ValueError(f"claim: {claim.algorithm} is for forward convolutions, not for {operation.op}")
    if claim.algorithm == "winograd" and {*operation.stride, *operation.dilation} != {1}:
        raise ValueError("claim: Winograd's algorithm needs stride 1 and dilation 1")


def _operands_error(magnitudes: Magnitudes, claim: Claim):
    """What casting the operands costs, E_in, and the sum of the absolute values of the terms that are left."""
    A = magnitudes.A
    fmt, own = claim.input_format, format_of(magnitudes.operation.dtype)
    if fmt is None or fmt.contains(own):
        return np.zeros(A.shape), A
    rho = fmt.unit_roundoff * (1.0 if claim.rounding == "nearest" else 2.0)
    E = (2.0 * rho + rho * rho) * A
    if fmt.emax < own.emax:
        # Subnormal numbers of the narrower format, which may be flushed with the others.
        lost = fmt.least if not claim.flush_subnormals else 2.0 ** (1 - fmt.emax)
        x_sum, w_sum = magnitudes.window_sum("x"), magnitudes.window_sum("w")
        E += (1.0 + rho) * lost * (x_sum + w_sum) + magnitudes.m * lost * lost
        finite = magnitudes.finite
        if any(np.abs(a).max(initial=0.0) * (1.0 + rho) >= fmt.largest for a in (finite.x, finite.w)):
            E += np.inf
    return E, A + E


def _relative_accumulation(m: np.ndarray, claim: Claim) -> np.ndarray:
    """E_acc / A of a direct sum."""
    u = claim.accumulator.unit_roundoff
    if claim.rounding == "nearest":
        return m * u * (1.0 + u)
    cuts = m if claim.rounding == "truncate" else 1.5 * m + 2.0
    return np.expm1(cuts * np.log1p(2.0 * u))


def conv_bound(
    input=None,
    weight=None,
    bias=None,
    *,
    stride=1,
    padding=0,
    dilation=1,
    groups=1,
    op="conv2d",
    output_padding=0,
    grad_output=None,
    claim=None,
):
    """Bound the error of a convolution (cross-correlation) that keeps to a claim about its arithmetic.

    Parameters
    ----------
    input, weight, bias, stride, padding, dilation, groups, output_padding, grad_output
        As for the function that `op` names. Where it needs only the shape of input or weight, that shape, or an array
        of it.
    op : str
        One of conv1d, conv2d, conv3d, conv_transpose1d, ..., conv2d_input, conv2d_weight, conv2d_bias, ...
    claim : Claim, optional
        By default float32 sums, or float64 for float64 operands. Without operands cast to another format, the
        accumulator must contain the operands' format.

    Returns
    -------
    ndarray of float64, of the result's shape
        The largest possible distance between a result and the exact sum. Zero where every term is zero; infinite where
        the claimed arithmetic may overflow on the way, so that any result is permitted. For complex operands complex:
        the bound of the real part, and that of the imaginary part.

    Raises
    ------
    ConvError, TypeError
        As the function.
    ValueError
        ``claim: an accumulator of float16 cannot hold float32 operands``

    Notes
    -----
    For direct sums the bound is E_in + E_acc + E_underflow + E_flush + E_out:

    E_in = (2 rho + rho**2) A
        If operands are cast, each is off by at most rho of itself, the unit roundoff of the narrower format, twice that
        if digits are cut off. If its range is narrower, too, subnormal numbers add least * (sum \\|x\\| + sum \\|w\\|),
        and anything goes if an operand is out of range. In what follows, A is the sum after the cast.
    E_acc = m u (1 + u) A, u of the accumulator
        Adding m numbers in *any* order, each addition rounded to nearest, is off by at most (m - 1) u times the sum of
        their absolute values, for every m: C.-P. Jeannerod and S. M. Rump, "Improved error bounds for inner products in
        floating-point arithmetic", SIAM J. Matrix Anal. Appl. 34 (2013) 338-344, doi:10.1137/120894488. Each number is
        a product that has been rounded, by at most u of itself, or that has not, in a fused multiply-add and for the
        bias. The classical form has gamma_m = m u / (1 - m u) instead of m u (1 + u): N. J. Higham, "Accuracy and
        Stability of Numerical Algorithms", 2nd ed., section 3.1.

        Digits cut off instead: ((1 + 2 u)**m - 1) A, as each step is off by 2 u (Higham, theorem 3.1). Tensor cores add
        blocks of b >= 4 exact products to a sum, all aligned to the largest and cut without guard digits (M. Fasi, N.
        J. Higham, M. Mikaitis and S. Pranesh, PeerJ Comput. Sci. 7 (2021) e330): b + 2 cuts by 2 u in each of m / b
        blocks (the last may be shorter, hence the 2), so 1.5 m + 2 in place of m.
    E_underflow = (1 + m u) m eta / 2, u and eta of the accumulator
        A product in the subnormal range is off by at most eta / 2 besides, and so is a fused multiply-add; a sum there
        is exact. Higham, section 2.3.
    E_flush = N_min (2 m + sum \\|x\\| + sum \\|w\\|), if subnormals may be flushed
        N_min is the least normal number of the accumulator. Each operand, product and sum may lose as much.
    E_out = u (\\|y\\| + E) + eta / 2, u and eta of the result
        One rounding of the finished sum, if the result's format does not contain the accumulator's; otherwise 0. P.
        Blanchard, N. J. Higham, F. Lopez, T. Mary and S. Pranesh, "Mixed precision block fused multiply-add", SIAM J.
        Sci. Comput. 42 (2020) C124-C141, doi:10.1137/19M1289546.

    In the place of E_acc and E_underflow, `refconv.testing.fast_algorithms` has the bounds for Winograd and FFT.

    A and m come from `refconv`, correctly rounded; all is rounded upwards. Rules that complete the bound:

    - m = 0: the result must be zero.
    - A + E reaches the largest number of the accumulator or the result: a partial sum may overflow, so anything goes.
    - Otherwise, y is NaN or infinite because an operand is: the result must be the same.
    - Zeros of either sign are equal.
    - An operand that is infinite or NaN spreads through a whole transform: with Winograd or FFT, anything goes then.

    The bound is nearly attained: adding m - 1 terms of size u to 1, one after the other, loses all of them, (m - 1) / m
    of it.

    Examples
    --------
    >>> import numpy as np
    >>> from refconv.testing import conv_bound
    >>> x = np.array([[[[1.0, 2.0**-24]]]], np.float32)
    >>> w = np.ones((1, 1, 1, 2), np.float32)
    >>> bound = conv_bound(x, w)
    >>> (2.0**-24 / bound).round(2)      # 1 + u gave 1: the error is u, of 2 u allowed
    array([[[[0.5]]]])
    """
    operation = Operation.of(
        op,
        input,
        weight,
        bias,
        stride=stride,
        padding=padding,
        dilation=dilation,
        groups=groups,
        output_padding=output_padding,
        grad_output=grad_output,
    )
    if operation.is_integer:
        raise TypeError(f"conv_bound(): {operation.dtype} sums are exact; a bound is for floating-point numbers")
    claim = claim or Claim.of(operation.dtype)
    check_claim(operation, claim)
    if not operation.is_complex:
        return _bound(operation, claim)
    bound = np.empty(operation.result_shape, np.complex128)
    bound.real, bound.imag = (_bound(part, claim) for part in real_and_imaginary(operation))
    return bound


def _bound(operation, claim):
    """As `conv_bound`, of real numbers."""
    with np.errstate(over="ignore"):
        y = np.abs(operation.exact(np.float64))
    y[~np.isfinite(y)] = 0.0
    out = format_of(claim.out or operation.result_dtype)
    bound = allowed_error(Magnitudes.for_claim(operation, claim), claim, y, out)
    return np.broadcast_to(bound, operation.shape).reshape(operation.result_shape)
