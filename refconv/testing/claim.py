"""What an implementation says about its arithmetic."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from refconv.testing.formats import FORMATS, TF32, Format, format_of

__all__ = ["Claim"]

_INPUTS = {"tf32": TF32, **{name: FORMATS[name] for name in ("float16", "bfloat16", "float32")}}
_ROUNDINGS = ("nearest", "truncate", "tensor-core")
_ALGORITHMS = ("direct", "winograd", "fft")

# Accumulators by the operands' dtype, where they are not the same.
_ACCUMULATORS = {
    "float16": "float32",
    "bfloat16": "float32",
    "complex64": "float32",
    "complex128": "float64",
}


@dataclass(frozen=True)
class Claim:
    """What an implementation says about its arithmetic: the one thing that an error is judged by.

    Parameters
    ----------
    accumulate : {'float32', 'float64', 'float16', 'bfloat16'}
        The format that products and partial sums are rounded to. A wider one would make the result better, so that
        this is the narrowest that may occur. Fused multiply-adds, blocks, SIMD lanes and trees of partial sums are all
        fine: any order is.
    inputs : {None, 'tf32', 'bfloat16', 'float16', 'float32'}
        The narrower format that input and weight (not the bias) are cast to first, if they are.
    rounding : {'nearest', 'truncate', 'tensor-core'}
        How casts, products and sums are rounded; or that sums are formed as by tensor cores: blocks of at least four
        exact products are aligned to the largest term and cut.
    algorithm : {'direct', 'winograd', 'fft'}
        Whether the sum is formed as it stands, by Winograd's algorithm F(m x m, r x r), or in the frequency domain. The
        latter two can only be claimed for forward convolutions; Winograd's for stride 1 and dilation 1.
    flush_subnormals : bool
        Whether subnormal operands, products and sums may be replaced by zero.
    out : str, optional
        Name of the dtype of the result; by default refconv's for the operands.
    tile : {4, 2, 6}
        Winograd's m, results per tile along each axis.

    Examples
    --------
    >>> Claim()
    Claim(accumulate='float32')
    >>> Claim.of("bfloat16")        # products of bfloat16 numbers, summed in float32
    Claim(accumulate='float32')
    >>> Claim(inputs="tf32", rounding="tensor-core")
    Claim(accumulate='float32', inputs='tf32', rounding='tensor-core')
    """

    accumulate: str = "float32"
    inputs: str | None = None
    rounding: str = "nearest"
    algorithm: str = "direct"
    flush_subnormals: bool = False
    out: str | None = None
    tile: int = 4

    def __post_init__(self):
        format_of(self.accumulate)
        if self.out is not None:
            # Any dtype, or a name that NumPy does not know unless ml_dtypes is imported.
            name = self.out if isinstance(self.out, str) else np.dtype(self.out).name
            object.__setattr__(self, "out", name)
            format_of(name)
        for field, known in (
            ("inputs", (None, *_INPUTS)),
            ("rounding", _ROUNDINGS),
            ("algorithm", _ALGORITHMS),
            ("tile", (2, 4, 6)),
        ):
            value = getattr(self, field)
            if value not in known:
                listing = ", ".join(repr(choice) for choice in known)
                raise ValueError(f"Claim(): argument '{field}' must be one of {listing}, but got {value!r}")

    @classmethod
    @lru_cache
    def of(cls, dtype: object) -> "Claim":
        """The claim that goes with a dtype by default: float32 sums, or float64 for float64 and complex128 operands."""
        name = dtype if isinstance(dtype, str) else np.dtype(dtype).name
        name = _ACCUMULATORS.get(name, name)
        format_of(name)
        return cls(accumulate=name)

    @classmethod
    def parse(cls, text: str) -> "Claim":
        """Read a claim as it is written on a command line, such as ``accumulate=float32,inputs=tf32``.

        Raises
        ------
        ValueError
            ``cannot read the claim 'acc=float32': it is KEY=VALUE, ...``; or as for the class.

        Examples
        --------
        >>> Claim.parse("accumulate=float64,rounding=truncate")
        Claim(accumulate='float64', rounding='truncate')
        """
        given = {}
        for part in text.split(","):
            key, _, value = part.strip().partition("=")
            field = cls.__dataclass_fields__.get(key)
            readable = field and value and key not in given
            if readable and isinstance(field.default, bool):
                readable = value in ("true", "false")
                value = value == "true"
            elif readable and isinstance(field.default, int):
                readable = value.isdecimal()
                value = int(value) if readable else value
            if not readable:
                keys = ", ".join(cls.__dataclass_fields__)
                raise ValueError(
                    f"cannot read the claim {text!r}: it is KEY=VALUE, with commas between, each key at most once, "
                    f"but found {part!r}; keys are {keys}"
                )
            given[key] = value
        return cls(**given)

    @property
    def spelling(self) -> str:
        """The text that `parse` reads as this claim.

        Examples
        --------
        >>> Claim(flush_subnormals=True).spelling
        'accumulate=float32,flush_subnormals=true'
        """
        return ",".join(f"{name}={str(v).lower() if v is True else v}" for name, v in self._given().items())

    @property
    def accumulator(self) -> Format:
        """The format of products and sums."""
        return FORMATS[self.accumulate]

    @property
    def input_format(self) -> Format | None:
        """The format that operands are cast to, or None."""
        return None if self.inputs is None else _INPUTS[self.inputs]

    def _given(self) -> dict:
        """The accumulator, and whatever is not as by default."""
        fields = self.__dataclass_fields__.items()
        return {n: getattr(self, n) for n, f in fields if n == "accumulate" or getattr(self, n) != f.default}

    def __repr__(self):
        return f"Claim({', '.join(f'{name}={value!r}' for name, value in self._given().items())})"

    def __str__(self):
        parts = [f"sums in {self.accumulate}"]
        if self.inputs:
            parts.append(f"operands cast to {self.inputs}")
        if self.rounding != "nearest":
            parts.append({"truncate": "truncated", "tensor-core": "as by tensor cores"}[self.rounding])
        if self.algorithm != "direct":
            parts.append({"winograd": f"Winograd F({self.tile})", "fft": "FFT"}[self.algorithm])
        if self.flush_subnormals:
            parts.append("subnormals flushed")
        return ", ".join(parts)
