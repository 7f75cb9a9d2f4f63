"""Judges of wrong calls."""

from refconv.conformance.judges.mismatch import Mismatch, call_code, got_code, invocation_of
from refconv.conformance.targets.base import Target
from refconv.testing.calls import ConvCase

__all__ = ["expect_refusal"]


def expect_refusal(target: Target, case: ConvCase):
    """Judge whether a wrong call is refused; for torch, also whether the reason is given in the same words."""
    op, function = case.call.op, case.call.function
    try:
        function(*case.call.values(case.operands))
    except Exception as error:
        ours = error
    else:
        raise AssertionError(f"the reference accepts a call that was meant to be wrong ({case.fault}): {case.call}")
    code = ["try:", f"    {got_code(case.call)}", "except (ValueError, RuntimeError, TypeError) as error:"]
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
    # What torch says about a gradient is often what the backend says that it happens to use.
    comparable = target.profile.messages == "torch" and not case.call.kind.startswith("by")
    if comparable and not (theirs.type in bases and str(ours) == theirs.text):
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


def _described(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".rstrip(": ")
