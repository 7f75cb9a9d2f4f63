"""Is a result right? The verdict on one call of somebody's convolution."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from refconv.arrays import as_operand
from refconv.testing import message
from refconv.testing.bounds import Magnitudes, allowed_error, check_claim
from refconv.testing.claim import Claim
from refconv.testing.formats import format_of
from refconv.testing.operation import Operation
from refconv.testing.screening import differing, screen, screen_few
from refconv.testing.statistics import Statistics, applies, statistics_of
from refconv.testing.ulps import ulp_error

__all__ = ["Verdict", "assert_conv_close", "judge"]

#: From best to worst.
GRADES = ("EXACT", "WITHIN", "SUSPICIOUS", "WRONG")


@dataclass(frozen=True, eq=False, repr=False)
class Verdict:
    """What `judge` found.

    Parameters
    ----------
    grade : {'EXACT', 'WITHIN', 'SUSPICIOUS', 'WRONG'}
    operation : Operation
        The call.
    claim : Claim
        What the implementation is held to.
    actual : ndarray
        Its result.
    exact : ndarray
        The correctly rounded result, in the format of `actual`.
    statistics : Statistics or None
        Of the errors as a whole, where these say anything.
    fault : str or None
        What is wrong about the result as an array, its shape or dtype. The elements have not been judged then.
    compute_shares : callable
        Returns `shares`, which is needed by those only who look at it.
    call : dict
        The arguments as they were passed, for messages.
    """

    grade: str
    operation: Operation
    claim: Claim
    actual: np.ndarray
    exact: np.ndarray
    statistics: Statistics | None = None
    fault: str | None = None
    compute_shares: Callable[[], np.ndarray | None] = lambda: None
    call: dict = field(default_factory=dict)

    @cached_property
    def shares(self) -> np.ndarray | None:
        """Per element the error as a share of what is allowed.

        0 if equal, above 1 if wrong, infinite if not even the right kind of number. None if there is a `fault`.
        """
        return self.compute_shares()

    @property
    def right(self) -> bool:
        """Whether nothing is wrong: neither 'WRONG' nor 'SUSPICIOUS'."""
        return self.grade in ("EXACT", "WITHIN")

    @cached_property
    def wrong(self) -> np.ndarray:
        """Which elements are wrong, of the result's shape."""
        if self.shares is None:
            return np.ones(self.exact.shape, bool)
        return self.shares > 1.0

    @cached_property
    def worst(self) -> tuple[int, ...] | None:
        """Index of the element with the largest share of its allowed error, of equals the one farthest off."""
        if self.shares is None or not self.shares.size:
            return None
        top = np.flatnonzero(self.shares.ravel() == self.shares.max())
        with np.errstate(all="ignore"):
            off = np.abs(self.actual.ravel()[top].astype(np.float64) - self.exact.ravel()[top].astype(np.float64))
        at = top[np.where(np.isnan(off), np.inf, off).argmax()]
        return tuple(int(i) for i in np.unravel_index(at, self.shares.shape))

    @cached_property
    def allowed(self) -> np.ndarray:
        """The largest permitted error, per element."""
        if not self.operation.is_float:
            return np.zeros(self.exact.shape)
        size_of_y = np.abs(np.nan_to_num(self.exact.astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0))
        magnitudes = Magnitudes.for_claim(self.operation, self.claim)
        bound = allowed_error(magnitudes, self.claim, size_of_y.reshape(self.operation.shape), self._out)
        return np.broadcast_to(bound, self.operation.shape).reshape(self.exact.shape)

    @property
    def _out(self):
        return format_of(self.exact.dtype)

    @cached_property
    def ulps(self) -> np.ndarray:
        """The distance from the correctly rounded result in representable numbers; of floating-point results only."""
        return ulp_error(self.actual, self.exact)

    @cached_property
    def explanation(self):
        """What the result looks like: see `explain`. None if it is right."""
        from refconv.testing.explain import explain_verdict

        return None if self.right else explain_verdict(self)

    def __getstate__(self):
        # Functions do not travel to another process, what they return does.
        return {**vars(self), "shares": self.shares, "compute_shares": None}

    def __bool__(self):
        return self.right

    def __str__(self):
        return message.text(self)

    def __repr__(self):
        return message.one_line(self)

    def _repr_html_(self):
        return message.html(self)

    def plot(self):
        """Draw a map of the errors over the output plane, and their histogram, as shares of what is allowed.

        Returns
        -------
        matplotlib.figure.Figure
            Needs matplotlib.
        """
        from refconv.testing.plots import plot_verdict

        return plot_verdict(self)


def judge(
    actual,
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
    overflow="raise",
):
    """Judge the result of a convolution (cross-correlation), or of a gradient, by the arithmetic it claims.

    Parameters
    ----------
    actual : array_like
        The result to be judged.
    input, weight, bias, stride, padding, dilation, groups, output_padding, grad_output
        What it is the result of; as for the function that `op` names. Where a gradient needs a shape only, that shape
        or an array of it: `input` for 'conv2d_input', `weight` for 'conv2d_weight', neither for 'conv2d_bias'.
    op : str
        One of conv1d, conv2d, conv3d, conv_transpose1d, ..., conv2d_input, conv2d_weight, conv2d_bias, ...
    claim : Claim, optional
        What the implementation says about its arithmetic. By default it sums in float32, or for float64 operands in
        float64, to nearest, in any order, and returns the operands' format.
    overflow : {'raise', 'wrap', 'saturate'}
        Integers: what is right where a sum does not fit the dtype of `actual`.

    Returns
    -------
    Verdict
        Its grade is, for the worst element,

        - EXACT: equal to the correctly rounded result (zeros of either sign are equal, NaNs too);
        - WITHIN: inside `conv_bound`, which no right implementation can leave;
        - SUSPICIOUS: inside of it, but the errors as a whole are impossible in practice (`refconv.testing.statistics`);
        - WRONG: outside, of the wrong shape, or of the wrong dtype.

    Raises
    ------
    ConvError, TypeError
        As the function, for a call that makes no sense.
    ValueError
        For a claim that makes no sense: ``claim: an accumulator of float16 cannot hold float32 operands``.

    See Also
    --------
    assert_conv_close : the same as an assertion.
    explain : which bug a wrong result looks like.

    Examples
    --------
    >>> import numpy as np
    >>> from refconv.testing import judge
    >>> x = np.array([[[[1, 2, 3]]]], np.float32)
    >>> w = np.array([[[[1, 10]]]], np.float32)
    >>> judge(np.float32([[[[21, 32]]]]), x, w).grade
    'EXACT'
    >>> judge(np.float32([[[[12, 23]]]]), x, w)      # the kernel, turned round
    <Verdict WRONG: 2 of 2 elements of conv2d, worst at (0, 0, 0, 0)>
    """
    call = {
        "input": input,
        "weight": weight,
        "bias": bias,
        "stride": stride,
        "padding": padding,
        "dilation": dilation,
        "groups": groups,
        "output_padding": output_padding,
        "grad_output": grad_output,
    }
    return judge_operation(actual, Operation.of(op, **call), claim, overflow, call)


def judge_operation(actual, operation: Operation, claim: Claim | None = None, overflow="raise", call=None) -> Verdict:
    """As `judge`, for a call that has been checked already."""
    actual = as_operand(actual, "judge", "actual")
    if operation.dtype.kind == "c":
        raise TypeError("judge(): complex results are judged by their real and imaginary parts")
    if claim is None:
        claim = Claim.of(operation.dtype) if operation.is_float else Claim()
    common = {"operation": operation, "claim": claim, "actual": actual, "call": call or {}}
    fault = _fault(actual, operation, claim)
    if fault:
        return Verdict("WRONG", exact=operation.exact().reshape(operation.result_shape), fault=fault, **common)
    exact = operation.exact(actual.dtype, overflow=overflow).reshape(operation.result_shape)
    common["exact"] = exact
    if operation.is_float:
        check_claim(operation, claim)
    if not operation.is_float:
        unequal = actual != exact
        if unequal.any():
            return Verdict("WRONG", compute_shares=lambda: np.where(unequal, np.inf, 0.0), **common)
        return Verdict("EXACT", compute_shares=lambda: np.zeros(exact.shape), **common)
    errors = _Errors(operation, claim, actual, exact)
    grade, statistics = errors.judged()
    return Verdict(grade, statistics=statistics, compute_shares=lambda: errors.shares, **common)


def _fault(actual, operation, claim) -> str | None:
    """What is wrong about the result as an array."""
    if actual.shape != operation.result_shape:
        return f"the shape is {actual.shape}, but must be {operation.result_shape}"
    wanted = claim.out or operation.result_dtype.name
    if operation.is_float and actual.dtype.name != wanted:
        return f"the dtype is {actual.dtype.name}, but must be {wanted}"
    return None


class _Errors:
    """The errors of a result, element by element and as a whole."""

    def __init__(self, operation, claim, actual, exact):
        self.operation, self.claim = operation, claim
        self.actual = actual.reshape(operation.shape)
        self.exact = exact.reshape(operation.shape)
        self.out = format_of(actual.dtype)
        self.magnitudes = Magnitudes.for_claim(operation, claim)

    @cached_property
    def unequal(self) -> np.ndarray:
        """Which elements are not equal to the exact ones, NaNs being equal."""
        return (self.actual != self.exact) & ~(np.isnan(self.actual) & np.isnan(self.exact))

    @cached_property
    def reference(self) -> np.ndarray:
        """The exact sums in a format finer than the result's, where that costs no more."""
        return self.operation.exact(np.float32) if self.out.precision < 24 else self.exact

    def judged(self) -> tuple[str, Statistics | None]:
        """The grade, and the statistics where they say anything."""
        elements = differing(self.actual, self.exact)
        if elements is not None and not elements.size:
            return "EXACT", None
        figures = None
        if elements is not None:
            figures = screen_few(self.actual, elements, self.operation, self.claim, self.out)
        if figures is None:
            figures = screen(self.actual, self.reference, self.magnitudes, self.claim, self.out)
        if figures is not None:
            return "WITHIN", figures
        if not self.unequal.any():
            return "EXACT", None
        if (self.shares > 1.0).any():
            return "WRONG", None
        if not applies(self.claim):
            return "WITHIN", None
        _, error, y = self._judged_elements
        statistics = statistics_of(self.operation, self.claim, error, y, self.magnitudes, self.out)
        return "SUSPICIOUS" if statistics.anomaly else "WITHIN", statistics

    @property
    def shares(self) -> np.ndarray:
        """Per element the error as a share of what is allowed."""
        return self._judged_elements[0].reshape(self.operation.result_shape)

    @cached_property
    def _judged_elements(self):
        return self._against(self.reference)

    def _against(self, reference):
        """Shares of the bound, errors, and the exact sums, as far as these are known: rounded to some format."""
        y = reference.astype(np.float64)
        wide = self.actual.astype(np.float64)
        with np.errstate(all="ignore"):
            error = wide - y
        size = np.abs(y)
        kind_is_wrong = ~np.isfinite(error)
        if kind_is_wrong.any():
            size[~np.isfinite(size)] = 0.0
        allowed = allowed_error(self.magnitudes, self.claim, size, self.out)
        fmt = format_of(reference.dtype)
        # Nothing of a sum without terms is rounded.
        slack = np.where(allowed > 0, fmt.unit_roundoff * size + fmt.least, 0.0)
        distance = np.abs(error)
        # Outside even if the reference is off, or inside even if it is; else it has to be looked up.
        unclear = (distance > allowed - slack) & (distance < allowed + slack) & self.unequal
        final = fmt.precision == 53
        if not final and unclear.any():
            return self._against(self.operation.exact(np.float64))
        with np.errstate(all="ignore"):
            shares = distance / (allowed + slack if final else allowed)
        shares[kind_is_wrong] = np.inf
        shares = np.where(self.unequal & ~np.isinf(allowed), shares, 0.0)
        error[np.isinf(allowed) | kind_is_wrong] = np.nan
        return np.where(np.isnan(shares), np.inf, shares), error, np.where(np.isfinite(y), y, 0.0)


def assert_conv_close(
    actual,
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
    overflow="raise",
    strict=True,
):
    """Raise an AssertionError unless a result is one that the claimed arithmetic can give. There is no tolerance.

    Parameters
    ----------
    actual, input, weight, bias, stride, padding, dilation, groups, op, output_padding, grad_output, claim, overflow
        As for `judge`.
    strict : bool, default True
        Whether SUSPICIOUS fails too: errors that are possible in theory only.

    Returns
    -------
    Verdict
        Of a result that passes.

    Raises
    ------
    AssertionError
        With a message that says where the result is wrong, by how much, which terms the worst element has, and which
        bug it looks like. It has the verdict as its attribute `verdict`.
    ConvError, TypeError, ValueError
        As for `judge`.

    Examples
    --------
    >>> import numpy as np
    >>> from refconv.testing import assert_conv_close
    >>> x = np.array([[[[0.1, 0.2, 0.3]]]], np.float32)
    >>> w = np.array([[[[1, 1]]]], np.float32)
    >>> y = x[..., :-1] + x[..., 1:]
    >>> assert_conv_close(y, x, w)
    <Verdict EXACT: conv2d, 2 elements>
    """
    __tracebackhide__ = True  # pytest shows the caller
    verdict = judge(
        actual,
        input,
        weight,
        bias,
        stride=stride,
        padding=padding,
        dilation=dilation,
        groups=groups,
        op=op,
        output_padding=output_padding,
        grad_output=grad_output,
        claim=claim,
        overflow=overflow,
    )
    if verdict.grade == "WRONG" or (strict and verdict.grade == "SUSPICIOUS"):
        error = AssertionError(str(verdict))
        error.verdict = verdict
        raise error
    return verdict
