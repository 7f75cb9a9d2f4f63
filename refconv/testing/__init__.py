"""What a test needs to judge a convolution: verdicts without a tolerance, and a name for the bug.

Nothing here needs more than NumPy. The Hypothesis strategies are in `refconv.testing.strategies`, which has to be
imported by name, because it needs Hypothesis (``pip install refconv[conformance]``).
"""

from refconv.testing.bounds import conv_bound
from refconv.testing.claim import Claim
from refconv.testing.ulps import ulp_error
from refconv.testing.verdict import Verdict, assert_conv_close, judge

__all__ = ["Claim", "Verdict", "assert_conv_close", "conv_bound", "judge", "ulp_error"]
