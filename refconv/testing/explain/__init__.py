"""A name for the bug: what a wrong result looks like."""

from refconv.testing.explain.explanation import Explanation, Hypothesis
from refconv.testing.explain.search import explain, explain_verdict

__all__ = ["Explanation", "Hypothesis", "explain", "explain_verdict"]
