"""The ways in which a result is compared with what it should be.

Every judge has the target make one call or several and raises a `Mismatch` if something is wrong. A mismatch carries
the code of the very same comparison, so that a report can print a script which fails for the same reason.

    mismatch    what a judge raises, and the pieces of code that all use
    results     judges of one result: its shape, dtype and numbers
    calls       judges of several calls: memory, repetition, threads, laws
    refusals    judges of wrong calls
"""

from refconv.conformance.judges.calls import (
    expect_fresh_results,
    expect_no_cache,
    expect_related,
    expect_repeatable,
    expect_threads,
    expect_untouched,
)
from refconv.conformance.judges.mismatch import (
    Mismatch,
    Tally,
    call_code,
    function_of,
    invocation_of,
    result_of,
    want_code,
)
from refconv.conformance.judges.refusals import expect_refusal
from refconv.conformance.judges.results import (
    expect_dtype,
    expect_equal,
    expect_overflow,
    expect_positive_zeros,
    expect_samples,
    expect_shape,
    expect_within_bound,
    sums_exactly,
)

__all__ = [
    "Mismatch",
    "Tally",
    "call_code",
    "expect_dtype",
    "expect_equal",
    "expect_fresh_results",
    "expect_no_cache",
    "expect_overflow",
    "expect_positive_zeros",
    "expect_refusal",
    "expect_related",
    "expect_repeatable",
    "expect_samples",
    "expect_shape",
    "expect_threads",
    "expect_untouched",
    "expect_within_bound",
    "function_of",
    "invocation_of",
    "result_of",
    "sums_exactly",
    "want_code",
]
