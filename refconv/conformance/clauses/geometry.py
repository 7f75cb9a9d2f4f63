"""Clauses about where windows lie: stride, dilation, padding and its names, output_padding."""

from refconv.conformance import judges
from refconv.conformance.clauses.calls import deep_in_padding, output_padded, same_by_the_names_of_others
from refconv.conformance.clauses.clause import FORWARD, cases_from, cases_of, clause


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


@clause(
    "Stride and dilation go together",
    cases_of("kernel", "stride", "dilation"),
    needs=("stride", "dilation", "strided_dilation"),
    exact=True,
)
def strided_dilation(target, case, _):
    """Tap r of the window of output row oh reads input row oh * stride[0] + r * dilation[0]: neither of the two
    depends on the other."""
    judges.expect_equal(target, case)


@clause("Padding adds zeros on all sides", cases_of("kernel", "padding"), needs=("padding",), exact=True)
def padding(target, case, _):
    """padding[0] rows are put above and below the image, padding[1] columns left and right of it. They count as zeros,
    which add nothing to a sum of finite numbers; what NaN and infinity meet there is said under "NaN and infinity
    reach what they should". In a transposed convolution, as many rows and columns are cut off."""
    judges.expect_equal(target, case)


@clause(
    "Padding may differ from side to side",
    cases_of("kernel", "stride", always=("asymmetric_padding",)),
    needs=("padding", "asymmetric_padding"),
    exact=True,
)
def uneven_padding(target, case, _):
    """((top, bottom), (left, right)) rows and columns that count as zeros are put around the image."""
    judges.expect_equal(target, case)


@clause(
    "Windows may lie in the padding",
    cases_from(deep_in_padding),
    needs=("padding", "window_in_padding"),
    exact=True,
)
def deep_padding(target, case, _):
    """There is no upper limit to padding: it may be larger than the image and than the kernel, and the kernel may be
    larger than the image. Windows that lie in the padding altogether give the bias, or zero."""
    judges.expect_equal(target, case)


@clause(
    "'same' and 'valid' name paddings",
    cases_of("kernel", "stride", "dilation", always=("named_padding",)),
    kinds=FORWARD,
    needs=("named_padding",),
    spelling=("torch",),
    exact=True,
)
def named_padding(target, case, _):
    """'valid' is no padding. 'same' is dilation * (k - 1) zeros along each axis, so that the result is as large as the
    image; if the number is odd, the extra zero goes to the end (below and right). 'same' is defined for stride 1
    only."""
    judges.expect_equal(target, case)


@clause(
    "SAME has as many windows as strides",
    cases_from(same_by_the_names_of_others),
    kinds=FORWARD,
    needs=("named_padding",),
    spelling=("onnx", "tensorflow"),
    exact=True,
)
def same_with_strides(target, case, _):
    """Where padding is passed as in onnx or TensorFlow: SAME gives ceil(H / stride) rows, by adding max((ceil(H /
    stride) - 1) * stride + dilation * (kH - 1) + 1 - H, 0) zeros, half of them at either end. If the number is odd, the
    extra zero goes to the end for SAME and SAME_UPPER, to the beginning for SAME_LOWER."""
    judges.expect_equal(target, case)


@clause(
    "output_padding adds rows at the end",
    cases_from(output_padded),
    kinds=("transposed",),
    needs=("stride", "output_padding"),
    exact=True,
)
def output_padding(target, case, _):
    """A transposed convolution has output_padding[0] more rows and output_padding[1] more columns at the end, with the
    sums that belong there: products that the padding would have cut off are not lost, and the bias is added. It picks
    one of the sizes that are the same to a convolution with that stride."""
    judges.expect_equal(target, case)
