"""ncnn on the CPU: a network of one layer, written and loaded for every call."""

import tempfile
from pathlib import Path

import numpy as np

from refconv.conformance.adapters.arguments import per_axis, split_pairs
from refconv.conformance.adapters.library_target import library_target
from refconv.conformance.profile import Profile
from refconv.conformance.targets.function import FunctionTarget

__all__ = ["PROFILE", "target"]

PROFILE = Profile(
    ops=("conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d"),
    dtypes=("float32",),
    padding="pairs",
    unsupported={
        "empty_batch": "a blob is one image",
        "errors": "layers trust the model and compare no sizes",
        "views": "ncnn.Mat wants a contiguous array",
    },
)

# By default ncnn may store and compute in half formats, and use Winograd's algorithm. Here a sum is a sum of float32.
_OPTIONS_OFF = (
    "use_fp16_packed",
    "use_fp16_storage",
    "use_fp16_arithmetic",
    "use_bf16_packed",
    "use_bf16_storage",
    "use_winograd_convolution",
)

# The keys of parameters in ncnn's files; where there are several, for the last axis first.
_C_OUT, _HAS_BIAS, _WEIGHT_SIZE, _GROUPS = 0, 5, 6, 7
_KERNEL, _DILATION, _STRIDE = (1, 11, 21), (2, 12, 22), (3, 13, 23)
_BEGIN, _END, _OUTPUT_PADDING = (4, 14, 24), (15, 16, 17), (18, 19, 20)

# What comes before weights that are stored as float32.
_FLOAT32_FLAG = bytes(4)


def target(name: str) -> FunctionTarget:
    """Return ncnn as a target."""
    import ncnn

    def network(layer, parameters, weight, bias):
        net = ncnn.Net()
        for option in _OPTIONS_OFF:
            setattr(net.opt, option, False)
        net.opt.num_threads = 1
        listed = " ".join(f"{key}={value}" for key, value in parameters.items())
        param = f"7767517\n2 2\nInput input 0 1 x\n{layer} layer 1 1 x y {listed}\n"
        if net.load_param_mem(param):
            raise ValueError(f"ncnn cannot load {layer} {listed}")
        with tempfile.TemporaryDirectory() as directory:
            file = Path(directory, "model.bin")
            file.write_bytes(_FLOAT32_FLAG + weight.tobytes() + (b"" if bias is None else bias.tobytes()))
            if net.load_model(str(file)):
                raise ValueError(f"ncnn cannot load the weights of {layer} {listed}")
        return net

    def run(layer, input, weight, bias, C_out, padding, groups, by_axis):
        n = weight.ndim - 2
        parameters = {_C_OUT: C_out, _HAS_BIAS: int(bias is not None), _WEIGHT_SIZE: weight.size}
        begins, ends = split_pairs(padding)
        for keys, values in {_KERNEL: weight.shape[2:], _BEGIN: begins, _END: ends, **by_axis}.items():
            parameters |= dict(zip(keys, reversed(per_axis(values, n)), strict=False))
        if groups > 1:
            layer += "DepthWise"
            parameters[_GROUPS] = groups
        net = network(layer + ("1D", "", "3D")[n - 1], parameters, weight, bias)

        def of_image(image):
            extractor = net.create_extractor()
            # A Mat on NumPy's memory has channels that do not begin at multiples of 16 bytes; its copy has.
            extractor.input("x", ncnn.Mat(image).clone())
            code, blob = extractor.extract("y")
            if code:
                raise RuntimeError(f"ncnn: {layer} returns {code}")
            return np.array(blob)

        return of_image(input) if input.ndim == n + 1 else np.stack([of_image(image) for image in input])

    def conv(input, weight, bias, stride, padding, dilation, groups):
        by_axis = {_STRIDE: stride, _DILATION: dilation}
        return run("Convolution", input, weight, bias, len(weight), padding, groups, by_axis)

    def conv_transpose(input, weight, bias, stride, padding, output_padding, groups, dilation):
        # Weights lie as those of a convolution: output channels before input channels, within a group.
        weight = np.stack(np.split(weight, groups)).swapaxes(1, 2)
        C_out = groups * weight.shape[1]
        weight = np.ascontiguousarray(weight).reshape(C_out, *weight.shape[2:])
        by_axis = {_STRIDE: stride, _DILATION: dilation, _OUTPUT_PADDING: output_padding}
        return run("Deconvolution", input, weight, bias, C_out, padding, groups, by_axis)

    functions = {op: conv_transpose if "transpose" in op else conv for op in PROFILE.ops}
    return library_target(name, functions, PROFILE, {"ncnn": ncnn.__version__})
