"""MLX on the CPU: `mlx.core.conv_general` and the transposed convolutions."""

import numpy as np

from refconv.conformance.adapters.arguments import no_bias, per_axis, split_pairs
from refconv.conformance.adapters.library_target import library_target
from refconv.conformance.profile import Profile
from refconv.conformance.targets.function import FunctionTarget

__all__ = ["PROFILE", "target"]

# MLX does not say in which format it sums; nothing but the formats' usual accumulators is claimed for it.
PROFILE = Profile(
    ops=("conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d"),
    dtypes=("float32", "float64", "float16", "bfloat16"),
    layout="channels_last",
    weight_layout="OSI",
    padding="pairs",
    unsupported={
        "bias": "mlx.core.conv_general has no bias",
        "unbatched": "mlx.core.conv_general wants a batch axis",
        "views": "mlx.core.array copies what it is given",
        "conv3d:groups": "only the default groups=1 is supported, the documentation says",
        "conv_transpose3d:groups": "only the default groups=1 is supported, the documentation says",
        "conv_transpose1d:asymmetric_padding": "padding is one number per axis",
        "conv_transpose2d:asymmetric_padding": "padding is one number per axis",
        "conv_transpose3d:asymmetric_padding": "padding is one number per axis",
    },
    refusals=("ValueError", "RuntimeError", "TypeError", "IndexError"),
)


def target(name: str) -> FunctionTarget:
    """Return MLX as a target."""
    import ml_dtypes
    import mlx.core as mx

    mx.set_default_device(mx.cpu)

    def array(operand):
        return mx.array(operand, dtype=getattr(mx, operand.dtype.name))

    def numpy_array(result):
        if result.dtype == mx.bfloat16:
            return np.array(result.view(mx.uint16)).view(ml_dtypes.bfloat16)
        return np.array(result)

    def conv(input, weight, bias, stride, padding, dilation, groups):
        no_bias(bias)
        n = input.ndim - 2
        y = mx.conv_general(
            array(input),
            array(weight),
            stride=per_axis(stride, n),
            padding=split_pairs(padding),
            kernel_dilation=per_axis(dilation, n),
            groups=groups,
        )
        return numpy_array(y)

    def conv_transpose(input, weight, bias, stride, padding, output_padding, groups, dilation):
        no_bias(bias)
        n = input.ndim - 2
        functions = {1: mx.conv_transpose1d, 2: mx.conv_transpose2d, 3: mx.conv_transpose3d}
        if n not in functions:
            raise ValueError(f"no transposed convolution takes an input of shape {input.shape}")
        # MLX has it the other way round: (C_out, ..., C_in / groups) instead of (C_in, ..., C_out / groups).
        by_group = weight.reshape(groups, -1, *weight.shape[1:]).swapaxes(1, -1)
        weight = by_group.reshape(-1, *by_group.shape[2:])
        begins, _ = split_pairs(padding)
        geometry = [per_axis(value, n) for value in (stride, begins, dilation, output_padding)]
        if n == 1:
            geometry = [value for (value,) in geometry]
        return numpy_array(functions[n](array(input), array(weight), *geometry, groups))

    functions = {op: conv_transpose if "transpose" in op else conv for op in PROFILE.ops}
    return library_target(name, functions, PROFILE, {"mlx": mx.__version__})
