"""One call of a function of the family, as it is written: shapes, arguments as they are spelt, and numbers for it."""

import math
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np

import refconv
from refconv import geometry, grad
from refconv.dtypes import result_dtype
from refconv.problem import ConvProblem
from refconv.testing.layouts import LAYOUTS
from refconv.testing.operation import OPS, Operation

__all__ = ["SIGNATURES", "ConvCall", "ConvCase", "Operands"]

_FORWARD = ("input", "weight", "bias", "stride", "padding", "dilation", "groups")
_TRANSPOSED = ("input", "weight", "bias", "stride", "padding", "output_padding", "groups", "dilation")
_BY_INPUT = ("input_size", "weight", "grad_output", "stride", "padding", "dilation", "groups")
_BY_WEIGHT = ("input", "weight_size", "grad_output", "stride", "padding", "dilation", "groups")
_BY_BIAS = ("grad_output",)


def _signature(op: str) -> tuple[str, ...]:
    by_ending = {"_input": _BY_INPUT, "_weight": _BY_WEIGHT, "_bias": _BY_BIAS}
    for ending, signature in by_ending.items():
        if op.endswith(ending):
            return signature
    return _TRANSPOSED if "transpose" in op else _FORWARD


#: The arguments of every function of the family, in torch's order: what an implementation is called with.
SIGNATURES: dict[str, tuple[str, ...]] = {op: _signature(op) for op in OPS}


class Operands(NamedTuple):
    """The arrays of a call; None for one that the function does not take, or that was not given."""

    input: np.ndarray | None = None
    weight: np.ndarray | None = None
    bias: np.ndarray | None = None
    grad_output: np.ndarray | None = None

    @property
    def given(self) -> dict[str, np.ndarray]:
        """Those that are there, by name."""
        return {name: array for name, array in self._asdict().items() if array is not None}

    @property
    def size(self) -> int:
        """Elements of all together."""
        return sum(array.size for array in self.given.values())

    @property
    def dtype(self) -> np.dtype:
        """The dtype that they have in common."""
        return next(iter(self.given.values())).dtype

    def map(self, function) -> "Operands":
        """Return what a function makes of each array that is there."""
        return Operands(**{name: function(array) for name, array in self.given.items()})


@dataclass(frozen=True)
class ConvCall:
    """A call by shapes: ``conv2d(input, weight, bias, stride, padding, dilation, groups)`` and its relatives.

    Unlike a `ConvProblem`, it keeps how the arguments were spelt (``2`` or ``(2, 2)``, ``'same'`` or the numbers), and
    it may be wrong.

    Parameters
    ----------
    input_shape, weight_shape : tuple of int
        For a gradient those of the convolution that is differentiated.
    bias_shape : tuple of int or None
    stride, padding, dilation, groups
        As they are passed.
    op : str
        A function of `refconv` or `refconv.grad`.
    output_padding : int or tuple of int
        Of a transposed convolution.
    grad_shape : tuple of int or None
        The shape of grad_output, for a gradient.
    padding_name : str or None
        What another library calls this padding, where torch has no name for it: 'SAME_LOWER'.
    """

    input_shape: tuple[int, ...]
    weight_shape: tuple[int, ...]
    bias_shape: tuple[int, ...] | None = None
    stride: int | tuple[int, ...] = 1
    padding: int | tuple | str = 0
    dilation: int | tuple[int, ...] = 1
    groups: int = 1
    op: str = "conv2d"
    output_padding: int | tuple[int, ...] = 0
    grad_shape: tuple[int, ...] | None = None
    padding_name: str | None = None

    @classmethod
    def of(cls, op: str, values: tuple) -> "ConvCall":
        """Return the call of a function with some arguments, in its order.

        Parameters
        ----------
        op : str
        values : tuple

        Examples
        --------
        >>> ConvCall.of("conv1d", (np.ones((1, 1, 5)), np.ones((1, 1, 2)), None, 2, 0, 1, 1)).result_shape
        (1, 1, 2)
        """
        named = dict(zip(SIGNATURES[op], values, strict=True))
        shapes = {name: named.get(f"{name}_size", getattr(named.get(name), "shape", None)) for name in Operands._fields}
        settings = {name: value for name, value in named.items() if name in cls.__dataclass_fields__}
        if op.endswith("_bias"):
            N, C_out, *size = shapes["grad_output"]
            shapes |= {"input": (N, 1, *size), "weight": (C_out, 1, *(1,) * len(size))}
        return cls(
            shapes["input"], shapes["weight"], shapes["bias"], **settings, op=op, grad_shape=shapes["grad_output"]
        )

    def with_named_padding(self) -> "ConvCall":
        """Return the call with the numbers that `padding_name` stands for, which depend on sizes and strides.

        That is SAME of TensorFlow, SAME_UPPER and SAME_LOWER of ONNX: as many windows as strides fit into the image. If
        the number of zeros is odd, there is one more at the end, for SAME_LOWER at the beginning.

        Examples
        --------
        >>> ConvCall((1, 1, 5), (1, 1, 4), stride=2, op="conv1d", padding_name="SAME").with_named_padding().padding
        ((1, 2),)
        """
        n = self.spatial_ndim
        strides, dilations = ((a,) * n if isinstance(a, int) else a for a in (self.stride, self.dilation))
        padding = []
        for length, k, s, d in zip(self.input_shape[-n:], self.weight_shape[-n:], strides, dilations, strict=True):
            total = max((-(-length // s) - 1) * s + geometry.extent(k, d) - length, 0)
            smaller, larger = total // 2, total - total // 2
            padding.append((larger, smaller) if self.padding_name == "SAME_LOWER" else (smaller, larger))
        return replace(self, padding=tuple(padding))

    @property
    def spatial_ndim(self) -> int:
        """Number of spatial axes: 1, 2 or 3."""
        return int(self.op.removeprefix("conv_transpose").removeprefix("conv")[0])

    @property
    def kind(self) -> str:
        """'forward', 'transposed', or the gradient: 'by input', 'by weight', 'by bias'."""
        kinds = {_FORWARD: "forward", _TRANSPOSED: "transposed", _BY_INPUT: "by input", _BY_WEIGHT: "by weight"}
        return kinds.get(SIGNATURES[self.op], "by bias")

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shapes of the arrays that are passed, by name."""
        shapes = {
            "input": self.input_shape,
            "weight": self.weight_shape,
            "bias": self.bias_shape,
            "grad_output": self.grad_shape,
        }
        return {name: shapes[name] for name in SIGNATURES[self.op] if shapes.get(name) is not None}

    @property
    def keywords(self) -> dict:
        """The arguments that are not arrays, by name, in the function's own order."""
        values = {"input_size": self.input_shape, "weight_size": self.weight_shape}
        return {
            name: values[name] if name in values else getattr(self, name)
            for name in SIGNATURES[self.op]
            if name not in Operands._fields
        }

    def values(self, operands: Operands) -> tuple:
        """Everything that the function is called with, in its order."""
        keywords = self.keywords
        return tuple(keywords[name] if name in keywords else getattr(operands, name) for name in SIGNATURES[self.op])

    @property
    def function(self):
        """The function of `refconv` or `refconv.grad` that is called."""
        return getattr(grad if self.kind.startswith("by") else refconv, self.op)

    @cached_property
    def problem(self) -> ConvProblem:
        """The convolution that is computed, or differentiated; a ConvError if the call is wrong."""
        n = self.spatial_ndim
        shapes = (self.input_shape, self.weight_shape)
        geometry = (self.stride, self.padding, self.dilation, self.groups)
        if self.kind == "forward":
            return ConvProblem.from_shapes(*shapes, self.bias_shape, *geometry, spatial_ndim=n)
        if self.kind == "transposed":
            geometry = (self.stride, self.padding, self.output_padding, self.groups, self.dilation)
            return ConvProblem.transposed_from_shapes(*shapes, self.bias_shape, *geometry, spatial_ndim=n)
        return ConvProblem.from_gradient_shapes(self.op, *shapes, self.grad_shape, *geometry, spatial_ndim=n)

    @property
    def pads(self) -> bool:
        """Whether any zeros are put around the input."""
        return any(sum(pair) for pair in self.problem.padding)

    @property
    def result_shape(self) -> tuple[int, ...]:
        """Shape of the result of a right call."""
        if self.kind in ("forward", "transposed"):
            return self.problem.output_shape
        by = {"by input": self.input_shape, "by weight": self.weight_shape, "by bias": self.weight_shape[:1]}
        return by[self.kind]

    @property
    def factors(self) -> tuple[str | None, str]:
        """The two arrays that products are made of; the gradient by the bias sums one of them."""
        return {
            "by input": ("grad_output", "weight"),
            "by weight": ("input", "grad_output"),
            "by bias": (None, "grad_output"),
        }.get(self.kind, ("input", "weight"))

    @property
    def terms(self) -> int:
        """The most products that an element of the result is a sum of."""
        problem = self.problem
        if self.kind == "by input":
            return problem.C_out // problem.groups * math.prod(problem.kernel_size)
        if self.kind in ("by weight", "by bias"):
            return problem.N * math.prod(problem.output_size)
        return problem.terms


@dataclass(frozen=True, eq=False)
class ConvCase:
    """A call with numbers.

    Parameters
    ----------
    call : ConvCall
    operands : Operands
    recipe : str
        An expression that builds the operands again, for reports about arrays too large to print.
    fault : str, optional
        What is wrong with the call, if anything is.
    layouts : dict of str to str, optional
        For the operands named, the function in `refconv.testing.layouts` that says how they are to lie in memory.
    """

    call: ConvCall
    operands: Operands = field(repr=False)  # which may be thousands of numbers, for Hypothesis to print
    recipe: str
    fault: str | None = None
    layouts: dict[str, str] = field(default_factory=dict)

    @cached_property
    def operation(self) -> Operation:
        """The call, ready to be computed in any arithmetic."""
        call = self.call
        arguments = {"stride": call.stride, "padding": call.padding, "dilation": call.dilation, "groups": call.groups}
        if call.kind == "transposed":
            arguments["output_padding"] = call.output_padding
        arrays = {name: call.keywords.get(f"{name}_size", getattr(self.operands, name)) for name in Operands._fields}
        # As they lie in memory: a mistake may be about that.
        arrays |= {
            name: LAYOUTS[layout](arrays[name]) for name, layout in self.layouts.items() if name in self.operands.given
        }
        if call.kind == "by bias":
            arguments = {}
        return Operation.of(call.op, **arrays, **arguments)

    @property
    def result_dtype(self) -> np.dtype:
        """The dtype that refconv would return."""
        # An operation has operands of eight bits in a wider format already, whose results are of another dtype.
        return result_dtype(self.call.op, None, **{name: array.dtype for name, array in self.operands.given.items()})

    @cached_property
    def exact(self) -> np.ndarray:
        """The correctly rounded result."""
        return self.operation.exact(self.result_dtype).reshape(self.operation.result_shape)
