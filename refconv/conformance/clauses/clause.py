"""What a clause of the specification is, and the list of all."""

from collections.abc import Callable
from dataclasses import dataclass

from hypothesis.strategies import SearchStrategy

from refconv.conformance.features import FEATURES, needed_by
from refconv.conformance.judges import Tally
from refconv.conformance.profile import Profile
from refconv.conformance.targets.base import Target
from refconv.testing import strategies
from refconv.testing.calls import ConvCall, ConvCase
from refconv.testing.recipes import EXACT, exact_in_any_order
from refconv.testing.strategies import conv_calls, conv_cases

__all__ = ["ALL", "CLAUSES", "FORWARD", "INTEGERS", "Clause", "calls_of", "cases_of", "clause"]

#: Kinds of calls (`ConvCall.kind`) that clauses are about.
FORWARD = ("forward",)
ALL = ("forward", "transposed", "by input", "by weight", "by bias")

# Flushing subnormal numbers to zero is a fault with a clause of its own, so the others do without them.
INTEGERS = frozenset(EXACT) - {"subnormal_integers"}

CaseStrategies = Callable[[Profile, str, str], "SearchStrategy[ConvCase]"]


@dataclass(frozen=True)
class Clause:
    """One property that every implementation has to have.

    Parameters
    ----------
    number : int
        Its place in the specification.
    key : str
        Short name, for ``-k``.
    title : str
        The property in a few words.
    text : str
        The paragraph of the specification.
    cases : callable
        Returns, for a profile, an op and the name of a dtype, the strategy that draws cases.
    check : callable
        Raises a `Mismatch` if a target has not got the property on a case.
    kinds : tuple of str
        Which kinds of functions it is about.
    needs : tuple of str
        Features without which there is nothing to check.
    exact : bool
        Whether cases must be exact in any order of summation.
    """

    number: int
    key: str
    title: str
    text: str
    cases: CaseStrategies
    check: Callable[[Target, ConvCase, Tally], None]
    kinds: tuple[str, ...] = ALL
    needs: tuple[str, ...] = ()
    exact: bool = False

    def applies_to(self, op: str) -> bool:
        """Return whether it is about a function."""
        return ConvCall((), (), op=op).kind in self.kinds

    def why_unsupported(self, profile: Profile, op: str, dtype: str) -> str | None:
        """Return why it cannot be asked of a function of a target, or None."""
        profile = profile.narrowed(op, dtype)
        missing = [feature for feature in self.needs if not profile.supports(feature)]
        return "; ".join(f"{FEATURES[feature][0]}: {profile.missing[feature]}" for feature in missing) or None

    def drawn(self, profile: Profile, op: str, dtype: str) -> "SearchStrategy[ConvCase]":
        """Return the strategy of cases that need nothing a profile declares to be missing."""
        profile = profile.narrowed(op, dtype)
        cases = self.cases(profile, op, dtype)
        return cases.filter(lambda case: self.is_possible(case, profile)) if profile.missing else cases

    def is_possible(self, case: ConvCase, profile: Profile) -> bool:
        """Return whether a case needs nothing that a profile declares to be missing."""
        missing = profile.narrowed(case.call.op, case.operands.dtype.name).missing
        return case.fault is not None or not needed_by(case, missing)

    def admits(self, case: ConvCase) -> bool:
        """Return whether the clause can judge a case at all."""
        return not self.exact or exact_in_any_order(case.operation)

    def __reduce__(self):
        # Strategies and checks do not travel to another process; there they are already, under the same key.
        return clause_named, (self.key,)


#: All clauses, in the order of the specification.
CLAUSES: list[Clause] = []


def clause_named(key: str) -> Clause:
    """Return the clause with a key.

    Raises
    ------
    LookupError
        ``there is no clause 'strides'``
    """
    for found in CLAUSES:
        if found.key == key:
            return found
    raise LookupError(f"there is no clause {key!r}")


def clause(title: str, cases: CaseStrategies, *, kinds=ALL, needs=(), exact: bool = False):
    """Register a check as a clause. Its name is the key, its docstring the paragraph of the specification."""

    def register(check):
        key = check.__name__.replace("_", "-")
        text = " ".join(check.__doc__.split())
        CLAUSES.append(Clause(len(CLAUSES) + 1, key, title, text, cases, check, kinds, needs, exact))
        return check

    return register


def calls_of(profile: Profile, op: str, *vary: str, always: tuple[str, ...] = ()) -> "SearchStrategy[ConvCall]":
    """Return the strategy of calls in which some features vary, of those that a target has; all if none are named."""
    wanted = vary or (() if always else strategies.FEATURES)
    return conv_calls(vary={name for name in wanted if profile.supports(name)}, always=always, op=op)


def cases_of(*vary: str, always: tuple[str, ...] = (), recipes=INTEGERS) -> CaseStrategies:
    """Cases in which only some features vary, with numbers whose sums are exact unless other recipes are named."""

    def cases(profile, op, dtype):
        return conv_cases(dtype, recipes, calls_of(profile, op, *vary, always=always))

    return cases
