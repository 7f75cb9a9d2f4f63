"""What a test needs to judge a convolution: bounds on the error that its arithmetic allows, and distances in ulps.

Nothing here needs more than NumPy. The Hypothesis strategies are in `refconv.testing.strategies`, which has to be
imported by name, because it needs Hypothesis (``pip install refconv[conformance]``).
"""

from refconv.testing.bounds import Claim, ErrorBound, direct_bound, ulp_error

__all__ = ["Claim", "ErrorBound", "direct_bound", "ulp_error"]
