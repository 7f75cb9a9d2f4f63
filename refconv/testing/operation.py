"""A call of one of the convolutions or their gradients, seen as what they all are: sums of products.

Every member of the family is linear in each of two arrays, x and w, and ties their indices together along every axis:

    kind         x                      w             sum over            index map
    forward      input                  weight        channels and taps   place = o * stride - padding + tap * dilation
    transposed   input or grad_output   weight        channels and taps   o + padding = place * stride + tap * dilation
    weight       input                  grad_output   batch and windows   place = i * stride - padding + o * dilation

where o is an index of the result, place one of x, and i that of a window. So a bound, an honest float32 sum or a
planted bug can be written once for all.
"""

from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from refconv.adjoint import input_gradient, weight_gradient
from refconv.arrays import as_operands
from refconv.correlate import correlate, kernel_options
from refconv.dtypes import kind_of, result_dtype
from refconv.problem import ConvProblem
from refconv.testing.frozen import made
from refconv.threads import thread_count

__all__ = ["OPS", "Operation"]

_FORWARD = ("conv1d", "conv2d", "conv3d")
_TRANSPOSED = ("conv_transpose1d", "conv_transpose2d", "conv_transpose3d")
_GRADIENTS = tuple(f"conv{n}d_{operand}" for operand in ("input", "weight", "bias") for n in (1, 2, 3))

#: The names that `op` may have: functions of `refconv`, then functions of `refconv.grad`.
OPS = (*_FORWARD, *_TRANSPOSED, *_GRADIENTS)


@dataclass(frozen=True, eq=False)
class Operation:
    """One call of the family, ready to be computed in any arithmetic.

    Made by `Operation.of`, which checks. `dataclasses.replace` makes others from it, right or wrong: sizes need not
    fit, a window may lie anywhere.

    Parameters
    ----------
    op : str
        One of `OPS`.
    kind : {'forward', 'transposed', 'weight'}
    x, w : ndarray
        See the table above. x has shape (N, C, ...), and w (K, C / groups, ...), or (N, K, ...) if kind is 'weight'.
    bias : ndarray, shape (K,), or None
    stride, dilation : tuple of int
        Per spatial axis.
    padding : tuple of (int, int)
        Per spatial axis. What counts is the first of the two; the second is in the result's shape.
    groups : int
    shape : tuple of int
        Of the result, with a batch axis, or with kernel axes of size one for the gradient by the bias.
    result_shape : tuple of int
        Of the result as it is returned.
    problem : ConvProblem or None
        The forward or transposed convolution behind it; None for the gradient by the bias.
    output_padding : tuple of int
    padding_name : str, optional
        'same' or 'valid', if the padding was spelt like that.
    """

    op: str
    kind: str
    x: np.ndarray
    w: np.ndarray
    bias: np.ndarray | None
    stride: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]
    dilation: tuple[int, ...]
    groups: int
    shape: tuple[int, ...]
    result_shape: tuple[int, ...]
    problem: ConvProblem | None = field(default=None, repr=False)
    output_padding: tuple[int, ...] = ()
    padding_name: str | None = None

    @classmethod
    def of(
        cls,
        op,
        input=None,
        weight=None,
        bias=None,
        *,
        stride=1,
        padding=0,
        dilation=1,
        groups=1,
        output_padding=0,
        grad_output=None,
    ):
        """Check a call and return it as an operation.

        Parameters
        ----------
        op : str
            One of `OPS`.
        input, weight, bias : array_like
            As for the function. Where a gradient needs a shape only (input for 'conv2d_input', weight for
            'conv2d_weight'), a tuple or an array of that shape. Not needed for 'conv2d_bias'.
        stride, padding, dilation, groups
            As for the function.
        output_padding : int or tuple of int
            Transposed convolutions only.
        grad_output : array_like
            Gradients only.

        Returns
        -------
        Operation

        Raises
        ------
        ValueError
            ``op must be one of conv1d, ..., but got 'conv4d'``
        ConvError, TypeError
            As the function.
        """
        if op not in OPS:
            raise ValueError(f"op must be one of {', '.join(OPS)}, but got {op!r}")
        is_gradient = op in _GRADIENTS
        if is_gradient != (grad_output is not None):
            needs = "needs" if is_gradient else "does not take"
            raise TypeError(f"{op} {needs} the argument 'grad_output'")
        geometry = (stride, padding, dilation, groups)
        if is_gradient:
            return cls._gradient(op, input, weight, grad_output, geometry)
        (x, w, b), _ = as_operands(op, None, input=input, weight=weight, bias=bias)
        b_shape = None if b is None else b.shape
        if op in _FORWARD:
            problem = ConvProblem.from_shapes(x.shape, w.shape, b_shape, *geometry, spatial_ndim=int(op[4]))
        else:
            geometry = (stride, padding, output_padding, groups, dilation)
            problem = ConvProblem.transposed_from_shapes(x.shape, w.shape, b_shape, *geometry, spatial_ndim=int(op[-2]))
        x = x if problem.batched else x[np.newaxis]
        shape = (problem.N, problem.C_out, *problem.output_size)
        kind = "forward" if op in _FORWARD else "transposed"
        name = padding if isinstance(padding, str) else None
        return cls._from_problem(op, kind, x, w, b, problem, shape, problem.output_shape, padding_name=name)

    @classmethod
    def _gradient(cls, op, input, weight, grad_output, geometry):
        n = int(op[4])
        if op.endswith("_bias"):
            (g,), _ = as_operands(op, None, grad_output=grad_output)
            if g.ndim != n + 2:
                raise ValueError(f"Expected {n + 2}-dimensional grad_output for {op}, but got shape {g.shape}")
            N, K, *size = g.shape
            ones = np.ones((N, 1, *size), g.dtype)
            return cls(
                op, "weight", ones, g, None, (1,) * n, ((0, 0),) * n, (1,) * n, 1, (K, 1, *(1,) * n), (K,)
            )  # fmt: skip
        if op.endswith("_input"):
            (w, g), _ = as_operands(op, None, weight=weight, grad_output=grad_output)
            shapes = (_shape_of(input), w.shape, g.shape)
        else:
            (x, g), _ = as_operands(op, None, input=input, grad_output=grad_output)
            shapes = (x.shape, _shape_of(weight), g.shape)
        problem = ConvProblem.from_gradient_shapes(op, *shapes, *geometry, spatial_ndim=n)
        if op.endswith("_input"):
            return cls._from_problem(op, "transposed", g, w, None, problem, problem.input_shape, problem.input_shape)
        return cls._from_problem(op, "weight", x, g, None, problem, problem.weight_shape, problem.weight_shape)

    @classmethod
    def _from_problem(cls, op, kind, x, w, bias, problem, shape, result_shape, padding_name=None):
        return made(
            cls,
            op=op,
            kind=kind,
            x=x,
            w=w,
            bias=bias,
            stride=problem.stride,
            padding=problem.padding,
            dilation=problem.dilation,
            groups=problem.groups,
            shape=shape,
            result_shape=result_shape,
            problem=problem,
            output_padding=problem.output_padding if problem.transposed else (),
            padding_name=padding_name,
        )

    @property
    def spatial_ndim(self) -> int:
        """Number of spatial axes: 1, 2 or 3."""
        return len(self.stride)

    @property
    def dtype(self) -> np.dtype:
        """The operands' dtype."""
        return self.x.dtype

    @property
    def kernel_size(self) -> tuple[int, ...]:
        """Taps along each axis."""
        return self.shape[2:] if self.kind == "weight" else self.w.shape[2:]

    @property
    def names(self) -> tuple[str, str]:
        """What x and w are called in the call."""
        if self.kind == "weight":
            return ("ones" if self.op.endswith("_bias") else "input"), "grad_output"
        return ("grad_output" if self.op.endswith("_input") else "input"), "weight"

    @property
    def batched(self) -> bool:
        """Whether the first axis of the result is a batch axis."""
        return self.kind != "weight" and (self.problem is None or self.problem.batched)

    @property
    def is_float(self) -> bool:
        """Whether the operands are floating-point numbers."""
        return kind_of(self.dtype) == "float"

    @property
    def is_complex(self) -> bool:
        """Whether the operands are complex numbers."""
        return self.dtype.kind == "c"

    @property
    def is_integer(self) -> bool:
        """Whether the operands are integers."""
        return self.dtype.kind in "iu"

    @property
    def result_dtype(self) -> np.dtype:
        """The dtype that refconv would return."""
        if self._is_uniform:
            return self.dtype
        return result_dtype(self.op, None, x=self.x.dtype, w=self.w.dtype)

    def replace(self, **changes) -> "Operation":
        """Return another operation with some fields changed."""
        return replace(self, **changes)

    def exact(self, dtype=None, *, overflow="raise") -> np.ndarray:
        """Return the result correctly rounded, of shape `shape`.

        Parameters
        ----------
        dtype : dtype, optional
            Of the result; refconv's by default.
        overflow : {'raise', 'wrap', 'saturate'}
        """
        operands = (self.x, self.w, self.bias)
        if not self._is_uniform or dtype not in (None, self.dtype):
            operands, dtype = as_operands(self.op, dtype, **dict(zip(("x", "w", "bias"), operands, strict=True)))
        if overflow != "raise":
            kernel_options(self.op, overflow, "auto", None)  # checks it
        out = np.empty(self.shape, dtype or self.dtype)
        self.fill(out, *operands, overflow=overflow)
        return out

    @cached_property
    def _is_uniform(self) -> bool:
        """Whether the operands are floating-point numbers of one dtype, as they are unless somebody replaced them."""
        own = self.dtype
        return own == self.w.dtype and (self.bias is None or own == self.bias.dtype) and self.is_float

    def fill(self, out, x, w, bias, overflow="raise"):
        """Write the result for other operands, of the same shapes and one dtype, to an array, correctly rounded."""
        if self.kind == "forward":
            correlate(x, w, bias, out, overflow=overflow, **self._arguments)
        elif self.kind == "transposed":
            input_gradient(x, w, bias, out, overflow=overflow, **self._arguments)
        else:
            weight_gradient(x, w, out, overflow=overflow, **self._arguments)

    @cached_property
    def _arguments(self) -> dict:
        """What every kernel is told beside the arrays."""
        return {
            "stride": self.stride,
            "padding": tuple([begin for begin, _ in self.padding]),
            "dilation": self.dilation,
            "groups": self.groups,
            "algorithm": "auto",
            "threads": thread_count(None, self.op),
        }


def _shape_of(value) -> tuple[int, ...]:
    """The shape that an argument stands for: of an array, or the shape itself."""
    return tuple(value.shape) if hasattr(value, "shape") else tuple(value)
