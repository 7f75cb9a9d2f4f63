"""Keras on TensorFlow: `keras.ops.conv` and `keras.ops.conv_transpose`."""

import os

import numpy as np

from refconv.conformance.adapters import tensorflow
from refconv.conformance.adapters.arguments import groups_by_shapes, no_bias, no_groups, per_axis
from refconv.conformance.adapters.library_target import library_target
from refconv.conformance.profile import Profile
from refconv.conformance.targets.function import FunctionTarget

__all__ = ["PROFILE", "target"]

_OPS = ("conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d")

PROFILE = Profile(
    ops=_OPS,
    dtypes=tensorflow.PROFILE.dtypes,
    claims=tensorflow.PROFILE.claims,
    layout="channels_last",
    weight_layout="SIO",
    padding="tensorflow",
    unsupported={
        "bias": "keras.ops.conv has no bias",
        "unbatched": "keras.ops.conv wants a batch axis",
        "padding": "padding is 'same' or 'valid'",
        "strided_dilation": "strides and dilation rates above 1 exclude each other, its error says",
        "subnormals": tensorflow.PROFILE.unsupported["subnormals"],
        "views": "keras.ops.convert_to_tensor copies what it is given",
        **{f"conv_transpose{n}d:groups": "keras.ops.conv_transpose has no groups" for n in (1, 2, 3)},
        **{
            key: reason for key, reason in tensorflow.PROFILE.unsupported.items() if "transpose" in key and "dil" in key
        },
    },
    refusals=(*tensorflow.PROFILE.refusals, "IndexError"),
)


def target(name: str) -> FunctionTarget:
    """Return Keras as a target."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
    os.environ["KERAS_BACKEND"] = "tensorflow"
    import keras
    import tensorflow as tf

    def tensors(*arrays):
        return [keras.ops.convert_to_tensor(array) for array in arrays]

    def padding_name(padding):
        if isinstance(padding, str):
            return padding.lower()
        if any(map(any, padding)):
            raise ValueError(f"padding is 'same' or 'valid', not {padding}")
        return "valid"

    def conv(input, weight, bias, stride, padding, dilation, groups):
        no_bias(bias)
        groups_by_shapes(groups, input.shape[-1], weight.shape[-2])
        n = input.ndim - 2
        geometry = per_axis(stride, n), padding_name(padding), "channels_last", per_axis(dilation, n)
        return np.asarray(keras.ops.conv(*tensors(input, weight), *geometry))

    def conv_transpose(input, weight, bias, stride, padding, output_padding, groups, dilation):
        no_bias(bias)
        no_groups(groups)
        n = input.ndim - 2
        extra = per_axis(output_padding, n)
        geometry = per_axis(stride, n), padding_name(padding), extra, "channels_last", per_axis(dilation, n)
        return np.asarray(keras.ops.conv_transpose(*tensors(input, weight), *geometry))

    functions = {op: conv_transpose if "transpose" in op else conv for op in _OPS}
    versions = {"keras": keras.__version__, "tensorflow": tf.__version__}
    return library_target(name, functions, PROFILE, versions)
