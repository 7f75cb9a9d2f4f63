"""Small convolutions of every geometry, as Hypothesis strategies, and the arrays to run them on."""

from dataclasses import dataclass

import numpy as np
from hypothesis import strategies as st
from oracle import from_bits


@dataclass(frozen=True)
class Problem:
    """Sizes and arguments of one conv2d call; channels and filters are counted per group."""

    batch: int
    groups: int
    channels: int
    filters: int
    size: tuple
    kernel: tuple
    stride: tuple
    padding: tuple
    dilation: tuple
    bias: bool

    @property
    def input_shape(self):
        return (self.batch, self.groups * self.channels, *self.size)

    @property
    def weight_shape(self):
        return (self.groups * self.filters, self.channels, *self.kernel)

    @property
    def bias_shape(self):
        return (self.groups * self.filters,)

    @property
    def arguments(self):
        return {"stride": self.stride, "padding": self.padding, "dilation": self.dilation, "groups": self.groups}

    def arrays(self, fill):
        """Input, weight and bias (or None), each from ``fill(shape)``."""
        return fill(self.input_shape), fill(self.weight_shape), fill(self.bias_shape) if self.bias else None


@st.composite
def axes(draw, symmetric=False):
    """Size, kernel, stride, padding and dilation along one axis, such that at least one window fits.

    Among them: even kernels, kernels larger than the input, strides larger than the kernel, windows that lie wholly in
    the padding, size 1, and 1x1 kernels with stride and padding.
    """
    kernel, dilation, stride = draw(st.integers(1, 4)), draw(st.integers(1, 3)), draw(st.integers(1, 4))
    begin = draw(st.integers(0, 4))
    end = begin if symmetric else draw(st.integers(0, 4))
    least = max(1, dilation * (kernel - 1) + 1 - begin - end)
    return draw(st.integers(least, least + 4)), kernel, stride, (begin, end), dilation


@st.composite
def problems(draw, symmetric=False, batches=(1, 0, 2)):
    size, kernel, stride, padding, dilation = zip(draw(axes(symmetric)), draw(axes(symmetric)), strict=True)
    return Problem(
        batch=draw(st.sampled_from(batches)),
        groups=draw(st.integers(1, 3)),
        channels=draw(st.integers(1, 3)),
        filters=draw(st.integers(1, 3)),
        size=size,
        kernel=kernel,
        stride=stride,
        padding=padding,
        dilation=dilation,
        bias=draw(st.booleans()),
    )


seeds = st.integers(0, 2**32 - 1)


def integers(seed, dtype, limit=9):
    """A fill of small integers, on which every order of summation gives the exact result."""
    rng = np.random.default_rng(seed)
    return lambda shape: rng.integers(-limit, limit, shape, endpoint=True).astype(dtype)


def any_bits(seed, fmt, rare=0.1):
    """A fill of numbers near one with a share of arbitrary encodings: subnormals, huge ones, infinities, NaNs."""
    rng = np.random.default_rng(seed)

    def fill(shape):
        exponent = rng.integers(fmt.bias - 4, fmt.bias + 4, shape, dtype=np.uint64) << np.uint64(fmt.fraction_bits)
        ordinary = exponent | rng.integers(0, 1 << fmt.fraction_bits, shape, dtype=np.uint64)
        ordinary |= rng.integers(0, 2, shape, dtype=np.uint64) << np.uint64(fmt.width - 1)
        arbitrary = rng.integers(0, (1 << fmt.width) - 1, shape, dtype=np.uint64, endpoint=True)
        return from_bits(np.where(rng.random(shape) < rare, arbitrary, ordinary), fmt, shape)

    return fill
