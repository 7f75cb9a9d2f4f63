"""TensorFlow on the CPU: `tf.nn.conv1d` to `conv3d`, their transposes, and gradients by `tf.GradientTape`."""

import os

import numpy as np

from refconv.conformance.adapters.arguments import groups_by_shapes, no_bias, no_groups, per_axis
from refconv.conformance.adapters.library_target import library_target
from refconv.conformance.profile import Profile
from refconv.conformance.targets.function import FunctionTarget
from refconv.testing import Claim

__all__ = ["NO_DILATION", "PROFILE", "target"]

_OPS = ("conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d")
_GRADIENTS = ("conv2d_input", "conv2d_weight")
_SUMS = {"float32": "float32", "float64": "float64", "float16": "float32", "bfloat16": "float32"}

_STRING = "padding is 'SAME' or 'VALID'"
_NO_GROUPS = "gradients of grouped convolutions are not supported on the CPU, its error says"
NO_DILATION = "gradients with dilation are not supported on the CPU, its error says"

PROFILE = Profile(
    ops=(*_OPS, *_GRADIENTS),
    dtypes=tuple(_SUMS),
    claims={dtype: Claim(accumulate=sums, flush_subnormals=True) for dtype, sums in _SUMS.items()},
    layout="channels_last",
    weight_layout="SIO",
    padding="tensorflow",
    unsupported={
        "bias": "tf.nn.bias_add is another operation",
        "unbatched": "tf.nn.conv2d wants a batch axis",
        "subnormals": "TensorFlow's threads flush subnormal numbers (port::ScopedFlushDenormal)",
        "views": "tf.constant copies what it is given",
        **{f"{op}:padding": _STRING for op in _OPS if "2d" not in op},
        "conv3d:groups": "tf.nn.conv3d needs as many channels in the filter as in the input",
        "conv3d:dilation": "the CPU's Conv3D supports dilation 1 only, its error says",
        **{f"conv_transpose{n}d:groups": _NO_GROUPS for n in (1, 2, 3)},
        **{f"conv_transpose{n}d:dilation": NO_DILATION for n in (1, 2, 3)},
        **{f"{op}:groups": _NO_GROUPS for op in _GRADIENTS},
        **{f"{op}:dilation": NO_DILATION for op in _GRADIENTS},
    },
    refusals=("ValueError", "RuntimeError", "TypeError", "InvalidArgumentError", "UnimplementedError", "AbortedError"),
)


def target(name: str) -> FunctionTarget:
    """Return TensorFlow as a target."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
    import tensorflow as tf

    forward = {1: tf.nn.conv1d, 2: tf.nn.conv2d, 3: tf.nn.conv3d}
    transposed = {1: tf.nn.conv1d_transpose, 2: tf.nn.conv2d_transpose, 3: tf.nn.conv3d_transpose}

    def spatial_ndim(image):
        n = len(image.shape) - 2
        if n not in forward:
            raise ValueError(f"no convolution takes an input of shape {image.shape}")
        return n

    def geometry(n, stride, padding, dilation):
        """Strides, padding and dilations for all axes."""
        if not isinstance(padding, str):
            if len(padding) != n:
                raise ValueError(f"expected {n} pairs of padding, but got {padding}")
            padding = "VALID" if not any(map(any, padding)) else [(0, 0), *padding, (0, 0)]
        strides, dilations = ((1, *per_axis(value, n), 1) for value in (stride, dilation))
        return strides, padding, dilations

    def result(x, w, stride, padding, dilation):
        n = spatial_ndim(x)
        strides, padding, dilations = geometry(n, stride, padding, dilation)
        return forward[n](x, w, strides, padding, dilations=dilations)

    def conv(input, weight, bias, stride, padding, dilation, groups):
        no_bias(bias)
        groups_by_shapes(groups, input.shape[-1], weight.shape[-2])
        return result(tf.constant(input), tf.constant(weight), stride, padding, dilation).numpy()

    def conv_transpose(input, weight, bias, stride, padding, output_padding, groups, dilation):
        no_bias(bias)
        no_groups(groups)
        n = spatial_ndim(input)
        axes = [per_axis(value, n) for value in (stride, dilation, output_padding)]
        pads = [(0, 0)] * n if isinstance(padding, str) else padding
        size = [
            (length - 1) * s - sum(pair) + d * (k - 1) + extra + 1
            for length, k, pair, s, d, extra in zip(input.shape[1:-1], weight.shape, pads, *axes, strict=False)
        ]
        strides, padding, dilations = geometry(n, stride, padding, dilation)
        output_shape = (len(input), *size, weight.shape[-2] * groups)
        operands = tf.constant(input), tf.constant(weight)
        return transposed[n](*operands, output_shape, strides, padding, dilations=dilations).numpy()

    def gradient(x, w, grad_output, geometry, wanted):
        x, w = tf.constant(x), tf.constant(w)
        with tf.GradientTape() as tape:
            tape.watch((x, w))
            y = result(x, w, *geometry)
        return tape.gradient(y, (x, w)[wanted], output_gradients=tf.constant(grad_output)).numpy()

    def conv2d_input(input_size, weight, grad_output, stride, padding, dilation, groups):
        zeros = np.zeros(input_size, weight.dtype)
        return gradient(zeros, weight, grad_output, (stride, padding, dilation), 0)

    def conv2d_weight(input, weight_size, grad_output, stride, padding, dilation, groups):
        zeros = np.zeros(weight_size, input.dtype)
        return gradient(input, zeros, grad_output, (stride, padding, dilation), 1)

    functions = {op: conv_transpose if "transpose" in op else conv for op in _OPS}
    functions |= {"conv2d_input": conv2d_input, "conv2d_weight": conv2d_weight}
    return library_target(name, functions, PROFILE, {"tensorflow": tf.__version__})
