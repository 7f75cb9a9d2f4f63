"""Clauses that compare a target with itself: laws that hold between several calls, without any reference.

The laws themselves are in `refconv.conformance.relations`.
"""

from refconv.conformance import relations
from refconv.conformance.clauses.clause import ALL, cases_of, clause
from refconv.conformance.judges import expect_related

_NOT_BY_BIAS = ("forward", "transposed", "by input", "by weight")
_ADJOINT = ("transposed", "by input", "by weight")


# So small that a law's own sums, those of refconv's results in float64 among them, are exact too.
_MOST_BITS = 20


def law(title: str, *vary: str, kinds=_NOT_BY_BIAS, **about):
    """Register a clause for a law, in calls in which some features vary."""
    cases = cases_of(*vary, recipes=frozenset({"small_integers"}), most_bits=_MOST_BITS)
    return clause(title, cases, kinds=kinds, exact=True, **about)


@law("Linear in the input", "kernel", "channels", "stride", "padding", "batch", kinds=ALL)
def linear_in_input(target, case, _):
    """conv(a + b, w) = conv(a, w) + conv(b, w) and conv(-a, w) = -conv(a, w), without bias. For the gradients it is
    grad_output that they are linear in, for that by the weight the input."""
    expect_related(target, case, relations.additive_in_input)


@law("Linear in the weight", "kernel", "channels", "stride", "padding", "batch")
def linear_in_weight(target, case, _):
    """conv(x, v + w) = conv(x, v) + conv(x, w) and conv(x, -w) = -conv(x, w), without bias. The gradient by the weight
    is linear in grad_output."""
    expect_related(target, case, relations.additive_in_weight)


@law("A shifted image gives a shifted result", "kernel", "channels", "stride", "dilation")
def shift(target, case, _):
    """Without padding, an image without its first stride[0] rows gives the result without its first row, and the same
    for columns: every window is treated alike, wherever it lies. Zeros put before the input of a transposed convolution
    move its result by the stride."""
    expect_related(target, case, relations.shifted)


@law("A batch is its images", "kernel", "channels", "batch", "bias", kinds=ALL)
def batch_apart(target, case, _):
    """The images of a batch give the same results one by one. The gradients by weight and bias are the sums of what
    the images give one by one."""
    expect_related(target, case, relations.batch_apart)


@law("The order of the images is that of the results", "kernel", "batch", "bias", kinds=ALL)
def batch_order(target, case, _):
    """Images of a batch in another order give the same results in that order. The gradients by weight and bias do not
    depend on it."""
    expect_related(target, case, relations.batch_rolled)


@law("The order of the channels does not matter", "kernel", "channels", "bias", "stride", kinds=ALL)
def channel_order(target, case, _):
    """Input channels and the weight's in another order give the same sums; output channels in another order, with their
    kernels and biases, give the same results in that order."""
    expect_related(target, case, relations.channels_rolled)


@law("Groups are blocks of a larger weight", "kernel", "channels", "groups", "stride", needs=("groups",))
def groups_as_blocks(target, case, _):
    """A convolution in groups is one without groups, whose weight has the groups' weights as blocks on its diagonal and
    zeros elsewhere."""
    expect_related(target, case, relations.groups_as_blocks)


@law("A stride leaves out windows", "kernel", "channels", "stride", "padding", "dilation", needs=("stride",))
def stride_as_subsampling(target, case, _):
    """conv(x, w, stride=s) = conv(x, w, stride=1)[::s]. A transposed convolution with stride s is one with stride 1 of
    an input with s - 1 zeros between its numbers; so are the gradients, with zeros in grad_output."""
    expect_related(target, case, relations.stride_as_subsampling)


@law("A dilated kernel has zeros in it", "kernel", "channels", "dilation", "stride", needs=("dilation",))
def dilation_as_zeros(target, case, _):
    """A kernel with dilation d is one without, with d - 1 zeros between its taps."""
    expect_related(target, case, relations.dilation_as_zeros)


@law("Padding is zeros around the image", "kernel", "channels", "padding", "stride", needs=("padding",))
def padding_as_zeros(target, case, _):
    """conv(x, w, padding=p) is the convolution without padding of x with p zeros around it. A transposed convolution
    with padding p is the middle of that without: p rows and columns are cut off on every side."""
    expect_related(target, case, relations.padding_as_zeros)


@law(
    "Gradients are adjoint to the convolution",
    *("kernel", "channels", "batch", "stride", "padding", "dilation", "groups"),
    kinds=_ADJOINT,
)
def adjoint(target, case, _):
    """<conv_input(y, w), x> = <y, conv(x, w)> and <conv_weight(x, y), w> = <y, conv(x, w)>, inner products of all
    numbers; and <conv_transpose(x, w), y> = <x, conv(y, w)>, for the same stride, padding, dilation and groups."""
    expect_related(target, case, relations.adjoint)
