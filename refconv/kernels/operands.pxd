"""From Python's arrays to what the fast kernels work on: tensors of five axes, and the sizes along three of them."""
from refconv.kernels.layout cimport Axis, set_axis
from refconv.kernels.workspace cimport Tensor


cdef inline void set_tensor(Tensor* tensor, const Py_buffer* buffer) noexcept:
    """Data and strides; the strides of axes that are missing (of size 1) do not matter."""
    cdef int i, missing = 5 - buffer.ndim
    tensor.data = <char*>buffer.buf
    for i in range(buffer.ndim):
        tensor.strides[i if i < 2 else i + missing] = buffer.strides[i]


cdef inline int set_axes(
    Axis* d, Axis* h, Axis* w, const Py_buffer* image, const Py_buffer* kernel, const Py_buffer* windows,
    tuple stride, tuple padding, tuple dilation,
) except -1:
    """The spatial axes, by the shapes of what is summed over and of what there is a sum for.

    A 2-D problem is a 3-D problem of depth 1.
    """
    cdef Axis* axes[3]
    cdef int i, missing = 5 - image.ndim
    axes[0], axes[1], axes[2] = d, h, w
    for i in range(missing):
        set_axis(axes[i], 1, 1, 1, 0, 1, 1)
    for i in range(missing, 3):
        set_axis(axes[i], image.shape[2 + i - missing], kernel.shape[2 + i - missing], stride[i - missing],
                 padding[i - missing], dilation[i - missing], windows.shape[2 + i - missing])
    return 0
