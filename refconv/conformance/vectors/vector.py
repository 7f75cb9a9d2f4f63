"""One golden vector: a call, its correctly rounded result, and how far from it a result may be."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from refconv.conformance.vectors import numbers
from refconv.conformance.vectors.stream import Stream
from refconv.conformance.vectors.themes import Theme
from refconv.descriptor import describe
from refconv.dtypes import extension_dtype
from refconv.problem import ConvProblem
from refconv.testing.bounds import Magnitudes, conv_bound
from refconv.testing.claim import Claim
from refconv.testing.formats import format_of
from refconv.testing.operation import Operation

__all__ = ["DTYPES", "OPERANDS", "Vector", "make_vector"]

#: The operands' dtypes that vectors can be of.
DTYPES = ("float16", "bfloat16", "float32", "float64", "int8", "uint8", "int16")

#: Names of the operands, in the order in which they are stored.
OPERANDS = ("input", "weight", "bias", "grad_output")


@dataclass(frozen=True, eq=False)
class Vector:
    """A call and what it must give.

    Parameters
    ----------
    op : str
        One of `refconv.testing.operation.OPS`.
    dtype : str
        Of the operands.
    theme : str
        What it is about: the key of a `Theme`.
    number : int
        Of the cases that are about it for this function and dtype.
    problem : ConvProblem
        The forward convolution of which this is a call, the transpose or a gradient: a transposed convolution leads
        from its output back to its input.
    output_padding : tuple of int
        Of the transposed convolution.
    operands : dict of str to ndarray
        Those that the call takes, under the names in `OPERANDS`.
    claim : Claim
        What the bound is for; means nothing for integers.
    """

    op: str
    dtype: str
    theme: str
    number: int
    problem: ConvProblem
    output_padding: tuple[int, ...]
    operands: dict[str, np.ndarray]
    claim: Claim

    @property
    def name(self) -> str:
        """The path of its files in a corpus, without their suffix."""
        return f"{self.op}/{self.dtype}/{self.theme}-{self.number}"

    @property
    def descriptor(self) -> str:
        """The call as a line of text; for a gradient that of the convolution it belongs to."""
        return describe(self.operation.problem or self.problem)

    @property
    def loops(self) -> dict[str, list[int]]:
        """The bounds of the loop nest, over three axes whatever the number of spatial ones: further ones have size 1.

        Under 'image', 'kernel' and 'output' the sizes of the three arrays of the forward convolution, two of which are
        operands while the third is the result.
        """
        problem = self.problem
        n = 3 - problem.spatial_ndim

        def axes(values, filler):
            return [filler] * n + list(values)

        return {
            "image": [problem.N, problem.C_in, *axes(problem.input_size, 1)],
            "kernel": [problem.C_out, problem.C_in // problem.groups, *axes(problem.kernel_size, 1)],
            "output": [problem.N, problem.C_out, *axes(problem.output_size, 1)],
            "stride": axes(problem.stride, 1),
            "padding": axes([begin for begin, _ in problem.padding], 0),
            "dilation": axes(problem.dilation, 1),
            "groups": [problem.groups],
        }

    @property
    def arguments(self) -> dict:
        """All that `Operation.of` takes besides the operands."""
        problem = self.problem
        if self.op.endswith("_bias"):
            return {}
        geometry = {
            "stride": problem.stride,
            "padding": problem.padding,
            "dilation": problem.dilation,
            "groups": problem.groups,
        }
        if self.op.startswith("conv_transpose"):
            return {**geometry, "output_padding": self.output_padding}
        if self.op.endswith("_input"):
            return {**geometry, "input": problem.input_shape}
        if self.op.endswith("_weight"):
            return {**geometry, "weight": problem.weight_shape}
        return geometry

    @cached_property
    def operation(self) -> Operation:
        """The call, ready to be computed."""
        return Operation.of(self.op, **self.operands, **self.arguments)

    @cached_property
    def result(self) -> np.ndarray:
        """The correctly rounded result."""
        operation = self.operation
        dtype = self.claim.out if operation.is_float else None
        return operation.exact(dtype).reshape(operation.result_shape)

    @cached_property
    def exact(self) -> bool:
        """Whether no sum is rounded, in any order, if the claim is kept: then equality is demanded."""
        operation = self.operation
        if not operation.is_float:
            return True
        claim = self.claim
        if (claim.algorithm, claim.rounding, claim.inputs, claim.flush_subnormals) != (
            "direct",
            "nearest",
            None,
            False,
        ):
            return False
        return _never_rounded(operation)

    @cached_property
    def bound(self) -> np.ndarray:
        """How far from `result` each element may be: float64, of the result's shape.

        That is `conv_bound`, the largest distance from the exact sum, and the distance of the result from it, at most
        half a unit in the last place. 0 where sums are exact; infinite where a sum may overflow on the way.
        """
        result = self.result
        if self.exact:
            return np.zeros(result.shape)
        bound = conv_bound(op=self.op, **self.operands, **self.arguments, claim=self.claim)
        fmt = format_of(result.dtype)
        size = np.nan_to_num(result.astype(np.float64), posinf=0.0, neginf=0.0)
        half_a_unit = np.ldexp(1.0, np.frexp(size)[1] - fmt.precision - 1)
        rounding = np.maximum(np.where(size == 0, 0.0, half_a_unit), fmt.least / 2)
        with np.errstate(over="ignore"):
            return np.where(bound == 0, 0.0, np.nextafter(bound + rounding, np.inf))


def _never_rounded(operation: Operation) -> bool:
    """Whether all terms are multiples of a power of two so large that any partial sum of them is a number.

    If so for the operands' own format, then for any that contains it.
    """
    fmt = format_of(operation.dtype)
    magnitudes = Magnitudes(operation, wide=True)
    finite = magnitudes.finite
    if finite is not operation:
        return False
    grid = _grid(finite.x) + _grid(finite.w)
    if finite.bias is not None:
        grid = min(grid, _grid(finite.bias))
    grid = min(grid, fmt.emax - fmt.precision)
    largest = np.ldexp(1.0, fmt.precision + grid)
    return grid >= fmt.least_exponent and bool(magnitudes.A.max(initial=0.0) <= largest)


def _grid(values: np.ndarray) -> int:
    """The largest e such that all values are multiples of 2**e; something large if all are zero."""
    significands, exponents = np.frexp(values[values != 0].astype(np.float64))
    whole = (significands * 2.0**53).astype(np.int64)
    _, lowest = np.frexp((whole & -whole).astype(np.float64))
    return int((exponents - 53 + lowest - 1).min(initial=2000))


def make_vector(op: str, dtype: str, theme: Theme, number: int, seed: int, claim: Claim) -> Vector:
    """Draw a vector: same arguments, same bits."""
    stream = Stream("refconv vectors 1", seed, op, dtype, theme.key, number)
    ndim = int(op[-2]) if op.startswith("conv_transpose") else int(op[4])
    problem = theme.geometry(stream, ndim)
    if "_" in op and not op.startswith("conv_transpose"):
        problem = replace(problem, bias=False)  # gradients take none
    output_padding = tuple(
        (size + sum(pads) - d * (k - 1) - 1) % s
        for size, pads, k, s, d in zip(
            problem.input_size, problem.padding, problem.kernel_size, problem.stride, problem.dilation, strict=True
        )
    )
    shapes = _shapes(op, problem)
    factors = [name for name in shapes if name != "bias"]
    first, second = factors if len(factors) == 2 else (factors[0], None)
    wanted = (shapes[first], shapes[second] if second else (1,), shapes.get("bias"))
    made = _makers(dtype, theme)(stream, wanted, _most_terms(op, problem))
    operands = {first: made[0], second: made[1], "bias": made[2]}
    numpy_dtype = extension_dtype(dtype) if dtype == "bfloat16" else np.dtype(dtype)
    operands = {name: operands[name].astype(numpy_dtype) for name in OPERANDS if name in shapes}
    return Vector(op, dtype, theme.key, number, problem, output_padding, operands, claim)


def _makers(dtype, theme):
    if np.dtype(dtype if dtype != "bfloat16" else "float32").kind == "f":
        fmt = format_of(dtype)
        return lambda stream, shapes, terms: theme.make(stream, fmt, shapes, terms)
    info = np.iinfo(dtype)
    return lambda stream, shapes, terms: numbers.full_range(stream, info, shapes, terms)


def _shapes(op: str, problem: ConvProblem) -> dict:
    """The operands that a call has numbers for, and their shapes."""
    batch = (problem.N,) if problem.batched else ()
    output_shape = (*batch, problem.C_out, *problem.output_size)
    if op.endswith("_bias"):
        return {"grad_output": output_shape}
    if op.endswith("_input"):
        return {"grad_output": output_shape, "weight": problem.weight_shape}
    if op.endswith("_weight"):
        return {"input": problem.input_shape, "grad_output": output_shape}
    transposed = op.startswith("conv_transpose")
    shapes = {"input": output_shape if transposed else problem.input_shape, "weight": problem.weight_shape}
    if problem.bias:
        shapes["bias"] = (problem.C_in if transposed else problem.C_out,)
    return shapes


def _most_terms(op: str, problem: ConvProblem) -> int:
    """How many products a sum has at most, the bias left out."""
    taps = int(np.prod(problem.kernel_size))
    if op.endswith(("_weight", "_bias")):
        return problem.N * int(np.prod(problem.output_size))
    if op.endswith("_input") or op.startswith("conv_transpose"):
        return problem.C_out // problem.groups * taps
    return problem.C_in // problem.groups * taps
