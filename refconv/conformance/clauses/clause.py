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
from refconv.testing.exactness import exact_in_any_order
from refconv.testing.formats import FORMATS
from refconv.testing.recipes import EXACT
from refconv.testing.strategies import conv_calls, conv_cases

__all__ = [
    "ALL",
    "CLAUSES",
    "CONVOLUTIONS",
    "FORWARD",
    "INTEGERS",
    "Clause",
    "calls_of",
    "cases_from",
    "cases_of",
    "clause",
]

#: Kinds of calls (`ConvCall.kind`) that clauses are about.
FORWARD = ("forward",)
CONVOLUTIONS = ("forward", "transposed")
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
    floats : bool
        Whether it is about the four floating-point formats only: about rounding, NaN, subnormal numbers.
    spelling : tuple of str
        By which of `Profile.padding` it can be asked, if not by all.
    weight : float
        Its share of the cases, compared with other clauses.
    about_nothing : bool
        Whether it is about results that are zero or empty.
    on_request : str
        The key of `Profile` that has to be true for it to be asked; empty if it always is.
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
    floats: bool = False
    spelling: tuple[str, ...] = ()
    weight: float = 1.0
    about_nothing: bool = False
    on_request: str = ""

    def applies_to(self, profile: Profile, op: str, dtype: str) -> bool:
        """Return whether it is about a function, a dtype, and a way to pass padding, and is to be asked."""
        return (
            ConvCall((), (), op=op).kind in self.kinds
            and (dtype in FORMATS or not self.floats)
            and (not self.spelling or profile.padding in self.spelling)
            and (not self.on_request or getattr(profile, self.on_request))
        )

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
        return case.fault is not None or not self.exact or exact_in_any_order(case.operation, case.operands.dtype)

    def is_vacuous(self, case: ConvCase) -> bool:
        """Return whether a case could not reveal anything but a crash: all results are zero, or there are none.

        That is all that can be seen in no time. `refconv.testing.vacuity` knows more.
        """
        if case.fault is not None or not self.exact or self.about_nothing:
            return False
        return not case.exact.any()

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


def clause(title: str, cases: CaseStrategies, **about):
    """Register a check as a clause. Its name is the key, its docstring the paragraph of the specification.

    Keyword arguments are those of `Clause` that have defaults.
    """

    def register(check):
        key = check.__name__.replace("_", "-")
        text = " ".join(check.__doc__.split())
        CLAUSES.append(Clause(len(CLAUSES) + 1, key, title, text, cases, check, **about))
        return check

    return register


def calls_of(profile: Profile, op: str, *vary: str, always: tuple[str, ...] = ()) -> "SearchStrategy[ConvCall]":
    """Return the strategy of calls in which some features vary, of those that a target has; all if none are named."""
    wanted = vary or (() if always else strategies.FEATURES)
    return conv_calls(vary={name for name in wanted if profile.supports(name)}, always=always, op=op)


def cases_of(*vary: str, always: tuple[str, ...] = (), recipes=INTEGERS, most_bits=53) -> CaseStrategies:
    """Cases in which only some features vary, with numbers whose sums are exact unless other recipes are named."""
    return cases_from(lambda profile, op: calls_of(profile, op, *vary, always=always), recipes, most_bits)


def cases_from(
    calls: Callable[[Profile, str], "SearchStrategy[ConvCall]"], recipes=INTEGERS, most_bits=53
) -> CaseStrategies:
    """Cases of calls that a function of a profile and an op draws."""

    def cases(profile, op, dtype):
        # For dtypes other than the four formats there are exact recipes only.
        known = recipes if dtype in FORMATS else INTEGERS.intersection(recipes) or INTEGERS
        return conv_cases(dtype, known, calls(profile, op), most_bits)

    return cases
