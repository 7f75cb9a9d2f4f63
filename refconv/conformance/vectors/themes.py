"""What the cases of a corpus are about: one theme after the other, each with a geometry and a kind of numbers.

Every call is derived from a forward convolution. A transposed convolution with its weight and arguments leads from its
output's shape back to its input's, and its gradients have the same shapes. So one loop nest serves all of them.
"""

from collections.abc import Callable
from dataclasses import dataclass

from refconv.conformance.vectors import numbers
from refconv.problem import ConvProblem

__all__ = ["THEMES", "Theme", "themes_for"]


@dataclass(frozen=True)
class Theme:
    """What some cases are about.

    Parameters
    ----------
    key : str
        In file names.
    text : str
        What is special about it, and whom it catches.
    vary : tuple of str
        What differs from the plainest convolution; see `geometry`.
    make : callable
        The maker of floating-point numbers, from `numbers`.
    floats_only : bool
        Whether the theme is about floating-point numbers.
    """

    key: str
    text: str
    vary: tuple[str, ...]
    make: Callable = numbers.integers
    floats_only: bool = False

    def applies(self, op: str, dtype_kind: str) -> bool:
        """Whether there are cases of this theme for a function and a kind of dtype, 'f' or 'i'."""
        if self.floats_only and dtype_kind != "f":
            return False
        if "unbatched" in self.vary and op.startswith("conv") and op.count("_") and "transpose" not in op:
            return False
        if "bias" in self.vary and len(self.vary) == 1 and op.endswith(("_input", "_weight", "_bias")):
            return False
        # The gradient by the bias has no kernel: there are no more than these for it.
        return not op.endswith("_bias") or self.floats_only or self.key in ("batch", "channels", "plain")

    def geometry(self, stream, ndim: int) -> ConvProblem:
        """Draw the forward convolution behind a case over some spatial axes."""
        return geometry(stream, ndim, frozenset(self.vary))


_ANYTHING = ("kernel", "channels", "batch", "bias", "stride", "dilation", "asymmetric", "groups")

#: In the order in which they are used.
THEMES = [
    Theme("plain", "the plainest: one image, one channel, a kernel with sides of different lengths", ()),
    Theme("kernel", "kernels of other sizes, even ones too", ("kernel",)),
    Theme("channels", "several channels on both sides", ("channels",)),
    Theme("batch", "several images", ("batch", "channels")),
    Theme("bias", "a bias for every output channel", ("bias",)),
    Theme("stride", "steps that differ from axis to axis, larger than the kernel too", ("kernel", "stride")),
    Theme("dilation", "gaps between the taps that differ from axis to axis", ("kernel", "dilation")),
    Theme("padding", "zeros on all sides, not as many along every axis", ("kernel", "padding")),
    Theme("asymmetric", "more zeros at one end than at the other", ("kernel", "asymmetric")),
    Theme("beyond", "windows that lie in the padding altogether", ("kernel", "beyond")),
    Theme("groups", "groups of channels that do not see each other", ("kernel", "channels", "groups")),
    Theme("depthwise", "as many groups as input channels", ("kernel", "depthwise")),
    Theme("pointwise", "a kernel of size one: a matrix product", ("pointwise", "channels", "batch")),
    Theme("one_position", "a kernel as large as the image: one result per channel", ("whole", "channels")),
    Theme("wide", "17 and 9 channels, no multiple of a vector's length", ("wide",)),
    Theme("unbatched", "no batch axis", ("unbatched", "channels")),
    Theme("all", "everything at once", _ANYTHING, numbers.few_integers),
    Theme("rounded", "all bits of the operands are used, and sums are rounded", _ANYTHING, numbers.rounded, True),
    Theme("long", "sums of hundreds of terms", ("long",), numbers.rounded, True),
    Theme("exponents", "terms of very different sizes", ("channels",), numbers.wide_exponents, True),
    Theme("cancelling", "sums that cancel down to the last bits", ("channels", "kernel"), numbers.cancelling, True),
    Theme("ties", "sums in the middle between two numbers, or just beside it", ("ties",), numbers.ties, True),
    Theme("subnormals", "numbers below the least normal one", ("kernel", "channels"), numbers.subnormals, True),
    Theme("underflow", "products below the least subnormal number", ("kernel", "channels"), numbers.underflowing, True),
    Theme("overflow", "sums on either side of the largest number", ("channels",), numbers.overflowing, True),
    Theme("non_finite", "a NaN and infinities in the first operand", ("kernel", "channels", "padding"),
          numbers.non_finite, True),
    Theme("zeros", "zeros of both signs", ("kernel", "padding"), numbers.signed_zeros, True),
]  # fmt: skip


def themes_for(op: str, dtype_kind: str) -> list[Theme]:
    """The themes that there are cases of for a function and a kind of dtype."""
    return [theme for theme in THEMES if theme.applies(op, dtype_kind)]


def geometry(stream, ndim, vary):
    """Draw a forward convolution that differs from the plainest one in the features named.

    A name stands for the same draws with or without the others, so that the text of a theme is all there is to it.
    """

    def per_axis(low, high):
        return tuple(stream.integer(low, high) for _ in range(ndim))

    # Three axes are shorter ones, so that no array is large.
    most = 3 if ndim == 3 else 4
    groups = 3 if "depthwise" in vary else stream.integer(2, 3) if "groups" in vary else 1
    several = "channels" in vary
    C_in = groups * (stream.integer(2, 4) if several else 1)
    C_out = groups * (stream.integer(2, 3) if several or "depthwise" in vary else 1)
    N = stream.integer(2, 3) if "batch" in vary else 1
    kernel = per_axis(1, most) if "kernel" in vary else (2, 3, 2)[:ndim]
    stride = per_axis(1, most) if "stride" in vary else (1,) * ndim
    dilation = per_axis(1, most - 1) if "dilation" in vary else (1,) * ndim
    if "wide" in vary:
        C_in, C_out = 17, 9
    if "pointwise" in vary:
        kernel = (1,) * ndim
    if "long" in vary:
        C_in, C_out, kernel = 64, 2, (3,) * ndim if ndim < 3 else (2, 3, 1)
    if "ties" in vary:
        # Three terms, along the channels or, for the gradient by the weight, along the batch.
        C_in, C_out, N, kernel = 3, 3, 3, (1,) * ndim
    span = [d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)]
    padding = [(0, 0)] * ndim
    if "padding" in vary:
        padding = [(p, p) for p in per_axis(0, 2)]
    if "asymmetric" in vary:
        padding = list(zip(per_axis(0, 2), per_axis(0, 2), strict=True))
    if "beyond" in vary:
        padding = [(size, size + 1) for size in span]
    more = (0, 2 if "long" in vary else most - 1)
    image = [max(1, size - sum(pads)) + stream.integer(*more) for size, pads in zip(span, padding, strict=True)]
    if "whole" in vary:
        image = span
    if "ties" in vary:
        image = [1] * ndim
    batch = () if "unbatched" in vary else (N,)
    bias = (C_out,) if vary & {"bias", "unbatched"} else None
    return ConvProblem.from_shapes(
        (*batch, C_in, *image),
        (C_out, C_in // groups, *kernel),
        bias,
        stride,
        tuple(padding),
        dilation,
        groups,
        spatial_ndim=ndim,
    )
