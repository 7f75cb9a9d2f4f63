"""What a mistake is, and the catalogue."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from refconv.testing.operation import Operation

__all__ = ["MISTAKES", "Mistake", "mistake"]


@dataclass(frozen=True)
class Mistake:
    """One way to get a convolution wrong.

    Parameters
    ----------
    name : str
        A few words: "stride axes swapped".
    sentence : str
        What is done instead of the right thing.
    reference : str or None
        Where it happened.
    change : callable or None
        Takes a right `Operation` and returns the one that is computed instead; None where there is no difference.
    finish : callable or None
        Takes a result, of the shape of the changed operation, and the operation, and returns the wrong result.
    accumulate : str or None
        A format that is summed in, if that is the mistake.
    floats_only : bool
        Whether integers have nothing to do with it.
    """

    name: str
    sentence: str
    reference: str | None
    change: Callable[[Operation], Operation | None] | None = None
    finish: Callable[[np.ndarray, Operation], np.ndarray] | None = None
    accumulate: str | None = None
    floats_only: bool = False

    def changed(self, operation: Operation) -> Operation | None:
        """Return what is computed instead; None where this mistake makes no difference."""
        if self.floats_only and not operation.is_float:
            return None
        return self.change(operation) if self.change else operation

    def finished(self, result: np.ndarray, operation: Operation) -> np.ndarray:
        """Return what becomes of a result."""
        return self.finish(result, operation) if self.finish else result


#: The catalogue, by name.
MISTAKES: dict[str, Mistake] = {}


def mistake(name: str, reference: str | None = None, *, finish=False, floats_only=False):
    """Enter a function into the catalogue, as the change of an operation or what is done to its result.

    The docstring is the sentence.
    """

    def register(function):
        kinds = {"finish" if finish else "change": function}
        sentence = " ".join(function.__doc__.split())
        MISTAKES[name] = Mistake(name, sentence, reference, floats_only=floats_only, **kinds)
        return function

    return register
