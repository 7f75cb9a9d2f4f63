"""A function in this process as a target."""

import threading
import traceback
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from refconv.conformance.profile import Profile
from refconv.conformance.targets.base import Invocation, Outcome, Refusal, Target
from refconv.conformance.targets.conventions import result_from_target, values_for_target
from refconv.dtypes import EXTENSIONS
from refconv.testing.layouts import LAYOUTS

__all__ = ["FunctionTarget", "array_of_numbers"]

# In bytes. Results of the suite's cases are much smaller; one of this size must be a mistake, of which a copy could
# fill the memory.
_LARGEST_RESULT = 1 << 30


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
        memory = _Memory() if reuse_memory and threads == 1 else None
        made = []
        for first in range(0, len(invocations), threads):
            together = invocations[first : first + threads]
            calls = [_MadeCall(invocation, self.profile, memory) for invocation in together]
            self._make(calls, first)
            made += calls
        return [call.outcome() for call in made]

    def definition(self, op):
        return self._definitions.get(op, [f"# {op} is a function of {self.name}"])

    def versions(self):
        return dict(self._versions)

    def _make(self, calls: list["_MadeCall"], first: int):
        """Make calls at the same time, the first of which is at a position in the batch."""

        def make(position, call, start=None):
            if start is not None:
                start.wait()
            self.on_call(position, "begun")
            call.make(self.functions[call.op])
            self.on_call(position, "done")

        if len(calls) == 1:
            make(first, *calls)
        else:
            together = [threading.Barrier(len(calls))] * len(calls)
            with ThreadPoolExecutor(len(calls)) as pool:
                list(pool.map(make, range(first, first + len(calls)), calls, together))


class _Memory:
    """The arrays of the calls so far, so that later ones can be given the same objects."""

    def __init__(self):
        self._arrays = {}

    def holding(self, name: str, layout: str | None, numbers: np.ndarray) -> np.ndarray:
        """Return an array with these numbers, an old one if there is one."""
        key = (name, layout, numbers.shape, numbers.dtype)
        array = self._arrays.get(key)
        if array is not None and array.flags.writeable and array.shape == numbers.shape:  # which a target may change
            array[...] = numbers
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

    @property
    def op(self) -> str:
        """The function that is called."""
        return self._call.op

    def make(self, function):
        """Call the function."""
        try:
            returned = function(*self._arguments(self._arrays))
        except KeyboardInterrupt:  # Ctrl-C
            raise
        except BaseException as error:
            self._refusal = _refusal_of(error)
        else:
            self._keep(returned)
        self._changed = tuple(
            name for name, array in self._arrays.items() if array.tobytes() != self._numbers[name].tobytes()
        )

    def _keep(self, returned):
        try:
            self._returned = array_of_numbers(returned)
            self._result = self._returned.copy()
        except Exception as error:
            self._refusal = Refusal("not an array", _described(returned), str(error))
            return
        self._aliases = tuple(
            name for name, array in self._arrays.items() if np.may_share_memory(array, self._returned)
        )

    def outcome(self) -> Outcome:
        """Tell what came of it, and what has become of the result by now."""
        if self._refusal is not None:
            return Outcome(changed=self._changed, refusal=self._refusal)
        later = self._returned if self._returned.tobytes() != self._result.tobytes() else None
        return Outcome(self._in_our_order(self._result), self._in_our_order(later), self._changed, self._aliases)

    def _in_our_order(self, result):
        return None if result is None else result_from_target(self._call, result, self._profile)


def array_of_numbers(returned) -> np.ndarray:
    """Return as an array what a target has returned; raise an exception if it is none that the suite can judge."""
    array = np.asarray(returned)
    if array.dtype.kind not in "fiuc" and array.dtype.name not in EXTENSIONS:
        raise TypeError(f"dtype {array.dtype}")
    if array.nbytes > _LARGEST_RESULT:
        raise MemoryError(f"{array.nbytes:,} bytes")
    return array


def _described(returned) -> str:
    """What a function has returned, in few words."""
    kind = type(returned).__name__
    if isinstance(returned, (tuple, list)):
        return f"{kind} of {len(returned)}"
    return f"{kind} of shape {returned.shape}" if isinstance(returned, np.ndarray) else kind


def _refusal_of(error: BaseException) -> Refusal:
    frame = traceback.extract_tb(error.__traceback__)[-1]
    place = f"in {frame.name}, {frame.filename}:{frame.lineno}: {frame.line}"
    bases = tuple(base.__name__ for base in type(error).__mro__)
    kind = "exit" if isinstance(error, SystemExit) else "exception"
    try:
        text = str(error)
    except Exception as another:
        text = f"an error whose text cannot be made: {type(another).__name__}"
    return Refusal(kind, type(error).__name__, text, place, bases)


def _laid_out(numbers: np.ndarray, layout: str | None) -> np.ndarray:
    return numbers.copy() if layout is None else LAYOUTS[layout](numbers)
