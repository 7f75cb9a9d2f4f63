"""Arrays that two processes see: written into shared memory by one, read there by the other.

The memory is a file without a name (`os.memfd_create`) whose descriptor the other process inherits. Unlike the named
segments of `multiprocessing.shared_memory` it cannot be left behind, however either side ends, and it is not bounded
by the size of /dev/shm. It is created once and grows: whoever writes makes the file longer, whoever reads sees that.
"""

import math
import mmap
import os
import weakref
from typing import Any, NamedTuple

import numpy as np

__all__ = ["Placed", "SharedMemory"]

_FIRST_SIZE = 1 << 20
_ALIGNMENT = 64


class Placed(NamedTuple):
    """Where an array lies in the memory."""

    offset: int
    shape: tuple[int, ...]
    dtype: np.dtype

    @property
    def size(self) -> int:
        """In bytes."""
        return self.dtype.itemsize * math.prod(self.shape)


class SharedMemory:
    """Memory for arrays.

    Parameters
    ----------
    descriptor : int
        Of the file. The memory that the two sides share is made by `create` on one of them.
    """

    def __init__(self, descriptor: int):
        self.descriptor = descriptor
        self._map = mmap.mmap(descriptor, 0)
        self._end = 0

    @classmethod
    def create(cls) -> "SharedMemory":
        """Return new memory, with a file that processes started later can inherit."""
        descriptor = os.memfd_create("refconv")
        os.ftruncate(descriptor, _FIRST_SIZE)
        memory = cls(descriptor)
        weakref.finalize(memory, os.close, descriptor)
        return memory

    def clear(self):
        """Begin again: the next array overwrites the first one."""
        self._end = 0

    def go_behind(self, placed: Placed):
        """Leave alone an array that the other side has put, and what is in front of it."""
        self._end = placed.offset
        self._reserve(placed.size)

    def put(self, value: Any) -> Any:
        """Copy an array into the memory and say where it is; whatever cannot be copied there is its own place."""
        if not isinstance(value, np.ndarray) or value.dtype.hasobject:
            return value
        # Not of the subclass that it may be of.
        placed = Placed(self._reserve(value.nbytes), value.shape, value.dtype)
        self.view(placed)[...] = value
        return placed

    def get(self, place: Any) -> Any:
        """Return a copy of what was put."""
        return self.view(place).copy() if isinstance(place, Placed) else place

    def view(self, placed: Placed) -> np.ndarray:
        """Return the array in the memory itself."""
        self._grow_to(placed.offset + placed.size)
        return np.ndarray(placed.shape, placed.dtype, self._map, placed.offset)

    def _reserve(self, size: int) -> int:
        offset = self._end
        self._end = offset + -(-size // _ALIGNMENT) * _ALIGNMENT
        self._grow_to(self._end)
        return offset

    def _grow_to(self, size: int):
        if size <= len(self._map):
            return
        if size > os.fstat(self.descriptor).st_size:
            os.ftruncate(self.descriptor, max(size, 2 * len(self._map)))
        # The old map goes when the last array in it does.
        self._map = mmap.mmap(self.descriptor, 0)
