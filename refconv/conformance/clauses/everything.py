"""Clauses in which everything varies at once: exact sums, rounding, special values, large sizes."""

from hypothesis import strategies as st

from refconv.conformance import judges
from refconv.conformance.clauses.calls import long_axes
from refconv.conformance.clauses.clause import calls_of, cases_from, cases_of, clause
from refconv.testing.recipes import ROUNDED
from refconv.testing.strategies import long_sums


def any_calls(profile, op):
    """Most calls of any kind, and of the forward convolutions some with few outputs that are long sums."""
    calls = calls_of(profile, op)
    return st.one_of(calls, calls, long_sums(op)) if "_" not in op else calls


@clause("Anything goes with anything, exactly", cases_from(any_calls), exact=True, weight=3.0)
def anything_goes(target, case, _):
    """All of the above in every combination: out[n, k, oh, ow] = bias[k] + sum over c, r, s of input[n, g * C_in /
    groups + c, oh * stride - padding + r * dilation, ow * stride - padding + s * dilation] * weight[k, c, r, s], where
    g is the group of k and the sum is over the taps inside the image. If all products and partial sums are numbers of
    the format, the result is exact."""
    judges.expect_equal(target, case)


@clause("Rounding stays within what it may cost", cases_from(any_calls, ROUNDED), floats=True, weight=3.0)
def rounding(target, case, tally):
    """Results differ from the exact sum by no more than m u (1 + u) A: m is the number of terms that are not zero, u
    the unit roundoff of the format that is summed in, A the sum of the terms' absolute values. That is the most that
    adding them in any order can cost if every step is rounded to nearest. Half of the least subnormal number per term
    is allowed besides, for products that underflow. Sums that may overflow on the way are not judged."""
    judges.expect_within_bound(target, case, tally)


@clause(
    "NaN and infinity reach what they should",
    cases_from(calls_of, {"special_values"}),
    needs=("non_finite",),
    floats=True,
    weight=2.0,
)
def non_finite(target, case, tally):
    """A NaN operand makes every result NaN whose window holds it, and no other; so do infinity times zero and
    infinities of both signs. Any other infinity gives that infinity. A tap in the padding is no term of the sum: it
    does not multiply with anything, so an infinite weight above it does not make NaN. Zeros of either sign are the
    same here and in all other clauses but the next."""
    judges.expect_within_bound(target, case, tally)


@clause(
    "A sum of zero is +0",
    cases_from(calls_of, {"signed_zeros"}),
    exact=True,
    floats=True,
    about_nothing=True,
    on_request="signed_zeros",
    weight=2.0,
)
def signed_zeros(target, case, _):
    """A sum that is exactly zero is +0, whatever the signs of the zeros in input, weight and bias: as a sum that begins
    with +0 is, in any order, if it is rounded to nearest. Only asked where the profile says signed_zeros = true, or by
    --signed-zeros: libraries do not agree, and most programs do not care."""
    judges.expect_positive_zeros(target, case)


@clause(
    "Subnormal numbers are kept",
    cases_of("kernel", "channels", "bias", recipes=frozenset({"subnormal_integers"})),
    needs=("subnormals",),
    exact=True,
    floats=True,
)
def subnormals(target, case, _):
    """Operands, products and sums below the least normal number are numbers like any other, not zeros."""
    judges.expect_equal(target, case)


@clause(
    "Sums overflow to infinity, and not too early",
    cases_of("kernel", "channels", "bias", recipes=frozenset({"overflowing"})),
    needs=("non_finite",),
    floats=True,
)
def overflow(target, case, _):
    """A sum beyond the largest number is infinity, with the sign of the sum; one below it is that number. (Where terms
    have one sign, so that every order of summation overflows or none does, and nothing is rounded on the way.)"""
    judges.expect_overflow(target, case)


@clause("Long axes are axes like any other", cases_from(long_axes, {"small_integers"}), exact=True, weight=0.25)
def large_extents(target, case, _):
    """Hundreds of taps, thousands of channels and images, rows of ten thousands of columns: sizes past 2**8, 2**12 and
    2**16 change nothing. Some elements of the result are looked at: the first, the last, those around powers of two,
    and others in between."""
    judges.expect_samples(target, case)
