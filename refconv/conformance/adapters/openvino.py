"""OpenVINO on the CPU: a model of one operation of opset 13, built and compiled for every call."""

from dataclasses import replace

from refconv.conformance.adapters.arguments import groups_by_shapes, per_axis
from refconv.conformance.adapters.library_target import library_target
from refconv.conformance.profile import Profile
from refconv.conformance.targets.function import FunctionTarget
from refconv.testing import Claim

__all__ = ["PROFILE", "target"]

_OPS = ("conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d")
_UNSUPPORTED = {
    "unbatched": "the operations have a batch axis",
    "views": "the Python binding copies what is not contiguous",
}

# The CPU plugin computes in INFERENCE_PRECISION_HINT, whatever the format of the model (its documentation, "Supported
# inference data types"), so float64 is none of its formats. CPU_DENORMALS_OPTIMIZATION is off by default.
PROFILE = Profile(ops=_OPS, dtypes=("float32",), padding="onnx", unsupported=_UNSUPPORTED)

# Without a hint that is bfloat16 where the processor has instructions for it: operands, bias and result.
_DEFAULT = replace(
    PROFILE,
    claims={"float32": Claim(accumulate="bfloat16", inputs="bfloat16")},
    unsupported={
        **PROFILE.unsupported,
        "non_finite": "the largest float32 numbers are infinite in bfloat16",
        "subnormals": "the processor's bfloat16 instructions flush subnormal numbers",
    },
)


def target(name: str) -> FunctionTarget:
    """Return OpenVINO as a target; for the name ``openvino:default`` without a hint about precision."""
    import numpy as np
    import openvino
    from openvino import opset13

    core = openvino.Core()
    hints = {"INFERENCE_NUM_THREADS": 1}
    if name != "openvino:default":
        hints["INFERENCE_PRECISION_HINT"] = "f32"

    def result(operation, weight, bias, C_out, input, stride, padding, dilation, groups, **options):
        n = input.ndim - 2
        X = opset13.parameter(input.shape, input.dtype)
        if isinstance(padding, str):
            begins, ends, auto_pad = [0] * n, [0] * n, padding
        elif len(padding) != 2 * n:
            raise ValueError(f"expected {2 * n} numbers of padding, but got {padding}")
        else:
            begins, ends, auto_pad = padding[:n], padding[n:], "EXPLICIT"
        if groups != 1:
            groups_by_shapes(groups, len(weight), len(weight) // max(groups, 1))
            operation = f"group_{operation}"
            weight = weight.reshape(groups, len(weight) // groups, *weight.shape[1:])
        y = getattr(opset13, operation)(
            X,
            opset13.constant(weight),
            strides=list(per_axis(stride, n)),
            pads_begin=list(begins),
            pads_end=list(ends),
            dilations=list(per_axis(dilation, n)),
            auto_pad=auto_pad,
            **options,
        )
        if bias is not None:
            # Another operation, which takes any shape that can be broadcast.
            if bias.shape != (C_out,):
                raise ValueError(f"bias has shape {bias.shape} instead of ({C_out},)")
            y = opset13.add(y, opset13.constant(bias.reshape(1, -1, *[1] * n)))
        model = core.compile_model(openvino.Model([y], [X], "one operation"), "CPU", hints)
        return np.array(model([input])[0])

    def conv(input, weight, bias, stride, padding, dilation, groups):
        return result("convolution", weight, bias, len(weight), input, stride, padding, dilation, groups)

    def conv_transpose(input, weight, bias, stride, padding, output_padding, groups, dilation):
        extra = {"output_padding": list(per_axis(output_padding, input.ndim - 2))}
        operands = weight, bias, weight.shape[1] * groups, input
        return result("convolution_backprop_data", *operands, stride, padding, dilation, groups, **extra)

    functions = {op: conv_transpose if "transpose" in op else conv for op in _OPS}
    profile = _DEFAULT if name == "openvino:default" else PROFILE
    return library_target(name, functions, profile, {"openvino": openvino.__version__})
