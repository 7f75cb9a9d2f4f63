"""Judges of several calls: what they do to memory, to each other, and the laws that tie them together."""

import numpy as np

from refconv.conformance.judges.mismatch import (
    Mismatch,
    call_code,
    check_shape,
    got_code,
    invocation_of,
    result_of,
    returned_by,
    shown,
    want_code,
)
from refconv.conformance.judges.results import check_equal, result_dtype_of, sums_exactly, verdict_on, wrong_by
from refconv.conformance.relations import Call
from refconv.conformance.targets.base import Invocation, Target
from refconv.testing.calls import SIGNATURES, ConvCall, ConvCase, Operands
from refconv.testing.claim import Claim

__all__ = [
    "expect_fresh_results",
    "expect_no_cache",
    "expect_related",
    "expect_repeatable",
    "expect_threads",
    "expect_untouched",
]


def expect_untouched(target: Target, case: ConvCase):
    """Judge whether the target left the operands' memory alone."""
    (outcome,) = target.outcomes([invocation_of(case)])
    returned_by(outcome, case)
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
    results = [returned_by(outcome, case) for outcome in (first, second, third)]
    call = call_code(op)
    between = call.replace(varied, f"-{varied}", 1)
    code = [f"first = {call}", "kept = first.copy()", f"second = {call}", between]
    if first.later is not None:
        code.append("assert first.tobytes() == kept.tobytes(), 'the first result has changed'")
        raise Mismatch("a later call has changed an earlier result", code=code)
    if len({result.tobytes() for result in results}) > 1:
        code += [f"third = {call}", "assert kept.tobytes() == second.tobytes() == third.tobytes(), 'results differ'"]
        raise Mismatch("the same call gives different bits", code=code)


def expect_fresh_results(target: Target, case: ConvCase):
    """Judge whether the result lies in memory of its own."""
    (outcome,) = target.outcomes([invocation_of(case)])
    returned_by(outcome, case)
    for name in outcome.aliases:
        code = [got_code(case.call), f"assert not np.may_share_memory(got, {name})"]
        raise Mismatch(f"the result shares memory with {name}", code=code)


def expect_no_cache(target: Target, case: ConvCase):
    """Judge a call after another one in which the same arrays held other numbers."""
    op = case.call.op
    for varied, array in case.operands.given.items():
        before = Invocation(case.call, case.operands._replace(**{varied: np.zeros_like(array)}), case.layouts)
        outcomes = target.outcomes([before, invocation_of(case)], reuse_memory=True)
        code = [
            f"numbers = {varied}.copy()",
            f"{varied}[...] = 0",
            call_code(op),
            f"{varied}[...] = numbers",
            got_code(case.call),
            want_code(op),
            "np.testing.assert_array_equal(got, want)",
        ]
        check_equal(target, case, returned_by(outcomes[1], case), code)


def expect_threads(target: Target, case: ConvCase, threads: int = 4):
    """Judge calls that are made at the same time, with different numbers."""
    varied = next(iter(case.operands.given))
    zeros = case.operands._replace(**{varied: np.zeros_like(getattr(case.operands, varied))})
    cases = [case if i % 2 else ConvCase(case.call, zeros, case.recipe) for i in range(2 * threads)]
    outcomes = target.outcomes([invocation_of(one) for one in cases], threads=threads)
    call, wanted = (text.replace(varied, "operand", 1) for text in (call_code(case.call.op), want_code(case.call.op)))
    code = [
        "from concurrent.futures import ThreadPoolExecutor",
        f"operands = [{varied}, np.zeros_like({varied})] * 500",
        f"want = [{wanted.removeprefix('want = ')} for operand in operands[:2]] * 500",
        f"with ThreadPoolExecutor({threads}) as pool:",
        f"    got = list(pool.map(lambda operand: {call}, operands))",
        "assert all(np.array_equal(*pair) for pair in zip(got, want))",
    ]
    for one, outcome in zip(cases, outcomes, strict=True):
        check_equal(target, one, returned_by(outcome, one), code)


def expect_related(target: Target, case: ConvCase, relation):
    """Judge whether results of several calls are related as a function of `refconv.conformance.relations` says.

    If the target's arithmetic is not exact for such data, it is every single result that is judged.
    """
    op, claim = case.call.op, target.profile.claim(case.operands.dtype.name)
    exact = sums_exactly(claim, case.operands.dtype)
    values = case.call.values(case.operands)
    claimed = "" if exact else f", claim={claim!r}"
    code = [
        *([] if exact else ["from refconv.testing import Claim"]),
        f"from refconv.conformance.relations import Call, {relation.__name__}",
        f'call = Call({op}, "{op}", {", ".join(SIGNATURES[op])}{claimed})',
        f"np.testing.assert_array_equal(*{relation.__name__}(call))" if exact else f"{relation.__name__}(call)",
    ]
    one, other = relation(Call(_Asked(target, op, code, None if exact else claim), op, *values))
    if exact and not np.array_equal(one, other):
        index = tuple(map(int, np.argwhere(one != other)[0]))
        law = " ".join(relation.__doc__.split("\n")[0].split())
        raise Mismatch(
            f"{np.count_nonzero(one != other)} of {one.size} results differ",
            details=[f"at {shown(index)}: {one[index]} and {other[index]} should be equal", law],
            code=code,
        )


class _Asked:
    """A target as a function with a plain signature; what comes of any call but an array of the right shape is raised.

    Every result is judged by the claim if there is one.
    """

    def __init__(self, target: Target, op: str, code: list[str], claim: Claim | None):
        self._target, self._op, self._code, self._claim = target, op, code, claim

    def __call__(self, *values):
        call = ConvCall.of(self._op, values)
        named = dict(zip(SIGNATURES[self._op], values, strict=True))
        case = ConvCase(call, Operands(**{name: named.get(name) for name in Operands._fields}), recipe="")
        try:
            got = result_of(self._target, case)
            check_shape(got, case)
        except Mismatch as mismatch:
            headline = f"{mismatch.headline}, for input {call.input_shape} and weight {call.weight_shape}"
            raise Mismatch(headline, details=mismatch.details, code=self._code, refusal=mismatch.refusal) from None
        if self._claim is not None:
            verdict = verdict_on(got, self._target, case)
            if not verdict.right:
                raise wrong_by(verdict, self._code)
            return got
        return got.astype(result_dtype_of(self._target, case))
