"""What a test needs to judge a convolution: verdicts without a tolerance, and a name for the bug.

    assert_conv_close       an assertion: is this result one that the claimed arithmetic can give?
    judge                   the same, as an object
    Claim                   what an implementation says about its arithmetic
    conv_bound, ulp_error   how far off it may be, and how far off it is
    explain                 which bug a wrong result looks like
    precision_fingerprint   which arithmetic a result was computed in
    mutants, correct        implementations that have to be rejected, and that must not be

Nothing here needs more than NumPy. The Hypothesis strategies are in `refconv.testing.strategies`, which has to be
imported by name, because it needs Hypothesis (``pip install refconv[conformance]``).
"""

from refconv.testing import correct, mutants
from refconv.testing.bounds import conv_bound
from refconv.testing.claim import Claim
from refconv.testing.explain import Explanation, explain
from refconv.testing.fingerprint import Fingerprint, precision_fingerprint
from refconv.testing.ulps import ulp_error
from refconv.testing.verdict import Verdict, assert_conv_close, judge

__all__ = [
    "Claim",
    "Explanation",
    "Fingerprint",
    "Verdict",
    "assert_conv_close",
    "conv_bound",
    "correct",
    "explain",
    "judge",
    "mutants",
    "precision_fingerprint",
    "ulp_error",
]
