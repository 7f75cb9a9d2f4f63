"""Clauses in which one feature varies at a time, so that the names of those that fail say what is wrong."""

from refconv.conformance import judges
from refconv.conformance.clauses.calls import around_vectors, thin, without_images
from refconv.conformance.clauses.clause import CONVOLUTIONS, calls_of, cases_from, cases_of, clause


@clause("The result has the right shape", cases_from(calls_of, {"small_integers"}))
def shape(target, case, _):
    """The result has shape (N, C_out, oH, oW), or (C_out, oH, oW) for an input without a batch axis, where along each
    axis oH = floor((H + pads - dilation * (kH - 1) - 1) / stride) + 1; for a transposed convolution oH = (H - 1) *
    stride - pads + dilation * (kH - 1) + output_padding + 1. A gradient has the shape of what it is the gradient of."""
    judges.expect_shape(target, case)


@clause("The result has the right dtype", cases_of("kernel", "channels", "bias", "batch"), weight=0.5)
def dtype(target, case, _):
    """The dtype of the result is that of the operands, or the one that the profile claims. (Integers of 8 and 16 bits
    and floating-point numbers of 8 bits give 32 bits, those of 32 bits give 64 if nothing is claimed.)"""
    judges.expect_dtype(target, case)


@clause("An impulse gives the kernel", cases_of("kernel", recipes=frozenset({"one_hot"})), exact=True)
def impulse(target, case, _):
    """An image of zeros with a single 1 in it gives the kernel, turned round, at that place; a kernel of zeros with a
    single 1 gives the image, moved by that tap's place. The transposed convolution of an impulse is the kernel as it
    is."""
    judges.expect_equal(target, case)


@clause("The kernel is not flipped", cases_of("kernel"), exact=True)
def kernel(target, case, _):
    """out[oh, ow] = sum over r, s of input[oh + r, ow + s] * weight[r, s]: the kernel lies over the image as it is
    stored. (This is cross-correlation; a mathematical convolution would turn the kernel by 180 degrees.) The transposed
    convolution and the gradients pair the same numbers: input[oh + r, ow + s], weight[r, s] and out[oh, ow]."""
    judges.expect_equal(target, case)


@clause("Axes of size one are axes", cases_from(thin), exact=True)
def size_one(target, case, _):
    """Images one pixel high, kernels one tap wide, a single channel, a single result: no axis is dropped or taken for
    another one because its size is 1."""
    judges.expect_equal(target, case)


@clause("Every channel counts, once", cases_of("channels"), exact=True)
def channels(target, case, _):
    """Output channel k is the sum over all input channels c of input[c] * weight[k, c], for any number of channels."""
    judges.expect_equal(target, case)


@clause("Sizes around a vector's length", cases_from(around_vectors), exact=True)
def vector_widths(target, case, _):
    """Numbers of channels and columns that are just below, at and just above 4, 8, 16 and 32 are like any other: what
    does not fill a SIMD register or a block of channels is neither lost nor counted twice."""
    judges.expect_equal(target, case)


@clause(
    "A 1x1 kernel is a matrix product",
    cases_of("channels", "batch", "stride", "padding", "bias"),
    exact=True,
)
def pointwise(target, case, _):
    """With a kernel of a single tap, out[:, oh, ow] = weight @ input[:, oh * stride - padding, ow * stride - padding],
    and the bias alone where that lies in the padding. Strides and padding count here, too."""
    judges.expect_equal(target, case)


@clause("Images of a batch are independent", cases_of("kernel", "channels", "batch", "bias"), exact=True)
def batch(target, case, _):
    """Every image of a batch is convolved by itself, with the same weights and the same bias. The gradients by weight
    and bias are sums over all images."""
    judges.expect_equal(target, case)


@clause(
    "A batch may be empty",
    cases_from(without_images, {"small_integers"}),
    needs=("empty_batch",),
    exact=True,
    weight=0.5,
    about_nothing=True,
)
def empty_batch(target, case, _):
    """A batch of no images gives a result with no images; the gradients by weight and bias are zero."""
    judges.expect_equal(target, case)


@clause(
    "An input needs no batch axis",
    cases_of("kernel", "channels", "bias", always=("unbatched",)),
    kinds=CONVOLUTIONS,
    needs=("unbatched",),
    exact=True,
)
def unbatched(target, case, _):
    """An input of shape (C_in, H, W) is one image, and the result has shape (C_out, oH, oW)."""
    judges.expect_equal(target, case)


@clause(
    "The bias is added once, per channel",
    cases_of("channels", "batch", always=("bias",)),
    kinds=CONVOLUTIONS,
    needs=("bias",),
    exact=True,
)
def bias(target, case, _):
    """bias[k] is added to every element of output channel k, once."""
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
