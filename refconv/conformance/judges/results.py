"""Judges of one result: its shape, its dtype, its numbers."""

import numpy as np

from refconv.conformance.judges.mismatch import (
    Mismatch,
    Tally,
    check_shape,
    got_code,
    result_of,
    shown,
    want_code,
)
from refconv.conformance.targets.base import Target
from refconv.dtypes import named_dtype
from refconv.testing.calls import ConvCase
from refconv.testing.claim import Claim
from refconv.testing.formats import FORMATS, format_of
from refconv.testing.terms import terms_of
from refconv.testing.verdict import Verdict, judge_operation

__all__ = [
    "check_equal",
    "expect_dtype",
    "expect_equal",
    "expect_overflow",
    "expect_positive_zeros",
    "expect_samples",
    "expect_shape",
    "expect_within_bound",
    "result_dtype_of",
    "sums_exactly",
    "verdict_on",
    "wrong_by",
]


def expect_shape(target: Target, case: ConvCase):
    """Judge the shape of the result, not its numbers."""
    check_shape(result_of(target, case), case)


def expect_dtype(target: Target, case: ConvCase):
    """Judge the dtype of the result."""
    got, wanted = result_of(target, case), result_dtype_of(target, case).name
    if got.dtype.name != wanted:
        code = [got_code(case.call), f"assert np.asarray(got).dtype.name == {wanted!r}, np.asarray(got).dtype"]
        raise Mismatch(f"dtype {got.dtype} instead of {wanted}", code=code)


def result_dtype_of(target: Target, case: ConvCase) -> np.dtype:
    """The dtype that the result is to have: the one that is claimed, or refconv's."""
    claim = target.profile.claim(case.operands.dtype.name)
    return case.result_dtype if claim.out is None else named_dtype(claim.out)


def sums_exactly(claim: Claim, dtype: np.dtype) -> bool:
    """Return whether the claimed arithmetic is without error for data whose sums are exact in the operands' format."""
    if dtype.name not in FORMATS:
        return True
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
    check_equal(target, case, result_of(target, case))


def check_equal(target: Target, case: ConvCase, got: np.ndarray, code: list[str] | None = None):
    """Judge a result, which `code` computes again and compares if more than a call is needed for it."""
    code = code or [got_code(case.call), want_code(case.call.op), "np.testing.assert_array_equal(got, want)"]
    check_shape(got, case)
    # A quick look, which settles most: a right result in the usual dtype.
    if np.array_equal(got, case.exact):
        return
    if case.operands.dtype.name not in FORMATS:
        raise _unequal(got, case.exact, code)
    verdict = verdict_on(got, target, case)
    if verdict.grade == "EXACT" or (verdict.right and not sums_exactly(verdict.claim, case.operands.dtype)):
        return
    if not verdict.right:
        raise wrong_by(verdict, code)
    unequal = verdict.actual != verdict.exact
    index = np.unravel_index(np.where(unequal, verdict.ulps, -1).argmax(), unequal.shape)
    raise Mismatch(
        f"{np.count_nonzero(unequal)} of {unequal.size} results not exact, though every sum is",
        details=[f"at {shown(index)}: expected {verdict.exact[index]}, got {verdict.actual[index]}"],
        code=code,
        verdict=verdict,
    )


def _unequal(got, exact, code) -> Mismatch:
    """Return as a mismatch that two results are not equal."""
    index = tuple(np.argwhere(got != exact)[0])
    details = [f"at {shown(index)}: expected {exact[index]}, got {got[index]}"]
    return Mismatch(f"{np.count_nonzero(got != exact)} of {got.size} results wrong", details=details, code=code)


def expect_samples(target: Target, case: ConvCase, count: int = 64):
    """Judge some elements of a large result, as `expect_equal` does all of a small one.

    The first and the last, those around powers of two, and some in between.
    """
    got = result_of(target, case)
    check_shape(got, case)
    powers = [2**k + step for k in range(got.size.bit_length()) for step in (-1, 0)]
    spread = np.linspace(0, got.size - 1, count).astype(np.int64)
    samples = np.unique(np.concatenate([[i for i in powers if i < got.size], spread]))
    operation = case.operation
    terms = terms_of(operation, samples)
    wide = np.complex128 if got.dtype.kind == "c" else np.float64
    want = terms.products(wide).sum(axis=0) + (0 if terms.bias is None else terms.bias.astype(wide))
    found = got.reshape(-1)[samples].astype(wide)
    wrong = samples[found != want]
    if len(wrong) and sums_exactly(target.profile.claim(operation.dtype.name), operation.dtype):
        index = tuple(map(int, np.unravel_index(wrong[0], got.shape)))
        raise Mismatch(
            f"{len(wrong)} of {len(samples)} results looked at wrong, of {got.size}",
            details=[f"at {shown(index)}: expected {want[found != want][0]:g}, got {got[index]}"],
            code=[got_code(case.call), want_code(case.call.op), "np.testing.assert_array_equal(got, want)"],
        )


def expect_overflow(target: Target, case: ConvCase):
    """Judge sums without rounding errors, of terms of one sign, some of which are beyond the largest number."""
    claim = target.profile.claim(case.operands.dtype.name)
    if sums_exactly(claim, case.operands.dtype) and claim.rounding == "nearest":
        got = result_of(target, case)
        check_shape(got, case)
        with np.errstate(over="ignore"):
            got, want = got.astype(case.exact.dtype), case.exact
        if not np.array_equal(got, want):
            code = [got_code(case.call), want_code(case.call.op), "np.testing.assert_array_equal(got, want)"]
            raise _unequal(got, want, code)


def expect_positive_zeros(target: Target, case: ConvCase):
    """Judge the signs of zeros that are +0 in refconv, as sums are that are exactly zero.

    Those that are not zero but too small keep their sign there, which an implementation may lose with one of the terms.
    """
    got = result_of(target, case)
    check_equal(target, case, got)
    zeros = (case.exact == 0) & ~np.signbit(case.exact)
    negative = zeros & np.signbit(got.astype(case.exact.dtype))
    if negative.any():
        code = [got_code(case.call), want_code(case.call.op), "got = np.asarray(got)"]
        code.append("assert not np.signbit(got[(want == 0) & ~np.signbit(want)]).any(), got")
        index = tuple(map(int, np.argwhere(negative)[0]))
        headline = f"{np.count_nonzero(negative)} of {np.count_nonzero(zeros)} zeros are negative"
        raise Mismatch(headline, details=[f"at {shown(index)}: expected 0.0, got -0.0"], code=code)


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
    raise wrong_by(
        verdict,
        [
            "from refconv.testing import Claim, assert_conv_close",
            got_code(case.call),
            "assert_conv_close(",
            f"    got, op={case.call.op!r}, {', '.join(f'{name}={value}' for name, value in arrays.items())},",
            *([f"    {', '.join(f'{name}={name}' for name in others)},"] if others else []),
            f"    claim={verdict.claim!r},",
            ")",
        ],
    )


def _verdict(target: Target, case: ConvCase) -> Verdict:
    got = result_of(target, case)
    check_shape(got, case)
    return verdict_on(got, target, case)


def verdict_on(got: np.ndarray, target: Target, case: ConvCase) -> Verdict:
    """Judge the numbers of a result by the arithmetic that the target claims."""
    # A result of another dtype is the business of another clause; here only its numbers count.
    with np.errstate(over="ignore", invalid="ignore"):
        got = got.astype(result_dtype_of(target, case))
    return judge_operation(got, case.operation, target.profile.claim(case.operands.dtype.name))


def wrong_by(verdict: Verdict, code: list[str]) -> Mismatch:
    """Return a verdict as a mismatch."""
    if verdict.fault:
        return Mismatch(verdict.fault, code=code, verdict=verdict)
    if verdict.grade == "SUSPICIOUS":
        headline = "errors that are impossible in practice"
        return Mismatch(headline, details=[verdict.statistics.anomaly], code=code, verdict=verdict)
    index = verdict.worst
    details = [f"at {shown(index)}: expected {verdict.exact[index]}, got {verdict.actual[index]}"]
    if np.isfinite(verdict.shares[index]):
        error = abs(float(verdict.actual[index]) - float(verdict.exact[index]))
        allowed = f"{verdict.allowed[index]:.3g} is allowed: {verdict.shares[index]:.3g} times that"
        details.append(f"error {error:.3g} where {allowed}")
    headline = f"{np.count_nonzero(verdict.wrong)} of {verdict.wrong.size} results wrong"
    return Mismatch(headline, details=details, code=code, verdict=verdict)
