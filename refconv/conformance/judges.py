"""The ways in which a result is compared with what it should be.

Every judge calls the target on a case and raises a `Mismatch` if the result is wrong. A mismatch carries the code of
the very same comparison, so that a report can print a script which fails for the same reason.
"""

import traceback
from dataclasses import dataclass

import numpy as np

import refconv
from refconv.testing.calls import ConvCase, Operands
from refconv.testing.layouts import LAYOUTS
from refconv.testing.ulps import ulp_error
from refconv.testing.verdict import judge

__all__ = [
    "Mismatch",
    "Tally",
    "expect_equal",
    "expect_refusal",
    "expect_repeatable",
    "expect_shape_and_dtype",
    "expect_untouched",
    "expect_within_bound",
]

_CALL = "conv2d(input, weight, bias, stride, padding, dilation, groups)"
_GOT = f"got = {_CALL}"
_ASSERT_ARRAY = "assert np.asarray(got).dtype != object, got"
_WANT = f"want = refconv.{_CALL}"


class Mismatch(Exception):
    """A result is not what it should be.

    Parameters
    ----------
    headline : str
        What is wrong, in one line.
    details : list of str
        The worst place, expected and actual values.
    code : list of str
        Lines that raise if and only if this is still wrong. They may use ``conv2d`` for the target, np, refconv, and
        input, weight, bias, stride, padding, dilation and groups.
    """

    def __init__(self, headline, *, details=(), code):
        super().__init__(headline)
        self.headline = headline
        self.details = list(details)
        self.code = list(code)


@dataclass
class Tally:
    """What a clause has seen so far of errors that are allowed.

    Parameters
    ----------
    worst_share : float or None
        Largest error as a share of what was allowed there; None if nothing was allowed.
    worst_ulp : float or None
        Largest distance from the correctly rounded result in ulps.
    """

    worst_share: float | None = None
    worst_ulp: float | None = None

    def add(self, share: float, ulp: float):
        self.worst_share = max(share, self.worst_share or 0.0)
        self.worst_ulp = max(ulp, self.worst_ulp or 0.0)


def operands_for_target(case: ConvCase) -> Operands:
    """Return copies of a case's arrays for the target to keep, laid out in memory as the case says."""
    copies = {name: None if a is None else a.copy() for name, a in case.operands._asdict().items()}
    for name, layout in case.layouts.items():
        if copies[name] is not None:
            copies[name] = LAYOUTS[layout](copies[name])
    return Operands(**copies)


def result_of(target, case: ConvCase, operands: Operands | None = None) -> np.ndarray:
    """Return what the target makes of a case; an exception is a mismatch."""
    operands = operands or operands_for_target(case)
    try:
        result = target(*operands, *case.call.arguments)
    except Exception as error:
        raise Mismatch(f"raised {_described(error)}", details=[_place(error)], code=[_GOT]) from error
    if result.dtype == object:
        raise Mismatch("returned something that is not an array of numbers", code=[_GOT, _ASSERT_ARRAY])
    return result


def expect_shape_and_dtype(target, case: ConvCase):
    """Judge the shape and the dtype of the result, not its numbers."""
    want = _reference(case)
    got = result_of(target, case)
    _expect_shape(got, want)
    if got.dtype != want.dtype:
        code = [_GOT, "assert got.dtype == input.dtype, got.dtype"]
        raise Mismatch(f"dtype {got.dtype} instead of {want.dtype}", code=code)


def expect_equal(target, case: ConvCase):
    """Judge a result that has to be equal to the correctly rounded one, zeros of either sign being equal."""
    want = _reference(case)
    got = result_of(target, case)
    _expect_shape(got, want)
    wrong = ~((got == want) | (np.isnan(got) & np.isnan(want)))
    if wrong.any():
        error = np.where(wrong, _ulps(got, want), -1.0)
        index = np.unravel_index(error.argmax(), error.shape)
        raise Mismatch(
            _count(wrong),
            details=[f"at {_shown(index)}: expected {want[index]}, got {got[index]}"],
            code=[_GOT, _WANT, "np.testing.assert_array_equal(got, want)"],
        )


def expect_within_bound(target, case: ConvCase, tally: Tally):
    """Judge a result by the error that the target's arithmetic allows."""
    claim = target.claim(case.operands.input.dtype.name)
    got = result_of(target, case)
    _expect_shape(got, _reference(case))
    stride, padding, dilation, groups = case.call.arguments
    arguments = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    verdict = judge(got, *case.operands, **arguments, claim=claim)
    if verdict.right:
        judged = np.isfinite(verdict.exact) & np.isfinite(verdict.actual) & np.isfinite(verdict.allowed)
        tally.add(float(verdict.shares.max(initial=0.0)), float(verdict.ulps[judged].max(initial=0.0)))
        return
    if verdict.grade == "SUSPICIOUS":
        headline, details = "errors that are impossible in practice", [verdict.statistics.anomaly]
    elif verdict.fault:
        headline, details = verdict.fault, []
    else:
        headline, index = _count(verdict.wrong), verdict.worst
        details = [f"at {_shown(index)}: expected {verdict.exact[index]}, got {verdict.actual[index]}"]
        if np.isfinite(verdict.shares[index]):
            details.append(
                f"error {abs(float(got[index]) - float(verdict.exact[index])):.3g} where "
                f"{verdict.allowed[index]:.3g} is allowed: {verdict.shares[index]:.3g} times that"
            )
    raise Mismatch(
        headline,
        details=details,
        code=[
            "from refconv.testing import Claim, assert_conv_close",
            _GOT,
            "assert_conv_close(",
            "    got, input, weight, bias, stride=stride, padding=padding, dilation=dilation, groups=groups,",
            f"    claim={claim!r},",
            ")",
        ],
    )


def expect_untouched(target, case: ConvCase):
    """Judge whether the target left the operands' memory alone."""
    operands = operands_for_target(case)
    result_of(target, case, operands)
    for name, before, after in zip(Operands._fields, case.operands, operands, strict=True):
        if before is not None and before.tobytes() != after.tobytes():
            raise Mismatch(
                f"the call has changed its {name}",
                code=[f"before = {name}.copy()", _CALL, f"assert {name}.tobytes() == before.tobytes(), {name}"],
            )


def expect_repeatable(target, case: ConvCase):
    """Judge whether the same call gives the same bits again, also after another call with other numbers."""
    first = result_of(target, case)
    kept = first.copy()
    second = result_of(target, case)
    operands = operands_for_target(case)
    result_of(target, case, operands._replace(input=-operands.input))
    code = [f"first = {_CALL}", "kept = first.copy()", f"second = {_CALL}", _CALL.replace("input", "-input")]
    if first.tobytes() != kept.tobytes():
        code.append("assert first.tobytes() == kept.tobytes(), 'the first result has changed'")
        raise Mismatch("a later call has changed an earlier result", code=code)
    third = result_of(target, case)
    if not kept.tobytes() == second.tobytes() == third.tobytes():
        code.append(f"third = {_CALL}")
        code.append("assert kept.tobytes() == second.tobytes() == third.tobytes(), 'results differ'")
        raise Mismatch("the same call gives different bits", code=code)


def expect_refusal(target, case: ConvCase):
    """Judge whether a wrong call is refused; for torch, also whether the reason is given in the same words."""
    try:
        refconv.conv2d(*case.operands, *case.call.arguments)
    except Exception as error:
        ours = error
    else:
        raise AssertionError(f"the reference accepts a call that was meant to be wrong ({case.fault}): {case.call}")
    code = ["try:", f"    {_GOT}", "except (ValueError, RuntimeError, TypeError) as error:", "    print(error)"]
    code += ["else:", "    raise AssertionError('no exception')"]
    try:
        target(*operands_for_target(case), *case.call.arguments)
    except Exception as error:
        theirs = error
    else:
        raise Mismatch(f"no exception, but: {case.fault}", details=[f"expected {_described(ours)}"], code=code)
    if not isinstance(theirs, (ValueError, RuntimeError, TypeError)):
        raise Mismatch(
            f"{type(theirs).__name__} instead of a ValueError, RuntimeError or TypeError",
            details=[f"the fault: {case.fault}", f"raised {_described(theirs)}"],
            code=code,
        )
    if target.torch_messages and not (isinstance(ours, type(theirs)) and str(ours) == str(theirs)):
        raise Mismatch(
            "another exception than refconv's",
            details=[f"refconv: {_described(ours)}", f"{target.name}: {_described(theirs)}"],
            code=[
                "reasons = []",
                "for function in (conv2d, refconv.conv2d):",
                "    try:",
                f"        {_CALL.replace('conv2d', 'function')}",
                "    except Exception as error:",
                "        reasons.append(str(error))",
                "assert reasons[0] == reasons[1], reasons",
            ],
        )


def _reference(case: ConvCase) -> np.ndarray:
    return refconv.conv2d(*case.operands, *case.call.arguments)


def _ulps(got: np.ndarray, want: np.ndarray) -> np.ndarray:
    # A result of another dtype is the business of another clause; here only its numbers count.
    with np.errstate(over="ignore"):
        return ulp_error(got.astype(want.dtype), want)


def _expect_shape(got: np.ndarray, want: np.ndarray):
    if got.shape != want.shape:
        code = [_GOT, _WANT, "assert got.shape == want.shape, (got.shape, want.shape)"]
        raise Mismatch(f"shape {got.shape} instead of {want.shape}", code=code)


def _count(wrong: np.ndarray) -> str:
    return f"{np.count_nonzero(wrong)} of {wrong.size} results wrong"


def _shown(index) -> str:
    return f"[{', '.join(map(str, index))}]"


def _described(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".rstrip(": ")


def _place(error: Exception) -> str:
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"in {frame.name}, {frame.filename}:{frame.lineno}: {frame.line}"
