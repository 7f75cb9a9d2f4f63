"""ONNX Runtime on the CPU: a model of one Conv or ConvTranspose node, built for every call."""

from refconv.conformance.adapters import onnx_model
from refconv.conformance.adapters.library_target import library_target
from refconv.conformance.profile import Profile
from refconv.conformance.targets.function import FunctionTarget

__all__ = ["PROFILE", "target"]

# The CPU provider's list of operators (docs/OperatorKernels.md) has no float64 for Conv. Where it has no float16, casts
# to float32 are put around the node. Subnormal numbers are kept unless session.set_denormal_as_zero says otherwise.
PROFILE = Profile(
    ops=onnx_model.CONV_OPS,
    dtypes=("float32", "float16"),
    padding="onnx",
    unsupported={
        "unbatched": "ONNX's Conv has a batch axis",
        "named_dilation": "its error says so",
        "output_padding_beyond_stride": "its error says so",
        "views": "the Python binding copies what is not contiguous",
    },
    refusals=("ValueError", "RuntimeError", "TypeError", "InvalidArgument", "Fail", "InvalidGraph", "RuntimeException"),
)


def target(name: str) -> FunctionTarget:
    """Return ONNX Runtime as a target; for the name ``onnxruntime:inputs`` weights are inputs of the model."""
    import onnx
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # Errors are raised; they need not be printed, too.
    options.intra_op_num_threads = 1

    def run(model, feed):
        content = model.SerializeToString()
        session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        return session.run(["Y"], feed)[0]

    functions = onnx_model.functions(run, constant_weights=name != "onnxruntime:inputs")
    versions = {"onnxruntime": onnxruntime.__version__, "onnx": onnx.__version__}
    return library_target(name, functions, PROFILE, versions)
