"""The TOSA reference model: a graph of one CONV2D operator, written to files and run by a process for every call."""

import subprocess
import tempfile
from pathlib import Path

import numpy as np

from refconv.conformance.adapters.arguments import no_groups, per_axis
from refconv.conformance.adapters.library_target import library_target
from refconv.conformance.profile import Profile
from refconv.conformance.targets.function import FunctionTarget

__all__ = ["PROFILE", "target"]

# The specification has float32 accumulators for both formats.
PROFILE = Profile(
    ops=("conv2d",),
    dtypes=("float32", "float16"),
    layout="channels_last",
    weight_layout="OSI",
    padding="pairs",
    unsupported={
        "groups": "CONV2D has none; DEPTHWISE_CONV2D is another operator",
        "remainder": "the division by the stride must come out even",
        "unbatched": "CONV2D has a batch axis",
        "empty_batch": "dimensions are at least 1",
        "views": "operands are in files",
        "float16:bias": "the specification rounds the sum to float16 before it adds the bias",
    },
)


def target(name: str) -> FunctionTarget:
    """Return the reference model as a target."""
    import importlib.metadata

    import tosa_serializer as tosa

    formats = {"float32": tosa.DType.FP32, "float16": tosa.DType.FP16}
    (program,) = (
        file.locate()
        for file in importlib.metadata.files("tosa-tools")
        if file.match("bin/tosa_reference_model") and ".." not in file.parts
    )

    def conv2d(input, weight, bias, stride, padding, dilation, groups):
        no_groups(groups)
        dtype = formats[input.dtype.name]
        if bias is None:
            bias = np.zeros(len(weight), input.dtype)
        stride, dilation = list(per_axis(stride, 2)), list(per_axis(dilation, 2))
        if min(stride) < 1:
            raise ValueError(f"there is no size of the output to be declared for stride {stride}")
        axes = zip(input.shape[1:3], weight.shape[1:3], padding, stride, dilation, strict=True)
        size = [(n + sum(pair) - d * (k - 1) - 1) // s + 1 for n, k, pair, s, d in axes]
        graph = tosa.TosaSerializer("")
        x = graph.addPlaceholder(input.shape, dtype, input)
        constants = [graph.addConst(list(array.shape), dtype, array) for array in (weight, bias)]
        zero_points = [graph.addConst([1], dtype, np.zeros(1, input.dtype)) for _ in range(2)]
        y = graph.addOutput([len(input), *size, len(weight)], dtype)
        attribute = tosa.TosaSerializerAttribute()
        pads = [pad for pair in padding for pad in pair]
        attribute.Conv2dAttribute(pads, stride, dilation, False, tosa.DType.FP32)
        names = [tensor.name for tensor in (x, *constants, *zero_points)]
        graph.addOperator(tosa.Op.CONV2D, names, [y.name], attribute)
        return _run(program, graph.serialize(), {x.name: input}, y.name)

    version = importlib.metadata.version("tosa-tools")
    return library_target(name, {"conv2d": conv2d}, PROFILE, {"tosa-tools": version})


def _run(program, model: bytes, inputs: dict, output: str) -> np.ndarray:
    ((input_name, array),) = inputs.items()
    with tempfile.TemporaryDirectory() as directory:
        Path(directory, "model.tosa").write_bytes(model)
        np.save(Path(directory, "input.npy"), array)
        options = {
            "flatbuffer_dir": directory,
            "output_dir": directory,
            "tosa_file": "model.tosa",
            "ifm_name": input_name,
            "ifm_file": "input.npy",
            "ofm_name": output,
            "ofm_file": "output.npy",
            "tosa_level": "NONE",
        }
        command = [program, *(f"--{key}={value}" for key, value in options.items())]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(
                f"tosa_reference_model: exit status {done.returncode}: {(done.stdout + done.stderr).strip()}"
            )
        return np.load(Path(directory, "output.npy"))
