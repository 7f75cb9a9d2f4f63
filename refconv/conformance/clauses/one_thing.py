"""Clauses in which one feature varies at a time, so that the names of those that fail say what is wrong."""

from refconv.conformance import judges
from refconv.conformance.clauses.clause import FORWARD, calls_of, cases_of, clause
from refconv.testing.strategies import conv_cases

_CONVOLUTIONS = ("forward", "transposed")


@clause(
    "The result has the right shape and dtype",
    lambda profile, op, dtype: conv_cases(dtype, ["small_integers"], calls_of(profile, op)),
)
def shape(target, case, _):
    """The result has shape (N, C_out, oH, oW), or (C_out, oH, oW) for an input without a batch axis, where along each
    axis oH = floor((H + pads - dilation * (kH - 1) - 1) / stride) + 1; for a transposed convolution oH = (H - 1) *
    stride - pads + dilation * (kH - 1) + output_padding + 1. A gradient has the shape of what it is the gradient of.
    The dtype is that of the operands."""
    judges.expect_shape_and_dtype(target, case)


@clause("The kernel is not flipped", cases_of("kernel"), exact=True)
def kernel(target, case, _):
    """out[oh, ow] = sum over r, s of input[oh + r, ow + s] * weight[r, s]: the kernel lies over the image as it is
    stored. (This is cross-correlation; a mathematical convolution would turn the kernel by 180 degrees.) The transposed
    convolution and the gradients pair the same numbers: input[oh + r, ow + s], weight[r, s] and out[oh, ow]."""
    judges.expect_equal(target, case)


@clause("Every channel counts, once", cases_of("channels"), exact=True)
def channels(target, case, _):
    """Output channel k is the sum over all input channels c of input[c] * weight[k, c], for any number of channels:
    also those that are not a multiple of a vector's length."""
    judges.expect_equal(target, case)


@clause("Images of a batch are independent", cases_of("kernel", "channels", "batch", "empty_batch", "bias"), exact=True)
def batch(target, case, _):
    """Every image of a batch is convolved by itself, with the same weights and the same bias. A batch of no images
    gives a result with no images; the gradients by weight and bias are sums over all images, zero if there are none."""
    judges.expect_equal(target, case)


@clause(
    "An input needs no batch axis",
    cases_of("kernel", "channels", "bias", always=("unbatched",)),
    kinds=_CONVOLUTIONS,
    needs=("unbatched",),
    exact=True,
)
def unbatched(target, case, _):
    """An input of shape (C_in, H, W) is one image, and the result has shape (C_out, oH, oW)."""
    judges.expect_equal(target, case)


@clause(
    "The bias is added once, per channel",
    cases_of("channels", "batch", always=("bias",)),
    kinds=_CONVOLUTIONS,
    needs=("bias",),
    exact=True,
)
def bias(target, case, _):
    """bias[k] is added to every element of output channel k, once."""
    judges.expect_equal(target, case)


@clause("The stride is respected, per axis", cases_of("kernel", "stride"), needs=("stride",), exact=True)
def stride(target, case, _):
    """The window of output row oh begins at input row oh * stride[0], that of output column ow at column ow *
    stride[1]. An int is short for two equal numbers. Rows and columns left over at the end are not read. The stride may
    be larger than the kernel. In a transposed convolution it is the result's rows that lie stride[0] apart."""
    judges.expect_equal(target, case)


@clause("The dilation is respected, per axis", cases_of("kernel", "dilation"), needs=("dilation",), exact=True)
def dilation(target, case, _):
    """Tap r of the kernel lies r * dilation[0] rows below the window's first row, tap s lies s * dilation[1] columns to
    the right. A dilation of 1 leaves no gaps."""
    judges.expect_equal(target, case)


@clause("Padding adds zeros on all sides", cases_of("kernel", "padding"), needs=("padding",), exact=True)
def padding(target, case, _):
    """padding[0] rows of zeros are put above and below the image, padding[1] columns left and right of it. There is no
    upper limit: the kernel may be larger than the image, and windows that lie in the padding altogether give the
    bias. In a transposed convolution, as many rows and columns are cut off."""
    judges.expect_equal(target, case)


@clause(
    "'same' and 'valid' name paddings",
    cases_of("kernel", "stride", "dilation", always=("named_padding",)),
    kinds=FORWARD,
    needs=("named_padding",),
    exact=True,
)
def named_padding(target, case, _):
    """'valid' is no padding. 'same' is dilation * (k - 1) zeros along each axis, so that the result is as large as the
    image; if the number is odd, the extra zero goes to the end (below and right). 'same' is defined for stride 1
    only."""
    judges.expect_equal(target, case)


@clause(
    "Groups do not see each other",
    cases_of("kernel", "channels", "groups", "bias"),
    needs=("groups",),
    exact=True,
)
def groups(target, case, _):
    """Input and output channels are cut into `groups` equal runs, and run g of the output is made of run g of the input
    alone. groups = C_in is a depthwise convolution, with C_out / C_in kernels per channel."""
    judges.expect_equal(target, case)
