"""Hypothesis strategies for the calls of clauses about one thing that `conv_calls` does not draw often enough.

All shrink towards small shapes and default arguments.
"""

from dataclasses import replace

from hypothesis import strategies as st

from refconv import geometry
from refconv.conformance.profile import Profile
from refconv.testing.calls import ConvCall
from refconv.testing.strategies import conv_calls, related_call

__all__ = [
    "around_vectors",
    "deep_in_padding",
    "long_axes",
    "output_padded",
    "same_by_the_names_of_others",
    "thin",
    "without_images",
]

_AROUND_VECTORS = (1, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33)
_LONG = (127, 128, 257, 513, 1025)
_VERY_LONG = (4097, 32769, 65537)


def _axes(op: str) -> int:
    return ConvCall((), (), op=op).spatial_ndim


def _forward(input_shape, weight_shape, **arguments) -> ConvCall:
    return ConvCall(input_shape, weight_shape, op=f"conv{len(input_shape) - 2}d", **arguments)


def _per_axis(draw, values, n, label):
    return tuple(draw(values, label=f"{label} {axis}") for axis in range(n))


@st.composite
def around_vectors(draw, profile: Profile, op: str):
    """Channels and rows of sizes just below, at and just above the lengths of SIMD registers."""
    n = _axes(op)
    many = st.sampled_from(_AROUND_VECTORS)
    channels = draw(st.sampled_from((0, 1, 2)), label="what is long")
    C_in = draw(many, label="C_in") if channels != 1 else 1
    C_out = draw(many, label="C_out") if channels != 2 else 1
    kernel = _per_axis(draw, st.integers(1, 2), n, "kernel")
    last = draw(many, label="width") if channels else 1
    size = tuple(k + e for k, e in zip(kernel, (*(1,) * (n - 1), last), strict=True))
    depthwise = profile.supports("groups") and profile.supports("depthwise") and channels == 1
    if depthwise and draw(st.booleans(), label="depthwise"):
        return related_call(draw, _forward((1, C_out, *size), (C_out, 1, *kernel), groups=C_out), op)
    return related_call(draw, _forward((1, C_in, *size), (C_out, C_in, *kernel)), op)


@st.composite
def thin(draw, _profile, op: str):
    """Images and kernels of which some axes have size one."""
    n = _axes(op)
    flat = [draw(st.booleans(), label=f"axis {axis} of the kernel is 1") for axis in range(n)]
    kernel = tuple(1 if one else draw(st.integers(2, 4), label="kernel") for one in flat)
    room = tuple(draw(st.sampled_from((0, 0, 1, 4)), label="room") for _ in range(n))
    C_in, C_out, N = (draw(st.integers(1, 3), label=name) for name in ("C_in", "C_out", "N"))
    size = tuple(k + more for k, more in zip(kernel, room, strict=True))
    return related_call(draw, _forward((N, C_in, *size), (C_out, C_in, *kernel)), op)


@st.composite
def deep_in_padding(draw, profile: Profile, op: str):
    """Padding as large as the kernel and larger, so that windows lie in it altogether."""
    n = _axes(op)
    call = draw(conv_calls(vary={"kernel", "channels", "dilation"}, always=("bias",), max_macs=1 << 13, op=f"conv{n}d"))
    if not profile.supports("bias") or op != call.op:
        call = replace(call, bias_shape=None)
    if not profile.supports("dilation"):
        call = replace(call, dilation=1)
    p = call.problem
    extents = [geometry.extent(k, d) for k, d in zip(p.kernel_size, p.dilation, strict=True)]
    padding = tuple(extent + draw(st.integers(0, 3), label="padding") for extent in extents)
    # An image smaller than its padding, too.
    size = tuple(draw(st.sampled_from((extent, 1, 2)), label="size") for extent in extents)
    call = replace(call, input_shape=(*call.input_shape[:2], *size), padding=padding)
    if profile.supports("stride"):
        call = replace(call, stride=draw(st.integers(1, 3), label="stride"))
    return related_call(draw, call, op)


@st.composite
def without_images(draw, profile: Profile, op: str):
    """Batches of no images."""
    vary = {name for name in ("kernel", "channels", "bias", "stride", "padding") if profile.supports(name)}
    call = draw(conv_calls(vary=vary, max_macs=1 << 12, op=f"conv{_axes(op)}d"))
    return related_call(draw, replace(call, input_shape=(0, *call.input_shape[1:])), op)


@st.composite
def output_padded(draw, profile: Profile, op: str):
    """Transposed convolutions with rows added at the end, of their real values."""
    vary = {name for name in ("kernel", "channels", "padding", "bias") if profile.supports(name)}
    call = draw(conv_calls(vary=vary, max_macs=1 << 12, op=op))
    n = call.spatial_ndim
    stride = _per_axis(draw, st.integers(2, 4), n, "stride")
    if not profile.supports("uneven"):
        stride = (stride[0],) * n
    added = tuple(draw(st.integers(1, s - 1), label="output_padding") for s in stride)
    return replace(call, stride=stride, output_padding=added)


@st.composite
def same_by_the_names_of_others(draw, profile: Profile, op: str):
    """'SAME' as onnx and TensorFlow define it: as many windows as strides fit into the image, also if these are not 1.

    The call has the numbers, which do not depend on the name alone, and the name that is passed.
    """
    names = {"onnx": ("SAME_UPPER", "SAME_LOWER"), "tensorflow": ("SAME",)}[profile.padding]
    name = draw(st.sampled_from(names), label="padding")
    n = _axes(op)

    def per_axis(feature, values):
        return _per_axis(draw, values if profile.supports(feature) else st.just(1), n, feature)

    kernel, stride = _per_axis(draw, st.integers(1, 4), n, "kernel"), per_axis("stride", st.integers(1, 3))
    dilation = per_axis("dilation", st.integers(1, 2))
    if max(stride) > 1 and not profile.supports("strided_dilation"):
        dilation = (1,) * n
    size = _per_axis(draw, st.integers(1, 9), n, "size")
    call = _forward((1, 2, *size), (2, 2, *kernel), stride=stride, dilation=dilation, padding_name=name)
    return call.with_named_padding()


@st.composite
def long_axes(draw, _profile, op: str):
    """One of the sizes is large, the others are small: hundreds of taps, thousands of channels, images, pixels."""
    n = _axes(op)
    which = draw(st.sampled_from(("image", "kernel", "C_in", "C_out", "N")), label="what is long")
    length = draw(st.sampled_from(_LONG if which == "kernel" else (*_LONG, *_VERY_LONG)), label="length")
    sizes = {"C_in": 1, "C_out": 2, "N": 1, which: length}
    kernel, size = [1] * n, [2] * n
    if which == "image":
        kernel, size = [2] * n, [3] * n
    axis = draw(st.integers(0, n - 1), label="axis")
    if which == "image":
        size[axis] = length
    if which == "kernel":
        kernel[axis] = length
        size[axis] = length + draw(st.integers(0, 3), label="room")
    call = _forward((sizes["N"], sizes["C_in"], *size), (sizes["C_out"], sizes["C_in"], *kernel))
    return related_call(draw, call, op)
