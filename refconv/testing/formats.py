"""The four floating-point formats, by the few numbers that bounds and test data are made of."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

__all__ = ["FORMATS", "TF32", "Format", "format_of"]


@dataclass(frozen=True)
class Format:
    """A binary floating-point format with subnormals, as IEEE 754 describes it.

    Parameters
    ----------
    precision : int
        Bits of the significand, the hidden one included. Every integer up to 2**precision is a number of the format.
    emax : int
        Exponent of the largest power of two.
    """

    precision: int
    emax: int

    @property
    def unit_roundoff(self) -> float:
        """The largest relative error of rounding to nearest, u = 2**-precision."""
        return 2.0**-self.precision

    @property
    def least_exponent(self) -> int:
        """Exponent of the least positive (subnormal) number, of which every number of the format is a multiple."""
        return 2 - self.emax - self.precision

    @property
    def least(self) -> float:
        """The least positive (subnormal) number."""
        return 2.0**self.least_exponent

    @property
    def largest(self) -> float:
        """The largest finite number."""
        return (2.0 - 2.0 ** (1 - self.precision)) * 2.0**self.emax

    def contains(self, other: "Format") -> bool:
        """Return whether every number of the other format is one of this format too."""
        return (
            self.precision >= other.precision
            and self.emax >= other.emax
            and self.least_exponent <= other.least_exponent
        )


FORMATS = {
    "float16": Format(precision=11, emax=15),
    "bfloat16": Format(precision=8, emax=127),
    "float32": Format(precision=24, emax=127),
    "float64": Format(precision=53, emax=1023),
}

#: What the matrix units of some GPUs make of float32 operands: the range of float32, the precision of float16.
TF32 = Format(precision=11, emax=127)


@lru_cache
def format_of(dtype: object) -> Format:
    """Return the format of a dtype or dtype name.

    Raises
    ------
    TypeError
        ``no bound is known for dtype int32; known are float16, bfloat16, float32, float64``
    """
    # "bfloat16" is a name that NumPy itself does not know unless ml_dtypes has been imported.
    name = dtype if isinstance(dtype, str) else np.dtype(dtype).name
    if name not in FORMATS:
        raise TypeError(f"no bound is known for dtype {name}; known are {', '.join(FORMATS)}")
    return FORMATS[name]
