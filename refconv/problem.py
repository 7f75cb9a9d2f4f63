"""One frozen description of a convolution: sizes, strides, padding. Everything else in the package is handed one of these.

The same class describes forward and transposed convolutions over one, two or three spatial axes.
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from itertools import product

from refconv import arguments, geometry
from refconv.checks import Call, check

__all__ = ["ConvProblem"]


@dataclass(frozen=True, kw_only=True, slots=True)
class ConvProblem:
    """A convolution (cross-correlation, the kernel is not flipped) by its sizes alone: no data, no dtype.

    Build one with `from_shapes` or `transposed_from_shapes`, which check; the constructor trusts its arguments.

    Parameters
    ----------
    N, C_in, C_out, groups : int
        Batch size, channels in and out, groups.
    input_size, kernel_size : tuple of int
        Per spatial axis.
    stride, dilation, output_padding : tuple of int
        Per spatial axis. output_padding is zero unless transposed.
    padding : tuple of (int, int)
        Per spatial axis, how many zeros before and after.
    bias : bool
        Whether a bias is added.
    batched : bool
        Whether input and output have a batch axis; if not, N is 1.
    transposed : bool
        Whether this is a transposed convolution.

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
    ) -> "ConvProblem":
        """Check the call ``conv{n}d(input, weight, bias, stride, padding, dilation, groups)`` and describe it.

        Parameters
        ----------
        input_shape : tuple of int, (N, C_in, H, W) or (C_in, H, W)
            For 1 or 3 spatial axes (N, C_in, W) or (N, C_in, D, H, W).
        weight_shape : tuple of int, (C_out, C_in / groups, kH, kW)
        bias_shape : tuple of int, (C_out,), optional
        stride, dilation : int or tuple of int, optional
        padding : int, tuple of int, tuple of (begin, end) pairs, 'same' or 'valid', optional
        groups : int, optional
        spatial_ndim : int, optional
            1, 2 or 3.

        Returns
        -------
        ConvProblem

        Raises
        ------
        TypeError
            ``conv2d(): argument 'stride' must be an int or a tuple of 2 ints, not ...``
        ConvError
            Torch's texts, such as ``Given groups=1, weight of size [16, 3, 5, 5], expected input[1, 1, 28, 28] to have ...``;
            see `refconv.checks` for all of them and their order.

        Examples
        --------
        >>> ConvProblem.from_shapes((3, 28, 28), (16, 3, 5, 5), stride=2, padding=2).output_shape
        (16, 14, 14)
        """
        name = f"conv{spatial_ndim}d"
        return _describe(
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
    ) -> "ConvProblem":
        """Check the call ``conv_transpose{n}d(input, weight, bias, stride, padding, output_padding, groups, dilation)``.

        Parameters
        ----------
        input_shape : tuple of int, (N, C_in, H, W) or (C_in, H, W)
        weight_shape : tuple of int, (C_in, C_out / groups, kH, kW)
        bias_shape : tuple of int, (C_out,), optional
        stride, output_padding, dilation : int or tuple of int, optional
        padding : int, tuple of int or tuple of (begin, end) pairs, optional
            How much is *cropped* from each end of the output.
        groups : int, optional
        spatial_ndim : int, optional
            1, 2 or 3.

        Returns
        -------
        ConvProblem

        Raises
        ------
        TypeError
            ``conv_transpose2d(): argument 'stride' must be an int or a tuple of 2 ints, not ...``
        ConvError
            Torch's texts, such as ``output padding must be smaller than either stride or dilation, ...``.

        Examples
        --------
        >>> ConvProblem.transposed_from_shapes((1, 16, 14, 14), (16, 3, 3, 3), stride=2, padding=1).output_shape
        (1, 3, 27, 27)
        """
        name = f"conv_transpose{spatial_ndim}d"
        return _describe(
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

    @property
    def spatial_ndim(self) -> int:
        """Number of spatial axes: 1, 2 or 3."""
        return len(self.kernel_size)

    @property
    def name(self) -> str:
        """Name of the function: ``'conv2d'``, ``'conv_transpose2d'``, ..."""
        return f"conv{'_transpose' * self.transposed}{self.spatial_ndim}d"

    @property
    def output_size(self) -> tuple[int, ...]:
        """Size of the output per spatial axis."""
        axes = zip(self.input_size, self.kernel_size, self.stride, self.padding, self.dilation, strict=True)
        if self.transposed:
            return tuple(
                geometry.transposed_output_size(*axis, p) for axis, p in zip(axes, self.output_padding, strict=True)
            )
        return tuple(geometry.output_size(*axis) for axis in axes)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """(N, C_in, H, W), without N if not batched."""
        return (*((self.N,) * self.batched), self.C_in, *self.input_size)

    @property
    def weight_shape(self) -> tuple[int, ...]:
        """(C_out, C_in / groups, kH, kW), or if transposed (C_in, C_out / groups, kH, kW)."""
        first, second = (self.C_in, self.C_out) if self.transposed else (self.C_out, self.C_in)
        return (first, second // self.groups, *self.kernel_size)

    @property
    def bias_shape(self) -> tuple[int, ...] | None:
        """(C_out,), or None without a bias."""
        return (self.C_out,) if self.bias else None

    @property
    def output_shape(self) -> tuple[int, ...]:
        """(N, C_out, oH, oW), without N if not batched."""
        return (*((self.N,) * self.batched), self.C_out, *self.output_size)

    @property
    def terms(self) -> int:
        """The most products that any element of the output is a sum of: C_in / groups * kH * kW."""
        return self.C_in // self.groups * math.prod(self.kernel_size)

    @property
    def macs(self) -> int:
        """Multiply-adds of the whole problem by the usual count, in which products with padding zeros count too."""
        positions = math.prod(self.input_size if self.transposed else self.output_size)
        return self.N * positions * self.C_in * self.C_out // self.groups * math.prod(self.kernel_size)

    def memory(self, itemsize: int) -> int:
        """Bytes of input, weight, bias and output together, at itemsize bytes per element."""
        shapes = (self.input_shape, self.weight_shape, self.bias_shape or (0,), self.output_shape)
        return itemsize * sum(math.prod(shape) for shape in shapes)

    def taps(self, *position: int) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
        """Return which kernel element meets which input element in the sum for one output position.

        Parameters
        ----------
        *position : int
            Index into the output, one per spatial axis: oh, ow.

        Returns
        -------
        list of ((kh, kw), (ih, iw))
            In the order of the kernel's elements in memory. Taps that fall into the padding are left out.

        Raises
        ------
        IndexError
            ``output position (3, 0) is outside the output of size (3, 3)``

        Examples
        --------
        >>> problem = ConvProblem.from_shapes((1, 1, 3, 3), (1, 1, 2, 2), padding=1)
        >>> problem.taps(0, 1)  # in the corner's neighbour only the kernel's lower row is inside
        [((1, 0), (0, 0)), ((1, 1), (0, 1))]
        """
        output_size = self.output_size
        if len(position) != self.spatial_ndim or any(
            not 0 <= o < size for o, size in zip(position, output_size, strict=True)
        ):
            raise IndexError(f"output position {position} is outside the output of size {output_size}")
        along = geometry.transposed_taps if self.transposed else geometry.taps
        axes = zip(position, self.input_size, self.kernel_size, self.stride, self.padding, self.dilation, strict=True)
        per_axis = [along(*axis) for axis in axes]
        return [tuple(zip(*combination, strict=True)) for combination in product(*per_axis)]


@lru_cache(maxsize=4096)
def _describe(*call) -> ConvProblem:
    """Check a call and build its description, once for every distinct call; a call that fails is checked again each time."""
    call = Call(*call)
    resolved = check(call)
    N, C_in, *input_size = resolved.input_shape
    first, second, *kernel_size = call.weight_shape
    return ConvProblem(
        N=N,
        C_in=C_in,
        C_out=second * call.groups if call.transposed else first,
        groups=call.groups,
        input_size=tuple(input_size),
        kernel_size=tuple(kernel_size),
        stride=resolved.stride,
        padding=resolved.padding,
        dilation=resolved.dilation,
        output_padding=resolved.output_padding,
        bias=call.bias_shape is not None,
        batched=len(call.input_shape) == call.spatial_ndim + 2,
        transposed=call.transposed,
    )
