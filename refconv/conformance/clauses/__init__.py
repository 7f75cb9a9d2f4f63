"""The specification, one property after the other: a paragraph of text and the test that enforces it.

    clause          what a clause is
    calls           strategies for calls of a special kind
    one_thing       one feature varies at a time, so that the names of those that fail say what is wrong
    geometry        where windows lie: stride, dilation, padding, its names
    laws            relations between several calls
    everything      everything at once; rounding; special values; large sizes
    memory          views, operands that stay as they are, repeated calls, threads
    refusals        wrong calls

Wherever the data allow it the result has to be *equal* to the exact one: small integers, whose sums no order of
summation rounds. Three things are left open on purpose, because implementations do not agree on them: the sign of a
zero (unless a profile asks for it), infinite or NaN weights under padding, and results of sums that overflow on the
way.
"""

from refconv.conformance.clauses import one_thing, geometry, laws, everything, memory, refusals  # noqa: F401, I001 - the order counts
from refconv.conformance.clauses.clause import CLAUSES, Clause

__all__ = ["CLAUSES", "Clause"]
