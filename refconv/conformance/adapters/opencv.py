"""OpenCV's module dnn on the CPU: a model of one Conv or ConvTranspose node of ONNX, built for every call."""

import numpy as np

from refconv.conformance.adapters import onnx_model
from refconv.conformance.adapters.library_target import library_target
from refconv.conformance.profile import Profile
from refconv.conformance.targets.function import FunctionTarget
from refconv.testing import Claim

__all__ = ["PROFILE", "target"]

# The module computes in float32 unless another target is chosen. It is allowed to use Winograd's algorithm unless
# Net.enableWinograd(False) says otherwise, as it does here: then a sum is a sum.
PROFILE = Profile(
    ops=onnx_model.CONV_OPS,
    dtypes=("float32",),
    claims={"float32": Claim(flush_subnormals=True)},
    padding="onnx",
    unsupported={
        "unbatched": "ONNX's Conv has a batch axis",
        "empty_batch": "a blob has no axis of length 0",
        "subnormals": "cv::dnn::Net::forward sets the processor to ignore them (FPDenormalsIgnoreHintScope)",
        "views": "the Python binding copies what is not contiguous",
    },
    refusals=("ValueError", "RuntimeError", "TypeError", "error"),
)


def target(name: str) -> FunctionTarget:
    """Return OpenCV as a target."""
    import cv2
    import onnx

    cv2.setNumThreads(1)

    def run(model, feed):
        net = cv2.dnn.readNetFromONNX(np.frombuffer(model.SerializeToString(), np.uint8))
        net.enableWinograd(False)
        for input_name, array in feed.items():
            net.setInput(array, input_name)
        return net.forward()

    versions = {"opencv": cv2.__version__, "onnx": onnx.__version__}
    return library_target(name, onnx_model.functions(run), PROFILE, versions)
