"""Other libraries as targets: what they are called with, and what is said when they are not there."""

import importlib
import sys

import numpy as np
import pytest

from refconv.conformance.adapters import ADAPTERS
from refconv.conformance.clauses import CLAUSES
from refconv.conformance.features import FEATURES
from refconv.conformance.runner import run
from refconv.conformance.targets.base import TargetError
from refconv.testing.calls import ConvCall

# What is there in the development environment, and takes no compiler.
_INSTALLED = ("torch", "torch:channels_last", "torch:nomkldnn", "scipy", "scipy:fft")
_PROFILED = sorted({adapter.module for adapter in ADAPTERS.values()})


def _clauses(*keys):
    return [clause for clause in CLAUSES if clause.key in keys]


@pytest.mark.parametrize("name", _INSTALLED)
def test_installed_libraries_conform_to_some_clauses(name):
    pytest.importorskip(ADAPTERS[name].library)
    target = ADAPTERS[name].load()
    result = run(target, seed=1, cases=5, clauses=_clauses("shape", "kernel", "channels", "repeatable"))
    assert not result.failures, [(row.key, row.failing[1].headline) for row in result.failures]
    assert result.cases >= 5 * len(target.profile.dtypes)
    assert ADAPTERS[name].library in target.versions()


@pytest.mark.parametrize("name", ADAPTERS)
def test_a_library_that_is_not_there_is_a_target_error_that_says_what_to_install(name, monkeypatch):
    adapter = ADAPTERS[name]
    for module in ("torch", "jax", "onnx", "onnxruntime", "openvino", "tensorflow", "keras", "tinygrad", "mlx", "ncnn"):
        monkeypatch.setitem(sys.modules, module, None)
    for module in ("mlx.core", "cv2", "ai_edge_litert", "scipy", "tosa_serializer"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(TargetError, match=rf"target '{name}' needs .*: pip install ") as caught:
        adapter.load()
    assert str(caught.value).endswith(adapter.packages)


@pytest.mark.parametrize("module", _PROFILED)
def test_profiles_can_be_read_without_the_library(module):
    profile = importlib.import_module(f"refconv.conformance.adapters.{module}").PROFILE
    assert profile.ops
    assert all(reason for reason in profile.unsupported.values())
    assert {key.rpartition(":")[2] for key in profile.unsupported} <= set(FEATURES)


def test_what_is_declared_for_one_op_does_not_concern_others():
    profile = importlib.import_module("refconv.conformance.adapters.mlx").PROFILE
    assert profile.narrowed("conv2d", "float32").supports("groups")
    assert not profile.narrowed("conv3d", "float32").supports("groups")
    (groups,) = _clauses("groups")
    assert groups.why_unsupported(profile, "conv3d", "float32")
    assert groups.why_unsupported(profile, "conv2d", "float32") is None


@pytest.mark.parametrize("name", ["torch", "torch:channels_last", "torch:nomkldnn"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_every_way_through_torch_gives_the_same_exact_sums(name, dtype):
    pytest.importorskip("torch")
    np_dtype = importlib.import_module("ml_dtypes").bfloat16 if dtype == "bfloat16" else np.dtype(dtype)
    rng = np.random.default_rng(0)
    x, w, g = (rng.integers(-2, 3, shape).astype(np_dtype) for shape in ((2, 4, 6, 5), (4, 2, 3, 2), (2, 4, 4, 4)))
    functions = ADAPTERS[name].load().functions
    for op, operands in (
        ("conv2d", (x, w, None, 1, 0, 1, 2)),
        ("conv_transpose2d", (g, w, None, 1, 0, 0, 2, 1)),
        ("conv2d_input", (x.shape, w, g, 1, 0, 1, 2)),
        ("conv2d_weight", (x, w.shape, g, 1, 0, 1, 2)),
        ("conv2d_bias", (g,)),
    ):
        wide = [a.astype(np.float64) if hasattr(a, "dtype") else a for a in operands]
        got = functions[op](*operands)
        want = ConvCall((), (), op=op).function(*wide)
        np.testing.assert_array_equal(got.astype(np.float64), want)
        assert got.dtype == np_dtype
