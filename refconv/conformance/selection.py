"""Some of the clauses, functions and dtypes, by what people type."""

from collections.abc import Sequence
from dataclasses import replace
from fnmatch import fnmatchcase

from refconv.conformance.clauses import CLAUSES, Clause
from refconv.conformance.profile import Profile

__all__ = ["SelectionError", "clauses_named", "narrowed"]


class SelectionError(ValueError):
    """Nothing is selected."""


def clauses_named(text: str) -> list[Clause]:
    """Return the clauses that have a text in their key or title, whatever the case.

    Raises
    ------
    SelectionError
        ``no clause has 'pading' in its key or title; see refconv check --list``
    """
    wanted = text.lower()
    clauses = [clause for clause in CLAUSES if wanted in clause.key or wanted in clause.title.lower()]
    if not clauses:
        raise SelectionError(f"no clause has {text!r} in its key or title; see refconv check --list")
    return clauses


def narrowed(profile: Profile, ops: Sequence[str] | None, dtypes: Sequence[str] | None) -> Profile:
    """Return a profile with some of its functions and dtypes only.

    Parameters
    ----------
    profile : Profile
    ops, dtypes : sequence of str or None
        Patterns as in a shell; None for all.

    Raises
    ------
    SelectionError
        ``the target has no op 'conv9d'; its profile says conv2d``
    """
    return replace(profile, ops=_matching(ops, profile.ops, "op"), dtypes=_matching(dtypes, profile.dtypes, "dtype"))


def _matching(patterns: Sequence[str] | None, names: tuple[str, ...], what: str) -> tuple[str, ...]:
    if not patterns:
        return names
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise SelectionError(f"the target has no {what} {pattern!r}; its profile says {', '.join(names)}")
    return tuple(name for name in names if any(fnmatchcase(name, pattern) for pattern in patterns))
