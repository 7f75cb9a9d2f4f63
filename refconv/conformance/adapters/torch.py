"""PyTorch on the CPU: `torch.nn.functional` and `torch.nn.grad`, as they come and in three other ways."""

import contextlib
import os
import warnings
from dataclasses import replace

import numpy as np

from refconv.conformance.adapters.library_target import library_target
from refconv.conformance.profile import Profile
from refconv.conformance.targets.function import FunctionTarget
from refconv.testing import Claim
from refconv.testing.operation import OPS

__all__ = ["PROFILE", "target"]

# Half formats are summed in float32: by oneDNN, which says so of its accumulators, and by torch's own kernels, whose
# at::opmath_type it is. oneDNN is asked for direct convolution, never for Winograd's. Where the processor has the
# instruction VDPBF16PS, oneDNN uses it for bfloat16; it takes subnormal numbers for zero and returns none.
PROFILE = Profile(
    ops=OPS,
    dtypes=("float32", "float64", "float16", "bfloat16"),
    claims={"bfloat16": Claim(flush_subnormals=True)},
    unsupported={
        "negative_strides": "torch has no tensors with negative strides",
        "bfloat16:subnormals": "the processor's bfloat16 instructions flush them",
    },
    messages="torch",
)


def target(name: str) -> FunctionTarget:
    """Return torch as a target; what follows the colon in the name says how operands and calls are prepared."""
    # A waiting OpenMP thread spins by default. With more busy threads than CPUs, that makes each of these small
    # convolutions a hundred times slower. It is read when torch is loaded.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    import torch

    variant = name.partition(":")[2]
    prepared = _channels_last if variant == "channels_last" else lambda tensor: tensor
    context = contextlib.nullcontext
    if variant == "nomkldnn":
        context = lambda: torch.backends.mkldnn.flags(enabled=False)  # noqa: E731
    if variant == "compile":
        # With more shapes than the limit torch would not compile. Every thread has settings of its own.
        limits = dict.fromkeys(("recompile_limit", "accumulated_recompile_limit"), 1 << 20)
        context = lambda: torch._dynamo.config.patch(limits)  # noqa: E731

    def on_arrays(function):
        """Return a function of torch's as one on NumPy arrays."""
        if variant == "compile":
            function = torch.compile(function, fullgraph=True, dynamic=False)

        def call(*arguments):
            with warnings.catch_warnings():
                # About 'same' padding with even kernels, and about read-only arrays, which nobody is going to write to.
                warnings.simplefilter("ignore", UserWarning)
                with context():
                    tensors = [prepared(_tensor(a)) if isinstance(a, np.ndarray) else a for a in arguments]
                    return _array(function(*tensors))

        return call

    functions = {op: on_arrays(_function(op)) for op in OPS}
    definitions = {} if variant else {op: _definition(op) for op in OPS if not op.endswith("_bias")}
    # A C++ compiler may have to be run first; torch's messages are quoted in longer ones.
    profile = replace(PROFILE, time_limit=120.0, messages="any") if variant == "compile" else PROFILE
    return library_target(name, functions, profile, {"torch": str(torch.__version__)}, definitions)


def _function(op: str):
    import torch

    if op.endswith("_bias"):
        return _bias_gradient
    return getattr(torch.nn.grad if op.endswith(("_input", "_weight")) else torch.nn.functional, op)


def _bias_gradient(grad_output):
    """The gradient by the bias of a depthwise convolution with a kernel of one tap."""
    import torch

    C, n = grad_output.shape[1], grad_output.dim() - 2
    image, weight = torch.zeros_like(grad_output), grad_output.new_zeros((C, 1) + (1,) * n)
    stride, padding, dilation, output_padding = [1] * n, [0] * n, [1] * n, [0] * n
    wanted = [False, False, True]
    return torch.ops.aten.convolution_backward(
        grad_output, image, weight, [C], stride, padding, dilation, False, output_padding, C, wanted
    )[2]


def _channels_last(tensor):
    import torch

    memory_format = {4: torch.channels_last, 5: torch.channels_last_3d}.get(tensor.dim())
    return tensor if memory_format is None else tensor.to(memory_format=memory_format)


def _tensor(array):
    import torch

    if array.dtype.name == "bfloat16":
        return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(array)


def _array(tensor):
    import torch

    if tensor.dtype == torch.bfloat16:
        import ml_dtypes

        return tensor.view(torch.int16).numpy().view(ml_dtypes.bfloat16)
    return tensor.numpy()


def _definition(op: str) -> list[str]:
    """Return code that defines the function by torch alone, for the formats that NumPy has."""
    module = "grad" if op.endswith(("_input", "_weight")) else "functional"
    return [
        "import torch",
        "",
        f"def {op}(*arguments):",
        "    tensors = [torch.from_numpy(a) if isinstance(a, np.ndarray) else a for a in arguments]",
        f"    return torch.nn.{module}.{op}(*tensors).numpy()",
    ]
