"""One call of a convolution, as it is written: shapes, arguments as they are spelt, and numbers to go with them."""

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from refconv.problem import ConvProblem

__all__ = ["ConvCall", "ConvCase", "Operands"]


@dataclass(frozen=True)
class ConvCall:
    """The call ``conv2d(input, weight, bias, stride, padding, dilation, groups)`` by shapes.

    Unlike a `ConvProblem`, it keeps how the arguments were spelt (``2`` or ``(2, 2)``, ``'same'`` or the numbers), and
    it may be wrong.
    """

    input_shape: tuple[int, ...]
    weight_shape: tuple[int, ...]
    bias_shape: tuple[int, ...] | None = None
    stride: int | tuple[int, ...] = 1
    padding: int | tuple | str = 0
    dilation: int | tuple[int, ...] = 1
    groups: int = 1

    @property
    def arguments(self) -> tuple:
        """What follows the operands: (stride, padding, dilation, groups)."""
        return self.stride, self.padding, self.dilation, self.groups

    @property
    def problem(self) -> ConvProblem:
        """The convolution that is asked for; a ConvError if the call is wrong."""
        return ConvProblem.from_shapes(self.input_shape, self.weight_shape, self.bias_shape, *self.arguments)

    @property
    def pads(self) -> bool:
        """Whether any zeros are put around the input."""
        return any(sum(pair) for pair in self.problem.padding)


class Operands(NamedTuple):
    """The arrays of a call."""

    input: np.ndarray
    weight: np.ndarray
    bias: np.ndarray | None

    @property
    def size(self) -> int:
        """Elements of the three together."""
        return sum(array.size for array in self if array is not None)


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
    operands: Operands
    recipe: str
    fault: str | None = None
    layouts: dict[str, str] = field(default_factory=dict)
