"""What is tested: an implementation of conv2d, seen through one signature on NumPy arrays."""

import importlib
import importlib.util
import os
import sys
import warnings
from pathlib import Path

import numpy as np

from refconv.testing.claim import Claim

__all__ = ["FunctionTarget", "TargetError", "TorchTarget", "load_target"]


class TargetError(Exception):
    """There is no such target, or it cannot be loaded."""


class FunctionTarget:
    """A function ``f(input, weight, bias, stride, padding, dilation, groups)`` on NumPy arrays.

    It is called with all seven arguments by position. input is (N, C_in, H, W) or (C_in, H, W); bias is an array or
    None; stride and dilation are ints or pairs, padding also 'same' or 'valid'. It returns an array, or what
    `numpy.asarray` makes one.

    Parameters
    ----------
    name : str
        As given on the command line.
    function : callable
    definition : list of str
        Code that defines the function as ``conv2d``, for reports.
    """

    dtypes = ("float32", "float64")
    #: Whether exceptions must have torch's texts.
    torch_messages = False
    #: Whether operands may have negative strides.
    negative_strides = True

    def __init__(self, name, function, definition):
        self.name = name
        self.definition = definition
        self._function = function

    def __call__(self, input, weight, bias, stride, padding, dilation, groups):
        return np.asarray(self._function(input, weight, bias, stride, padding, dilation, groups))

    def claim(self, dtype: str) -> Claim:
        """The arithmetic that results are held to: everything in the operands' own format."""
        return Claim(accumulate=dtype)

    def versions(self) -> dict[str, str]:
        """Version numbers to print in a report."""
        return {}


class TorchTarget(FunctionTarget):
    """``torch.nn.functional.conv2d`` on the CPU."""

    torch_messages = True
    negative_strides = False

    def __init__(self):
        # A waiting OpenMP thread spins by default. With more busy threads than CPUs, that makes each of these small
        # convolutions a hundred times slower. It is read when torch is loaded.
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
        try:
            import torch
        except ModuleNotFoundError as error:
            raise TargetError(f"target 'torch' needs {error.name}: pip install refconv[torch]") from error
        self._torch = torch
        definition = [
            "import torch",
            "",
            "def conv2d(input, weight, bias, *arguments):",
            "    tensors = [None if a is None else torch.from_numpy(a) for a in (input, weight, bias)]",
            "    return torch.nn.functional.conv2d(*tensors, *arguments).numpy()",
        ]
        super().__init__("torch", self._conv2d, definition)

    def _conv2d(self, input, weight, bias, stride, padding, dilation, groups):
        with warnings.catch_warnings():
            # About 'same' padding with even kernels, and about read-only arrays, which nobody is going to write to.
            warnings.simplefilter("ignore", UserWarning)
            tensors = [None if a is None else self._torch.from_numpy(a) for a in (input, weight, bias)]
            return self._torch.nn.functional.conv2d(*tensors, stride, padding, dilation, groups).numpy()

    def versions(self):
        return {"torch": self._torch.__version__}


def load_target(name: str) -> FunctionTarget:
    """Return the target with a name.

    Parameters
    ----------
    name : str
        ``torch``, ``package.module:function`` or ``path/to/file.py:function``.

    Raises
    ------
    TargetError
        ``unknown target 'tensorflow'; a target is ...``, or what went wrong while it was loaded.
    """
    if name == "torch":
        return TorchTarget()
    place, separator, attribute = name.rpartition(":")
    if not separator or not attribute:
        raise TargetError(
            f"unknown target {name!r}; a target is 'torch', 'package.module:function' or 'path/to/file.py:function'"
        )
    if place.endswith(".py"):
        path = Path(place).resolve()
        module = _load_file(path)
        definition = [
            "from refconv.conformance.targets import load_target",
            f"conv2d = load_target({f'{path}:{attribute}'!r})",
        ]
    else:
        module = _load_module(place)
        definition = [f"from {place} import {attribute} as conv2d"]
    function = getattr(module, attribute, None)
    if not callable(function):
        raise TargetError(f"{place} has no function {attribute!r}")
    return FunctionTarget(name, function, definition)


def _load_file(path: Path):
    if not path.is_file():
        raise TargetError(f"there is no file {path}")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    # As for `python file.py`: what lies beside the file can be imported from it.
    _put_on_path(path.parent)
    _run(str(path), lambda: spec.loader.exec_module(module))
    return module


def _load_module(name: str):
    _put_on_path(Path.cwd())
    return _run(name, lambda: importlib.import_module(name))


def _put_on_path(directory: Path):
    if str(directory) not in sys.path:
        sys.path.insert(0, str(directory))


def _run(what: str, load):
    try:
        return load()
    except Exception as error:
        raise TargetError(f"cannot import {what}: {type(error).__name__}: {error}") from error
