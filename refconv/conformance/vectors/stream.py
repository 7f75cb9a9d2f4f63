"""Integers that are the same everywhere and for ever.

NumPy promises the raw bits of its generators, but neither the integers nor the floating-point numbers made of them; and
a logarithm or a cosine differs in its last bit from one C library to the next. So numbers are drawn as integers from
SHAKE-256 (FIPS 202), which every language has, and turned into floating-point numbers by exact operations alone.
"""

import hashlib
import math

import numpy as np

__all__ = ["Stream"]


class Stream:
    """Integers drawn one after the other, decided by a name.

    Parameters
    ----------
    *name : int or str
        Same name, same integers. The draw number i is SHAKE-256("part/part/.../i"), read as little-endian integers of
        eight bytes.

    Examples
    --------
    >>> Stream("example", 1).integers(0, 9, (4,))
    array([6, 9, 0, 3])
    >>> Stream("example", 1).integer(0, 9)
    6
    """

    def __init__(self, *name):
        self.name = "/".join(map(str, name))
        self.draws = 0

    def integers(self, low, high, shape):
        """Integers from low to high, both included.

        Returns
        -------
        ndarray of int64
            Of 64 random bits the remainder is taken, so that the low numbers are likelier by at most
            (high - low + 1) / 2**64, which nobody will notice.
        """
        span = int(high) - int(low) + 1
        count = math.prod(shape)
        digest = hashlib.shake_256(f"{self.name}/{self.draws}".encode()).digest(8 * count)
        self.draws += 1
        return (np.frombuffer(digest, "<u8").reshape(shape) % np.uint64(span)).astype(np.int64) + int(low)

    def integer(self, low, high):
        """One integer from low to high, both included."""
        return int(self.integers(low, high, ()))

    def signs(self, shape):
        """1 or -1, each with probability one half."""
        return 2 * self.integers(0, 1, shape) - 1
