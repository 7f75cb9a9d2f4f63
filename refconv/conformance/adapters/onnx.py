"""The reference implementation that comes with ONNX: `onnx.reference.ReferenceEvaluator`."""

from refconv.conformance.adapters import onnx_model
from refconv.conformance.adapters.library_target import library_target
from refconv.conformance.profile import Profile
from refconv.conformance.targets.function import FunctionTarget
from refconv.testing import Claim

__all__ = ["PROFILE", "target"]

# NumPy arithmetic in the operands' format; ONNX does not say in which format sums are formed.
PROFILE = Profile(
    ops=onnx_model.CONV_OPS,
    dtypes=("float16", "float32", "float64"),
    claims={"float16": Claim(accumulate="float16")},
    padding="onnx",
    unsupported={
        "unbatched": "ONNX's Conv has a batch axis",
        "output_padding_beyond_stride": "the specification says less than the stride/dilation",
        "errors": "a reference for valid models; onnx.checker is what refuses others",
    },
)


def target(name: str) -> FunctionTarget:
    """Return the reference evaluator as a target."""
    import onnx
    from onnx.reference import ReferenceEvaluator

    def run(model, feed):
        return ReferenceEvaluator(model).run(["Y"], feed)[0]

    return library_target(name, onnx_model.functions(run), PROFILE, {"onnx": onnx.__version__})
