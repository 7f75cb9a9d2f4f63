"""Strides and dilations."""

from refconv.testing.mistakes.mistake import mistake


@mistake("stride axes swapped")
def stride_swapped(operation):
    """The stride of the rows is used for the columns, and the other way round."""
    return operation.replace(stride=operation.stride[::-1])


@mistake("dilation axes swapped")
def dilation_swapped(operation):
    """The dilation of the rows is used for the columns, and the other way round."""
    return operation.replace(dilation=operation.dilation[::-1])


@mistake("dilation ignored", "Tencent/ncnn#315, tensorflow/tensorflow#27667 (depthwise)")
def dilation_ignored(operation):
    """The taps lie side by side, as if the dilation were 1."""
    return operation.replace(dilation=(1,) * operation.spatial_ndim)


@mistake("dilation off by one")
def dilation_off_by_one(operation):
    """Dilation is taken for the number of gaps, as in oneDNN: taps are one too far apart."""
    return operation.replace(dilation=tuple(d + 1 for d in operation.dilation))


@mistake("dilation ignored where there is a stride", "tensorflow/tensorflow#57128 (depthwise)")
def dilation_with_stride(operation):
    """With a stride larger than 1, the dilation is taken for 1."""
    return dilation_ignored(operation) if max(operation.stride) > 1 else None


@mistake("stride ignored")
def stride_ignored(operation):
    """The windows are neighbours, as if the stride were 1; there are as many as there should be."""
    return operation.replace(stride=(1,) * operation.spatial_ndim)


@mistake("first stride used for all axes")
def first_stride(operation):
    """Only the first number of the stride is read."""
    return operation.replace(stride=operation.stride[:1] * operation.spatial_ndim)


@mistake("first dilation used for all axes")
def first_dilation(operation):
    """Only the first number of the dilation is read."""
    return operation.replace(dilation=operation.dilation[:1] * operation.spatial_ndim)


@mistake("stride ignored by 1x1 kernels", "pytorch/pytorch#105941")
def stride_of_1x1(operation):
    """A 1x1 kernel is treated as a matrix product, and its stride is forgotten."""
    return stride_ignored(operation) if set(operation.kernel_size) == {1} else None


@mistake("stride and dilation exchanged")
def stride_and_dilation(operation):
    """The stride is used as the dilation, and the other way round."""
    return operation.replace(stride=operation.dilation, dilation=operation.stride)


@mistake("stride taken for the kernel's size")
def stride_of_pooling(operation):
    """Windows are as far apart as they are large, as in pooling."""
    return operation.replace(stride=operation.kernel_size)
