"""Right implementations are not rejected under their own claims: a short form of tools/suite_soak.py."""

import importlib.util
from pathlib import Path

import pytest

from refconv.testing.correct import CORRECT

TOOL = Path(__file__).parent.parent / "tools" / "suite_soak.py"


@pytest.fixture(scope="module")
def tool():
    spec = importlib.util.spec_from_file_location("suite_soak", TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["pairwise", "winograd_f4", "fft"])
def test_a_right_implementation_conforms(tool, name):
    target = tool.target_of(CORRECT[name], dtypes=("float32",))
    result = tool.quick_run(target, seed=1, share=0.05)
    assert [row.key for row in result.failures] == []
    assert result.cases >= 50
