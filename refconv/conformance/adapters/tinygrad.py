"""tinygrad on the CPU: `Tensor.conv2d` and `Tensor.conv_transpose2d`, which take any number of axes."""

import os

from refconv.conformance.adapters.library_target import library_target
from refconv.conformance.profile import Profile
from refconv.conformance.targets.function import FunctionTarget

__all__ = ["PROFILE", "target"]

# A sum of half-format numbers is formed in float32 (tinygrad.dtype.sum_acc_dtype). Winograd's algorithm is off unless
# WINO is set. For each shape C code is written and compiled by clang.
PROFILE = Profile(
    ops=("conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d"),
    dtypes=("float32", "float64", "float16"),
    padding="pairs",
    unsupported={
        "unbatched": "the first axis is the batch",
        "views": "a Tensor copies what it is given",
    },
    refusals=("ValueError", "RuntimeError", "TypeError", "AssertionError", "IndexError", "ZeroDivisionError"),
)


def target(name: str) -> FunctionTarget:
    """Return tinygrad as a target."""
    os.environ.setdefault("DEV", "CPU")
    import importlib.metadata

    from tinygrad import Tensor

    def flat(padding):
        """All pairs in one, the last axis first."""
        return tuple(value for pair in reversed(padding) for value in pair)

    def conv(input, weight, bias, stride, padding, dilation, groups):
        b = None if bias is None else Tensor(bias)
        return Tensor(input).conv2d(Tensor(weight), b, groups, stride, dilation, flat(padding)).numpy()

    def conv_transpose(input, weight, bias, stride, padding, output_padding, groups, dilation):
        b = None if bias is None else Tensor(bias)
        geometry = groups, stride, dilation, flat(padding), output_padding
        return Tensor(input).conv_transpose2d(Tensor(weight), b, *geometry).numpy()

    functions = {op: conv_transpose if "transpose" in op else conv for op in PROFILE.ops}
    versions = {"tinygrad": importlib.metadata.version("tinygrad")}
    return library_target(name, functions, PROFILE, versions)
