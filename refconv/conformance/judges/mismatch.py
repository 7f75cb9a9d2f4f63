"""What a judge raises, and the pieces of code that all judges use."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from refconv.conformance.targets.base import Invocation, Outcome, Target
from refconv.testing.calls import SIGNATURES, ConvCall, ConvCase, Operands
from refconv.testing.formats import FORMATS
from refconv.testing.verdict import judge_operation

__all__ = [
    "Mismatch",
    "Tally",
    "call_code",
    "check_shape",
    "function_of",
    "got_code",
    "invocation_of",
    "result_of",
    "returned_by",
    "shown",
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
    diagnosis : str
        What it looks like, once that has been looked into.
    """

    def __init__(self, headline, *, details=(), code, verdict=None, refusal=None, diagnosis=""):
        super().__init__(headline)
        self.headline = headline
        self.details = list(details)
        self.code = list(code)
        self.verdict = verdict
        self.refusal = refusal
        self.diagnosis = diagnosis

    def __reduce__(self):
        # An exception is made again from its arguments by position, but these have names.
        return _mismatch, (self.headline, self.details, self.code, self.verdict, self.refusal, self.diagnosis)


def _mismatch(headline, details, code, verdict, refusal, diagnosis):
    return Mismatch(headline, details=details, code=code, verdict=verdict, refusal=refusal, diagnosis=diagnosis)


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


def got_code(call: ConvCall) -> str:
    """Return the assignment of the result, as code."""
    made = call_code(call.op)
    # Another library's name for a padding means nothing to refconv, so that the argument holds the numbers.
    return f"got = {made if call.padding_name is None else made.replace('padding', repr(call.padding_name), 1)}"


def invocation_of(case: ConvCase) -> Invocation:
    """Return a case as a call for a target to make."""
    return Invocation(case.call, case.operands, case.layouts)


def result_of(target: Target, case: ConvCase) -> np.ndarray:
    """Return what the target makes of a case; a refusal is a mismatch."""
    (outcome,) = target.outcomes([invocation_of(case)])
    return returned_by(outcome, case)


def returned_by(outcome: Outcome, case: ConvCase) -> np.ndarray:
    """Return the result of a call; a refusal is a mismatch."""
    if outcome.refusal is not None:
        code = [got_code(case.call)]
        if outcome.refusal.kind == "not an array":
            code.append("assert np.asarray(got).dtype.kind in 'fiucV', got")
        details = [outcome.refusal.place] if outcome.refusal.place else []
        raise Mismatch(str(outcome.refusal), details=details, code=code, refusal=outcome.refusal)
    return outcome.result


def function_of(target: Target, op: str) -> Callable[..., np.ndarray]:
    """Return a function of the target with its plain signature; a refusal is a mismatch."""

    def function(*values):
        arrays = {name: value for name, value in zip(SIGNATURES[op], values, strict=True) if name in Operands._fields}
        case = ConvCase(ConvCall.of(op, values), Operands(**arrays), recipe="")
        return result_of(target, case)

    return function


def check_shape(got: np.ndarray, case: ConvCase):
    """Raise a mismatch if a result has the wrong shape."""
    wanted = case.operation.result_shape
    if got.shape != wanted:
        code = [got_code(case.call), want_code(case.call.op), "got = np.asarray(got)"]
        code.append("assert got.shape == want.shape, (got.shape, want.shape)")
        # A verdict on the shape knows what looks like it.
        verdict = judge_operation(got, case.operation) if case.operands.dtype.name in FORMATS else None
        raise Mismatch(f"shape {got.shape} instead of {wanted}", code=code, verdict=verdict)


def shown(index) -> str:
    """Return an index as it is written."""
    return f"[{', '.join(map(str, index))}]"
