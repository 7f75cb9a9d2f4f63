"""torch.nn.functional and torch.nn.grad, on the CPU."""

import os
import warnings

# A waiting OpenMP thread spins by default. With more busy threads than CPUs, that makes each of these small
# convolutions a hundred times slower. It is read when torch is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch

from refconv.conformance.profile import Profile
from refconv.conformance.targets.function import FunctionTarget

__all__ = ["target"]

_FORWARD = ("conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d")
_GRADIENTS = ("conv1d_input", "conv2d_input", "conv3d_input", "conv1d_weight", "conv2d_weight", "conv3d_weight")

_PROFILE = Profile(
    ops=("conv2d",),
    unsupported={"negative_strides": "torch has no tensors with negative strides"},
    messages="torch",
)


def target(name: str) -> FunctionTarget:
    """Return torch as a target."""
    functions = {op: _on_arrays(getattr(torch.nn.functional, op)) for op in _FORWARD}
    functions |= {op: _on_arrays(getattr(torch.nn.grad, op)) for op in _GRADIENTS}
    definitions = {op: _definition(op) for op in functions}
    return FunctionTarget(name, functions, _PROFILE, definitions, {"torch": torch.__version__})


def _on_arrays(function):
    """Return a function of torch's as one on NumPy arrays."""

    def call(*arguments):
        with warnings.catch_warnings():
            # About 'same' padding with even kernels, and about read-only arrays, which nobody is going to write to.
            warnings.simplefilter("ignore", UserWarning)
            return function(*(torch.from_numpy(a) if hasattr(a, "dtype") else a for a in arguments)).numpy()

    return call


def _definition(op: str) -> list[str]:
    module = "functional" if op in _FORWARD else "grad"
    return [
        "import torch",
        "",
        f"def {op}(*arguments):",
        "    tensors = [torch.from_numpy(a) if isinstance(a, np.ndarray) else a for a in arguments]",
        f"    return torch.nn.{module}.{op}(*tensors).numpy()",
    ]
