"""The ways in which a result is compared with what it should be.

Every judge has the target make one call or several and raises a `Mismatch` if something is wrong. A mismatch carries
the code of the very same comparison, so that a report can print a script which fails for the same reason.
"""

from dataclasses import dataclass

import numpy as np

from refconv.conformance.targets.base import Invocation, Outcome, Target
from refconv.testing.calls import SIGNATURES, ConvCall, ConvCase
from refconv.testing.claim import Claim
from refconv.testing.formats import format_of
from refconv.testing.verdict import Verdict, judge_operation

__all__ = [
    "Mismatch",
    "Tally",
    "call_code",
    "expect_equal",
    "expect_refusal",
    "expect_repeatable",
    "expect_shape_and_dtype",
    "expect_untouched",
    "expect_within_bound",
    "invocation_of",
    "result_of",
    "sums_exactly",
    "want_code",
]


class Mismatch(Exception):
    """A result is not what it should be.

    Parameters
    ----------
    headline : str
        What is wrong, in one line.
    details : list of str
        The worst place, expected and actual values.
    code : list of str
        Lines that raise if and only if this is still wrong. They may use the function that is tested under its op's
        name, np, refconv, and the names of its arguments.
    verdict : Verdict, optional
        On the result, where it is a matter of numbers.
    refusal : Refusal, optional
        Why there is no result, if that is what is wrong.
    """

    def __init__(self, headline, *, details=(), code, verdict=None, refusal=None):
        super().__init__(headline)
        self.headline = headline
        self.details = list(details)
        self.code = list(code)
        self.verdict = verdict
        self.refusal = refusal

    def __reduce__(self):
        # An exception is made again from its arguments by position, but these have names.
        return _mismatch, (self.headline, self.details, self.code, self.verdict, self.refusal)


def _mismatch(headline, details, code, verdict, refusal):
    return Mismatch(headline, details=details, code=code, verdict=verdict, refusal=refusal)


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


# ---- Calls, and their code ----


def call_code(op: str, function: str | None = None) -> str:
    """Return the call of a function, as code: of the one that is tested, or of another with the same arguments."""
    return f"{function or op}({', '.join(SIGNATURES[op])})"


def want_code(op: str) -> str:
    """Return the call of refconv's function, as code."""
    is_gradient = op.endswith(("_input", "_weight", "_bias"))
    return f"want = {call_code(op, f'refconv.grad.{op}' if is_gradient else f'refconv.{op}')}"


def _got(call: ConvCall) -> str:
    return f"got = {call_code(call.op)}"


def invocation_of(case: ConvCase) -> Invocation:
    """Return a case as a call for a target to make."""
    return Invocation(case.call, case.operands, case.layouts)


def result_of(target: Target, case: ConvCase) -> np.ndarray:
    """Return what the target makes of a case; a refusal is a mismatch."""
    (outcome,) = target.outcomes([invocation_of(case)])
    return _returned(outcome, case)


def _returned(outcome: Outcome, case: ConvCase) -> np.ndarray:
    if outcome.refusal is not None:
        code = [_got(case.call)]
        if outcome.refusal.kind == "not an array":
            code.append("assert np.asarray(got).dtype.kind in 'fiucV', got")
        details = [outcome.refusal.place] if outcome.refusal.place else []
        raise Mismatch(str(outcome.refusal), details=details, code=code, refusal=outcome.refusal)
    return outcome.result


# ---- Judges of one result ----


def expect_shape_and_dtype(target: Target, case: ConvCase):
    """Judge the shape and the dtype of the result, not its numbers."""
    got = result_of(target, case)
    _expect_shape(got, case)
    claim = target.profile.claim(case.operands.dtype.name)
    wanted = claim.out or case.operation.result_dtype.name
    if got.dtype.name != wanted:
        code = [_got(case.call), f"assert np.asarray(got).dtype.name == {wanted!r}, np.asarray(got).dtype"]
        raise Mismatch(f"dtype {got.dtype} instead of {wanted}", code=code)


def sums_exactly(claim: Claim, dtype) -> bool:
    """Return whether the claimed arithmetic is without error for data whose sums are exact in the operands' format."""
    operands = format_of(dtype)
    return (
        claim.algorithm == "direct"
        and claim.accumulator.contains(operands)
        and (claim.input_format is None or claim.input_format.contains(operands))
        and not (claim.out and not format_of(claim.out).contains(operands))
    )


def expect_equal(target: Target, case: ConvCase):
    """Judge a result of data for which the target's arithmetic is exact: it has to be equal to the exact one.

    Zeros of either sign are equal. If the target's arithmetic is not exact even for such data, because it is
    Winograd's, say, the result has to be one that this arithmetic can give.
    """
    verdict = _verdict(target, case)
    if verdict.grade == "EXACT" or (verdict.right and not sums_exactly(verdict.claim, case.operands.dtype)):
        return
    code = [_got(case.call), want_code(case.call.op), "np.testing.assert_array_equal(got, want)"]
    if not verdict.right:
        raise _wrong(verdict, code)
    unequal = verdict.actual != verdict.exact
    index = np.unravel_index(np.where(unequal, verdict.ulps, -1).argmax(), unequal.shape)
    raise Mismatch(
        f"{np.count_nonzero(unequal)} of {unequal.size} results not exact, though every sum is",
        details=[f"at {_shown(index)}: expected {verdict.exact[index]}, got {verdict.actual[index]}"],
        code=code,
        verdict=verdict,
    )


def expect_within_bound(target: Target, case: ConvCase, tally: Tally):
    """Judge a result by the error that the target's arithmetic allows."""
    verdict = _verdict(target, case)
    if verdict.right:
        judged = np.isfinite(verdict.exact) & np.isfinite(verdict.actual) & np.isfinite(verdict.allowed)
        tally.add(float(verdict.shares.max(initial=0.0)), float(verdict.ulps[judged].max(initial=0.0)))
        return
    arrays = {name: name for name in case.operands.given}
    arrays |= {name.removesuffix("_size"): name for name in case.call.keywords if name.endswith("_size")}
    others = [name for name in case.call.keywords if not name.endswith("_size")]
    raise _wrong(
        verdict,
        [
            "from refconv.testing import Claim, assert_conv_close",
            _got(case.call),
            "assert_conv_close(",
            f"    got, op={case.call.op!r}, {', '.join(f'{name}={value}' for name, value in arrays.items())},",
            *([f"    {', '.join(f'{name}={name}' for name in others)},"] if others else []),
            f"    claim={verdict.claim!r},",
            ")",
        ],
    )


def _verdict(target: Target, case: ConvCase) -> Verdict:
    got = result_of(target, case)
    _expect_shape(got, case)
    claim = target.profile.claim(case.operands.dtype.name)
    # A result of another dtype is the business of another clause; here only its numbers count.
    with np.errstate(over="ignore", invalid="ignore"):
        got = got.astype(claim.out or case.operation.result_dtype.name)
    return judge_operation(got, case.operation, claim)


def _wrong(verdict: Verdict, code: list[str]) -> Mismatch:
    """Return a verdict as a mismatch."""
    if verdict.fault:
        return Mismatch(verdict.fault, code=code, verdict=verdict)
    if verdict.grade == "SUSPICIOUS":
        headline = "errors that are impossible in practice"
        return Mismatch(headline, details=[verdict.statistics.anomaly], code=code, verdict=verdict)
    index = verdict.worst
    details = [f"at {_shown(index)}: expected {verdict.exact[index]}, got {verdict.actual[index]}"]
    if np.isfinite(verdict.shares[index]):
        error = abs(float(verdict.actual[index]) - float(verdict.exact[index]))
        allowed = f"{verdict.allowed[index]:.3g} is allowed: {verdict.shares[index]:.3g} times that"
        details.append(f"error {error:.3g} where {allowed}")
    headline = f"{np.count_nonzero(verdict.wrong)} of {verdict.wrong.size} results wrong"
    return Mismatch(headline, details=details, code=code, verdict=verdict)


# ---- Judges of several calls ----


def expect_untouched(target: Target, case: ConvCase):
    """Judge whether the target left the operands' memory alone."""
    (outcome,) = target.outcomes([invocation_of(case)])
    _returned(outcome, case)
    for name in outcome.changed:
        code = [
            f"before = {name}.copy()",
            call_code(case.call.op),
            f"assert {name}.tobytes() == before.tobytes(), {name}",
        ]
        raise Mismatch(f"the call has changed its {name}", code=code)


def expect_repeatable(target: Target, case: ConvCase):
    """Judge whether the same call gives the same bits again, also after another call with other numbers."""
    again, op = invocation_of(case), case.call.op
    varied = next(iter(case.operands.given))
    other = Invocation(case.call, case.operands._replace(**{varied: -getattr(case.operands, varied)}), case.layouts)
    first, second, _, third, _ = target.outcomes([again, again, other, again, other])
    results = [_returned(outcome, case) for outcome in (first, second, third)]
    call = call_code(op)
    between = call.replace(varied, f"-{varied}", 1)
    code = [f"first = {call}", "kept = first.copy()", f"second = {call}", between]
    if first.later is not None:
        code.append("assert first.tobytes() == kept.tobytes(), 'the first result has changed'")
        raise Mismatch("a later call has changed an earlier result", code=code)
    if len({result.tobytes() for result in results}) > 1:
        code += [f"third = {call}", "assert kept.tobytes() == second.tobytes() == third.tobytes(), 'results differ'"]
        raise Mismatch("the same call gives different bits", code=code)


def expect_refusal(target: Target, case: ConvCase):
    """Judge whether a wrong call is refused; for torch, also whether the reason is given in the same words."""
    op, function = case.call.op, case.call.function
    try:
        function(*case.call.values(case.operands))
    except Exception as error:
        ours = error
    else:
        raise AssertionError(f"the reference accepts a call that was meant to be wrong ({case.fault}): {case.call}")
    code = ["try:", f"    {_got(case.call)}", "except (ValueError, RuntimeError, TypeError) as error:"]
    code += ["    print(error)", "else:", "    raise AssertionError('no exception')"]
    (outcome,) = target.outcomes([invocation_of(case)])
    theirs = outcome.refusal
    if theirs is None:
        raise Mismatch(f"no exception, but: {case.fault}", details=[f"expected {_described(ours)}"], code=code)
    if theirs.kind != "exception":
        details = [f"the fault: {case.fault}", theirs.place]
        raise Mismatch(str(theirs), details=details, code=code, refusal=theirs)
    if not set(theirs.bases) & set(target.profile.refusals):
        raise Mismatch(
            f"{theirs.type} instead of a {', '.join(target.profile.refusals[:-1])} or {target.profile.refusals[-1]}",
            details=[f"the fault: {case.fault}", str(theirs)],
            code=code,
        )
    bases = [base.__name__ for base in type(ours).__mro__]
    if target.profile.messages == "torch" and not (theirs.type in bases and str(ours) == theirs.text):
        raise Mismatch(
            "another exception than refconv's",
            details=[f"refconv: {_described(ours)}", f"{target.name}: {theirs.type}: {theirs.text}"],
            code=[
                "reasons = []",
                f"for function in ({op}, {function.__module__.split('.')[0]}.{op}):",
                "    try:",
                f"        {call_code(op, 'function')}",
                "    except Exception as error:",
                "        reasons.append(str(error))",
                "assert reasons[0] == reasons[1], reasons",
            ],
        )


def _expect_shape(got: np.ndarray, case: ConvCase):
    wanted = case.operation.result_shape
    if got.shape != wanted:
        code = [_got(case.call), want_code(case.call.op), "got = np.asarray(got)"]
        code.append("assert got.shape == want.shape, (got.shape, want.shape)")
        raise Mismatch(f"shape {got.shape} instead of {wanted}", code=code)


def _shown(index) -> str:
    return f"[{', '.join(map(str, index))}]"


def _described(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".rstrip(": ")
