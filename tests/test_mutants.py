"""Every wrong implementation is rejected, no right one is."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
from test_operation import draw

from refconv.testing import judge
from refconv.testing.correct import CORRECT
from refconv.testing.mutants import MUTANTS
from refconv.testing.operation import OPS, Operation
from refconv.testing.verdict import judge_operation


def test_there_are_as_many_as_promised():
    assert len(MUTANTS) >= 60
    assert len(CORRECT) >= 10


@pytest.mark.parametrize("op", OPS)
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_no_right_implementation_is_rejected(op, dtype):
    rng = np.random.default_rng(3)
    for case in range(3):
        call = draw(op, rng)
        if case and op in OPS[:3]:
            call.update(stride=1, dilation=1)  # for Winograd and FFT
        call = {
            name: (value * rng.standard_normal(value.shape)).astype(dtype) if isinstance(value, np.ndarray) else value
            for name, value in call.items()
        }
        operation = Operation.of(op, **call)
        for name, implementation in CORRECT.items():
            if implementation.admits(operation):
                result = implementation.compute(operation)
                verdict = judge_operation(result, operation, implementation.claim(dtype))
                assert verdict.right, (name, verdict)


def load_tool(name):
    spec = importlib.util.spec_from_file_location(name, Path(__file__).parent.parent / "tools" / f"{name}.py")
    tool = importlib.util.module_from_spec(spec)
    sys.modules[name] = tool  # its dataclass looks itself up
    spec.loader.exec_module(tool)
    return tool


def test_a_short_soak_rejects_nothing():
    lines = []
    assert load_tool("soak_oracle").soak(800, seed=7, report=lines.append), lines


def test_the_page_of_mistakes_is_that_of_the_catalogue():
    tool = load_tool("mistakes_table")
    assert tool.PAGE.read_text(encoding="utf-8") == tool.page(), "run make mistakes"
    listed = [name for _, names in tool.areas() for name in names]
    assert sorted(listed) == sorted(MUTANTS)


def test_mutants_and_right_ones_have_the_signature_of_the_suite():
    x, w, b = np.ones((1, 4, 4, 4), np.float32), np.ones((2, 2, 3, 3), np.float32), np.ones(2, np.float32)
    positional = (x, w, b, 1, 1, 1, 2)
    geometry = {"padding": 1, "groups": 2}
    assert judge(CORRECT["pairwise"](*positional), x, w, b, **geometry).grade == "EXACT"
    assert judge(MUTANTS["bias missing"](*positional), x, w, b, **geometry).grade == "WRONG"
