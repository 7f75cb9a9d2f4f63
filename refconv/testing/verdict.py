"""Is a result right? The verdict on one call of somebody's convolution."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from refconv.arrays import as_operand
from refconv.testing import message
from refconv.testing.bounds import Magnitudes, allowed_error, check_claim
from refconv.testing.claim import Claim
from refconv.testing.complex_parts import real_and_imaginary
from refconv.testing.errors import Errors
from refconv.testing.formats import format_of
from refconv.testing.frozen import made
from refconv.testing.operation import Operation
from refconv.testing.statistics import Statistics
from refconv.testing.ulps import ulp_error

__all__ = ["Verdict", "assert_conv_close", "judge"]

#: From best to worst.
GRADES = ("EXACT", "WITHIN", "SUSPICIOUS", "WRONG")

# Of which dtype a complex result is whose parts are claimed to be of another.
_COMPLEX = {"float32": "complex64", "float64": "complex128"}


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
    parts : tuple of Verdict
        Those on the real and the imaginary part of a complex result, otherwise none.
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
    parts: tuple["Verdict", ...] = ()

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
            wide = np.complex128 if self.parts else np.float64
            off = np.abs(self.actual.ravel()[top].astype(wide) - self.exact.ravel()[top].astype(wide))
        at = top[np.where(np.isnan(off), np.inf, off).argmax()]
        return tuple(int(i) for i in np.unravel_index(at, self.shares.shape))

    @cached_property
    def allowed(self) -> np.ndarray:
        """The largest permitted error, per element; of a complex one in its real and in its imaginary part."""
        if self.parts:
            return _complex(part.allowed for part in self.parts)
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
        """The distance from the correctly rounded result in representable numbers, of each part of complex ones.

        Not of integers.
        """
        if self.parts:
            return _complex(part.ulps for part in self.parts)
        return ulp_error(self.actual, self.exact)

    @cached_property
    def explanation(self):
        """What the result looks like: see `refconv.testing.explain`. None if it is right."""
        return self.explain()

    def explain(self, function=None):
        """As `explanation`, after further calls of the function that gave the result, which tell more.

        Parameters
        ----------
        function : callable, optional
            As for `refconv.testing.explain`.
        """
        from refconv.testing.explain import explain_verdict

        return None if self.right else explain_verdict(self, function)

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


def _complex(parts) -> np.ndarray:
    real, imaginary = parts
    together = np.empty(real.shape, np.complex128)
    together.real, together.imag = real, imaginary
    return together


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

        Complex numbers are judged by their real and imaginary parts, each a sum of twice as many products.

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
    return _judge(
        actual,
        op,
        claim,
        overflow,
        input=input,
        weight=weight,
        bias=bias,
        stride=stride,
        padding=padding,
        dilation=dilation,
        groups=groups,
        output_padding=output_padding,
        grad_output=grad_output,
    )


def _judge(actual, op, claim, overflow, **call) -> Verdict:
    """As `judge`, with all arguments of the call given by name."""
    return judge_operation(actual, Operation.of(op, **call), claim, overflow, call)


def judge_operation(actual, operation: Operation, claim: Claim | None = None, overflow="raise", call=None) -> Verdict:
    """As `judge`, for a call that has been checked already."""
    actual = as_operand(actual, "judge", "actual")
    is_default = claim is None
    if is_default:
        claim = Claim() if operation.is_integer else Claim.of(operation.dtype)
    common = {"operation": operation, "claim": claim, "actual": actual, "call": call or {}}
    fault = _fault(actual, operation, claim)
    if fault:
        return Verdict("WRONG", exact=operation.exact().reshape(operation.result_shape), fault=fault, **common)
    if not is_default and not operation.is_integer:
        check_claim(operation, claim)
    if operation.is_complex:
        return _judge_parts(common)
    exact = operation.exact(actual.dtype, overflow=overflow).reshape(operation.result_shape)
    common["exact"] = exact
    if operation.is_integer:
        unequal = actual != exact
        grade = "WRONG" if unequal.any() else "EXACT"
        return Verdict(grade, compute_shares=lambda: np.where(unequal, np.inf, 0.0), **common)
    errors = Errors(operation, claim, actual, exact)
    grade, statistics = errors.judged()
    return made(Verdict, grade=grade, statistics=statistics, compute_shares=lambda: errors.shares, **common)


def _judge_parts(common) -> Verdict:
    """The verdict on complex numbers: the worse one of those on their parts."""
    actual, claim = common["actual"], common["claim"]
    operations = real_and_imaginary(common["operation"])
    parts = tuple(
        judge_operation(part, operation, claim)
        for part, operation in zip((actual.real, actual.imag), operations, strict=True)
    )
    worse = max(parts, key=lambda part: GRADES.index(part.grade))
    exact = np.empty(actual.shape, actual.dtype)
    exact.real, exact.imag = (part.exact for part in parts)
    return Verdict(
        worse.grade,
        exact=exact,
        statistics=worse.statistics,
        compute_shares=lambda: np.maximum(*(part.shares for part in parts)),
        parts=parts,
        **common,
    )


def _fault(actual, operation, claim) -> str | None:
    """What is wrong about the result as an array."""
    if actual.shape != operation.result_shape:
        return f"the shape is {actual.shape}, but must be {operation.result_shape}"
    if operation.is_integer or (claim.out is None and actual.dtype == operation.result_dtype):
        return None
    wanted = claim.out or operation.result_dtype.name
    if operation.is_complex:
        wanted = _COMPLEX.get(wanted, wanted)
    if actual.dtype.name != wanted:
        return f"the dtype is {actual.dtype.name}, but must be {wanted}"
    return None


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
    verdict = _judge(
        actual,
        op,
        claim,
        overflow,
        input=input,
        weight=weight,
        bias=bias,
        stride=stride,
        padding=padding,
        dilation=dilation,
        groups=groups,
        output_padding=output_padding,
        grad_output=grad_output,
    )
    if verdict.grade == "WRONG" or (strict and verdict.grade == "SUSPICIOUS"):
        error = AssertionError(str(verdict))
        error.verdict = verdict
        raise error
    return verdict
