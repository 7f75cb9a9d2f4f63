"""One frozen description of a convolution: sizes, strides, padding. The rest of the package is handed one of these.

One class describes forward and transposed convolutions over one, two or three spatial axes. It brings together what
has a file of its own: arguments are read in `refconv.arguments` and checked in `refconv.checks`, `gradient_checks` and
`limits`; sizes come from `refconv.geometry`, texts from `refconv.descriptor` and `refconv.report`.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from functools import cached_property, lru_cache

from refconv import arguments, descriptor, geometry
from refconv.checks import Call, check
from refconv.gradient_checks import check_gradient
from refconv.limits import check_limits
from refconv.report import html_report, report

__all__ = ["ConvProblem"]


@dataclass(frozen=True, kw_only=True)
class ConvProblem:
    """A convolution (cross-correlation; the kernel is not flipped) by its sizes alone, without data or dtype.

    Build one with a class method, which checks; the constructor itself does not.

    Parameters
    ----------
    N, C_in, C_out, groups : int
        Batch size, channels in and out, groups.
    input_size, kernel_size : tuple of int
        Per spatial axis.
    stride, dilation, output_padding : tuple of int
        Per spatial axis; output_padding is 0 unless transposed.
    padding : tuple of (int, int)
        Per spatial axis the zeros before and after the input; if transposed, what is cropped from the output.
    bias : bool
        Whether there is a bias.
    batched : bool
        Whether input and output have a batch axis; if not, N is 1.
    transposed : bool, default False

    Examples
    --------
    >>> problem = ConvProblem.from_shapes((1, 3, 28, 28), (16, 3, 5, 5), (16,), padding=1)
    >>> problem.output_shape
    (1, 16, 26, 26)
    """

    N: int
    C_in: int
    C_out: int
    groups: int
    input_size: tuple[int, ...]
    kernel_size: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]
    dilation: tuple[int, ...]
    output_padding: tuple[int, ...]
    bias: bool
    batched: bool
    transposed: bool = False

    @classmethod
    def from_shapes(
        cls,
        input_shape,
        weight_shape,
        bias_shape=None,
        stride=1,
        padding=0,
        dilation=1,
        groups=1,
        *,
        spatial_ndim=2,
    ) -> ConvProblem:
        """Check the call ``conv{n}d(input, weight, bias, stride, padding, dilation, groups)`` and describe it.

        Parameters
        ----------
        input_shape : tuple of int, (N, C_in, H, W) or (C_in, H, W)
            For one spatial axis (N, C_in, W), for three (N, C_in, D, H, W); the other shapes likewise.
        weight_shape : tuple of int, (C_out, C_in / groups, kH, kW)
        bias_shape : tuple of int, (C_out,), optional
        stride, dilation : int or tuple of int, default 1
        padding : int, tuple of int, tuple of (begin, end) pairs, 'same' or 'valid', default 0
        groups : int, default 1
        spatial_ndim : {2, 1, 3}

        Returns
        -------
        ConvProblem

        Raises
        ------
        TypeError
            ``conv2d(): argument 'stride' must be an int or a tuple of 2 ints, not ...``
        ConvError
            ``Given groups=1, weight of size [16, 3, 5, 5], expected input[1, 1, 28, 28] to have 3 channels, ...`` and
            torch's other texts: `refconv.checks` has them in order, and `refconv.limits` those for huge sizes.

        Examples
        --------
        >>> ConvProblem.from_shapes((3, 28, 28), (16, 3, 5, 5), stride=2, padding=2).output_shape
        (16, 14, 14)
        """
        name = f"conv{spatial_ndim}d"
        call = Call(
            spatial_ndim,
            False,
            arguments.shape_tuple(name, "input_shape", input_shape),
            arguments.shape_tuple(name, "weight_shape", weight_shape),
            None if bias_shape is None else arguments.shape_tuple(name, "bias_shape", bias_shape),
            arguments.int_tuple(name, "stride", stride, spatial_ndim),
            arguments.padding_argument(name, padding, spatial_ndim, strings=True),
            (0,) * spatial_ndim,
            arguments.int_tuple(name, "dilation", dilation, spatial_ndim),
            arguments.integer(name, "groups", groups),
        )
        return _problem(cls, call)

    @classmethod
    def transposed_from_shapes(
        cls,
        input_shape,
        weight_shape,
        bias_shape=None,
        stride=1,
        padding=0,
        output_padding=0,
        groups=1,
        dilation=1,
        *,
        spatial_ndim=2,
    ) -> ConvProblem:
        """Check ``conv_transpose{n}d(input, weight, bias, stride, padding, output_padding, groups, dilation)``.

        Parameters
        ----------
        input_shape : tuple of int, (N, C_in, H, W) or (C_in, H, W)
        weight_shape : tuple of int, (C_in, C_out / groups, kH, kW)
        bias_shape : tuple of int, (C_out,), optional
        stride, dilation : int or tuple of int, default 1
        padding : int, tuple of int or tuple of (begin, end) pairs, default 0
            What is cropped from the ends of the output.
        output_padding : int or tuple of int, default 0
            What is added to the end of the output, with no effect on the rest.
        groups : int, default 1
        spatial_ndim : {2, 1, 3}

        Returns
        -------
        ConvProblem

        Raises
        ------
        TypeError
            ``conv_transpose2d(): argument 'stride' must be an int or a tuple of 2 ints, not ...``
        ConvError
            ``output padding must be smaller than either stride or dilation, but got ...`` and torch's other texts.

        Examples
        --------
        >>> ConvProblem.transposed_from_shapes((1, 16, 14, 14), (16, 3, 3, 3), stride=2, padding=1).output_shape
        (1, 3, 27, 27)
        """
        name = f"conv_transpose{spatial_ndim}d"
        call = Call(
            spatial_ndim,
            True,
            arguments.shape_tuple(name, "input_shape", input_shape),
            arguments.shape_tuple(name, "weight_shape", weight_shape),
            None if bias_shape is None else arguments.shape_tuple(name, "bias_shape", bias_shape),
            arguments.int_tuple(name, "stride", stride, spatial_ndim),
            arguments.padding_argument(name, padding, spatial_ndim, strings=False),
            arguments.int_tuple(name, "output_padding", output_padding, spatial_ndim),
            arguments.int_tuple(name, "dilation", dilation, spatial_ndim),
            arguments.integer(name, "groups", groups),
        )
        return _problem(cls, call)

    @classmethod
    def from_gradient_shapes(
        cls,
        name,
        input_size,
        weight_size,
        grad_output_shape,
        stride=1,
        padding=0,
        dilation=1,
        groups=1,
        *,
        spatial_ndim=2,
    ) -> ConvProblem:
        """Check a call of ``conv{n}d_input`` or ``conv{n}d_weight``, and describe the forward convolution behind it.

        Parameters
        ----------
        name : str
            The called function, for the messages.
        input_size, weight_size, grad_output_shape : tuple of int
        stride, padding, dilation, groups
            As for `from_shapes`, but always batched, and no strings.

        Returns
        -------
        ConvProblem

        Raises
        ------
        TypeError, ConvError
            As for `from_shapes`; `refconv.gradient_checks` has the order.

        Examples
        --------
        >>> ConvProblem.from_gradient_shapes("conv2d_input", (1, 3, 9, 7), (16, 3, 3, 3), (1, 16, 7, 5)).macs
        15120
        """
        call = Call(
            spatial_ndim,
            False,
            arguments.shape_tuple(name, "input_size", input_size),
            arguments.shape_tuple(name, "weight_size", weight_size),
            None,
            arguments.int_tuple(name, "stride", stride, spatial_ndim),
            arguments.padding_argument(name, padding, spatial_ndim, strings=False),
            (0,),
            arguments.int_tuple(name, "dilation", dilation, spatial_ndim),
            arguments.integer(name, "groups", groups),
            grad_output_shape,
        )
        return _problem(cls, call)

    @classmethod
    def parse(cls, text: str) -> ConvProblem:
        """Return the problem that a one-line description stands for, and check it: the inverse of `descriptor`.

        Parameters
        ----------
        text : str
            Keys and numbers in any order; `refconv.descriptor` has the grammar. Stride, padding, dilation and groups
            may be left out.

        Returns
        -------
        ConvProblem

        Raises
        ------
        ConvError
            ``cannot read 'n1ic3' as a convolution: expected the key ...``, or as for `from_shapes`.

        Examples
        --------
        >>> ConvProblem.parse("n1ic3ih28iw28oc16kh5kw5ph1pw1").output_shape
        (1, 16, 26, 26)
        """
        return _problem(cls, descriptor.parse(text))

    @property
    def descriptor(self) -> str:
        """The problem as one line of text, which `parse` reads back.

        Examples
        --------
        >>> ConvProblem.from_shapes((2, 3, 28, 28), (16, 3, 5, 5), padding=1).descriptor
        'g1n2ic3ih28iw28oc16kh5kw5sh1sw1ph1pw1dh1dw1'
        """
        return descriptor.describe(self)

    def __str__(self) -> str:
        return report(self)

    def _repr_html_(self) -> str:
        return html_report(self)

    @property
    def spatial_ndim(self) -> int:
        """Number of spatial axes: 1, 2 or 3."""
        return len(self.kernel_size)

    @property
    def name(self) -> str:
        """Name of the function that computes this: 'conv2d', 'conv_transpose2d', ..."""
        return f"conv{'_transpose' * self.transposed}{self.spatial_ndim}d"

    @cached_property
    def output_size(self) -> tuple[int, ...]:
        """Size of the output per spatial axis, by `refconv.geometry`."""
        axes = (self.input_size, self.kernel_size, self.stride, self.padding, self.dilation)
        if not self.transposed:
            return tuple(map(geometry.output_size, *axes))
        return tuple(map(geometry.transposed_output_size, *axes, self.output_padding))

    @cached_property
    def kernel_arguments(self) -> dict:
        """What a kernel is told beside the arrays; the padding at the end is in the output's size."""
        padding = tuple(begin for begin, _ in self.padding)
        return {"stride": self.stride, "padding": padding, "dilation": self.dilation, "groups": self.groups}

    @property
    def input_shape(self) -> tuple[int, ...]:
        """(N, C_in, H, W), without N if not batched."""
        return (self.N, self.C_in, *self.input_size)[not self.batched :]

    @property
    def weight_shape(self) -> tuple[int, ...]:
        """(C_out, C_in / groups, kH, kW), or if transposed (C_in, C_out / groups, kH, kW)."""
        first, second = (self.C_in, self.C_out) if self.transposed else (self.C_out, self.C_in)
        return (first, second // self.groups, *self.kernel_size)

    @property
    def bias_shape(self) -> tuple[int, ...] | None:
        """(C_out,), or None without a bias."""
        return (self.C_out,) if self.bias else None

    @cached_property
    def output_shape(self) -> tuple[int, ...]:
        """(N, C_out, oH, oW), without N if not batched."""
        return (self.N, self.C_out, *self.output_size)[not self.batched :]

    @property
    def terms(self) -> int:
        """The most products that any element of the output is a sum of.

        Each channel of the group gives kH * kW. If transposed, only taps a multiple of the stride apart reach the same
        element: along each axis every (stride / gcd(stride, dilation))-th tap, counting up.
        """
        taps = self.kernel_size
        if self.transposed:
            steps = (s // math.gcd(s, d) for s, d in zip(self.stride, self.dilation, strict=True))
            taps = (-(-k // step) for k, step in zip(self.kernel_size, steps, strict=True))
        return self.C_in // self.groups * math.prod(taps)

    @property
    def macs(self) -> int:
        """Multiply-adds of the whole problem, by the usual count: products with zeros in the padding count too."""
        windows = self.input_size if self.transposed else self.output_size
        return math.prod((self.N, *windows, *self.weight_shape))

    def memory(self, itemsize: int) -> int:
        """Return the bytes of input, weight, bias and output together, at itemsize bytes per element."""
        shapes = [self.input_shape, self.weight_shape, self.output_shape, (self.C_out * self.bias,)]
        return itemsize * sum(map(math.prod, shapes))

    def taps(self, *position: int) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
        """Return which element of the kernel meets which element of the input in the sum at an output position.

        Parameters
        ----------
        *position : int
            oh, ow: one index per spatial axis of the output.

        Returns
        -------
        list of ((kh, kw), (ih, iw))
            In the order of the kernel's elements in memory, without the taps that fall into the padding.

        Raises
        ------
        IndexError
            ``output position (3, 0) is outside of the output size (3, 3)``

        Examples
        --------
        >>> problem = ConvProblem.from_shapes((1, 1, 3, 3), (1, 1, 2, 2), padding=1)
        >>> problem.taps(0, 1)  # at the upper edge only the lower row of the kernel is inside the input
        [((1, 0), (0, 0)), ((1, 1), (0, 1))]
        """
        size = self.output_size
        if len(position) != len(size) or any(not 0 <= o < end for o, end in zip(position, size, strict=True)):
            raise IndexError(f"output position {position} is outside of the output size {size}")
        taps = geometry.transposed_taps if self.transposed else geometry.taps
        axes = zip(position, self.input_size, self.kernel_size, self.stride, self.padding, self.dilation, strict=True)
        combinations = itertools.product(*(taps(*axis) for axis in axes))
        return [tuple(zip(*combination, strict=True)) for combination in combinations]


@lru_cache(maxsize=4096)
def _problem(cls: type[ConvProblem], call: Call) -> ConvProblem:
    """Check a call and describe it. Calls that pass are remembered; one that fails is checked anew each time."""
    resolved = check(call) if call.grad_output_shape is None else check_gradient(call)
    N, C_in, *input_size = call.batched_shape
    first, second, *kernel_size = call.weight_shape
    problem = cls(
        N=N,
        C_in=C_in,
        C_out=second * call.groups if call.transposed else first,
        groups=call.groups,
        input_size=tuple(input_size),
        kernel_size=tuple(kernel_size),
        **resolved._asdict(),
        bias=call.bias_shape is not None,
        # The weight has the axes that count: torch's conv1d_input takes those of a conv2d as well.
        batched=len(call.input_shape) == len(call.weight_shape),
        transposed=call.transposed,
    )
    check_limits(problem)
    return problem
