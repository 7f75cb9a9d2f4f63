"""The protocol between the suite and a target: invocations go in, outcomes come out.

The suite asks for everything through `Target.outcomes`, so that a function in this process, one in a worker process and
a program in another language are tested alike. What has to be seen from close by (that an operand was written to, say)
is seen by the target's side and told in the outcome.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from refconv.conformance.profile import Profile
from refconv.testing.calls import ConvCall, Operands

__all__ = ["Invocation", "Outcome", "Refusal", "Target", "TargetError"]


class TargetError(Exception):
    """There is no such target, or it cannot be loaded."""


@dataclass(frozen=True, eq=False)
class Invocation:
    """A call that a target is asked to make.

    Parameters
    ----------
    call : ConvCall
    operands : Operands
        In C order; the target gets copies.
    layouts : dict of str to str
        For the operands named, the function in `refconv.testing.layouts` that says how they are to lie in memory.
    """

    call: ConvCall
    operands: Operands
    layouts: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Refusal:
    """Why there is no result.

    Parameters
    ----------
    kind : {'exception', 'not an array', 'exit', 'crash', 'timeout', 'memory'}
        The last four end the process that the target runs in, if it is not the suite's.
    type : str
        Name of the exception or signal.
    text : str
    place : str
        Where it happened, as far as is known.
    bases : tuple of str
        Names of the exception's class and of those it is derived from.
    number : int
        Which of the calls made by its process it was that ended it, from 1; 0 if that is not known.
    """

    kind: str
    type: str
    text: str
    place: str = ""
    bases: tuple[str, ...] = ()
    number: int = 0

    def __str__(self):
        said = f"{self.type}: {self.text}".rstrip(": ")
        return f"raised {said}" if self.kind == "exception" else said


@dataclass(frozen=True, eq=False)
class Outcome:
    """What came of an invocation.

    Parameters
    ----------
    result : ndarray or None
        As it was when the call returned.
    later : ndarray or None
        As it was after all calls of the batch; None if it was still the same.
    changed : tuple of str
        Operands that the call has written to.
    aliases : tuple of str
        Operands that the result shares memory with.
    refusal : Refusal or None
        Why there is no result.
    """

    result: np.ndarray | None = None
    later: np.ndarray | None = None
    changed: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    refusal: Refusal | None = None


class Target:
    """An implementation of one or more functions of the family.

    Parameters
    ----------
    name : str
        As given on the command line.
    profile : Profile
        What it supports and claims.
    """

    def __init__(self, name: str, profile: Profile):
        self.name = name
        self.profile = profile
        #: Told the position of an invocation in its batch, and 'begun' or 'done', if the target makes calls in this
        #: process: should it die of one, others have to find out of which.
        self.on_call: Callable[[int, str], None] = lambda position, stage: None  # noqa: ARG005

    def outcomes(self, invocations: list[Invocation], *, reuse_memory: bool = False, threads: int = 1) -> list[Outcome]:
        """Make some calls and tell what came of them.

        Parameters
        ----------
        invocations : list of Invocation
        reuse_memory : bool
            Whether an operand of the same shape, dtype and layout as in the call before is put into that one's memory:
            the same array with other numbers.
        threads : int
            How many calls are made at the same time.

        Returns
        -------
        list of Outcome
            As many as there are invocations.
        """
        raise NotImplementedError

    def definition(self, op: str) -> list[str]:
        """Return lines of code that define the function `op`, under this name and with its plain signature."""
        raise NotImplementedError

    def versions(self) -> dict[str, str]:
        """Return version numbers to print in a report."""
        return {}

    def renew(self) -> bool:
        """See to it that the next call is the first of a new process; return False if there is no other process."""
        return False

    def close(self):
        """Release what the target holds: processes, shared memory, files."""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
