"""A function in this process as a target."""

import threading
import traceback
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from refconv.conformance.profile import Profile
from refconv.conformance.targets.base import Invocation, Outcome, Refusal, Target
from refconv.conformance.targets.conventions import result_from_target, values_for_target
from refconv.testing.layouts import LAYOUTS

__all__ = ["FunctionTarget"]


class FunctionTarget(Target):
    """Functions with the plain signatures of `refconv.testing.calls.SIGNATURES`, on NumPy arrays.

    All arguments are passed by position. A function returns an array, or what `numpy.asarray` makes one.

    Parameters
    ----------
    name : str
    functions : dict of str to callable
        By op.
    profile : Profile
    definitions : dict of str to list of str
        By op, code that defines the function under the op's name, for reports.
    versions : dict of str to str, optional
    """

    def __init__(self, name, functions, profile=None, definitions=None, versions=None):
        super().__init__(name, profile or Profile(ops=tuple(functions)))
        self.functions = functions
        self._definitions = definitions or {}
        self._versions = versions or {}

    def outcomes(self, invocations, *, reuse_memory=False, threads=1):
        memory = _Memory() if reuse_memory else None
        if threads == 1:
            made = [self._made(invocation, memory) for invocation in invocations]
        else:
            start = threading.Barrier(min(threads, len(invocations)))
            with ThreadPoolExecutor(start.parties) as pool:
                made = list(pool.map(lambda invocation: self._made(invocation, None, start), invocations))
        return [call.outcome() for call in made]

    def definition(self, op):
        return self._definitions.get(op, [f"# {op} is a function of {self.name}"])

    def versions(self):
        return dict(self._versions)

    def _made(self, invocation: Invocation, memory, start=None) -> "_MadeCall":
        call = _MadeCall(invocation, self.profile, memory)
        if start is not None:
            start.wait()
        call.make(self.functions[invocation.call.op])
        return call


class _Memory:
    """The arrays of the calls so far, so that later ones can be given the same objects."""

    def __init__(self):
        self._arrays = {}

    def holding(self, name: str, layout: str | None, numbers: np.ndarray) -> np.ndarray:
        """Return an array with these numbers, an old one if there is one."""
        key = (name, layout, numbers.shape, numbers.dtype)
        if key in self._arrays and self._arrays[key].flags.writeable:
            self._arrays[key][...] = numbers
        else:
            self._arrays[key] = _laid_out(numbers, layout)
        return self._arrays[key]


class _MadeCall:
    """One call, and what can be seen of it."""

    def __init__(self, invocation: Invocation, profile: Profile, memory: _Memory | None):
        self._call, self._profile = invocation.call, profile
        self._numbers, self._arguments = values_for_target(invocation.call, invocation.operands, profile)
        layouts = invocation.layouts
        self._arrays = {
            name: memory.holding(name, layouts.get(name), array) if memory else _laid_out(array, layouts.get(name))
            for name, array in self._numbers.items()
        }
        self._refusal = self._returned = self._result = None
        self._changed = self._aliases = ()

    def make(self, function):
        """Call the function."""
        try:
            self._returned = np.asarray(function(*self._arguments(self._arrays)))
        except Exception as error:
            self._refusal = _refusal_of(error)
            return
        if self._returned.dtype.kind not in "fiucV" or self._returned.dtype.names:
            self._refusal = Refusal("not an array", "no array of numbers", f"dtype {self._returned.dtype}")
            return
        self._result = self._returned.copy()
        self._changed = tuple(
            name for name, array in self._arrays.items() if array.tobytes() != self._numbers[name].tobytes()
        )
        self._aliases = tuple(
            name for name, array in self._arrays.items() if np.may_share_memory(array, self._returned)
        )

    def outcome(self) -> Outcome:
        """Tell what came of it, and what has become of the result by now."""
        if self._refusal is not None:
            return Outcome(refusal=self._refusal)
        later = self._returned if self._returned.tobytes() != self._result.tobytes() else None
        return Outcome(self._in_our_order(self._result), self._in_our_order(later), self._changed, self._aliases)

    def _in_our_order(self, result):
        return None if result is None else result_from_target(self._call, result, self._profile)


def _refusal_of(error: Exception) -> Refusal:
    frame = traceback.extract_tb(error.__traceback__)[-1]
    place = f"in {frame.name}, {frame.filename}:{frame.lineno}: {frame.line}"
    bases = tuple(base.__name__ for base in type(error).__mro__)
    return Refusal("exception", type(error).__name__, str(error), place, bases)


def _laid_out(numbers: np.ndarray, layout: str | None) -> np.ndarray:
    return numbers.copy() if layout is None else LAYOUTS[layout](numbers)
