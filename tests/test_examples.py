"""The examples run, in their short forms, and notice when something is wrong."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("sklearn")

EXAMPLES = Path(__file__).parent.parent / "examples"


def run(example, *arguments):
    command = [sys.executable, EXAMPLES / example, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)


def load(example):
    spec = importlib.util.spec_from_file_location(Path(example).stem, EXAMPLES / example)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_lenet_learns_digits():
    result = run("lenet_digits.py", "--short")
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout.count("of the bound\n") == 3
    assert result.stdout.endswith("ok   the convolutions agree with torch's in float64\nok   the loss fell by half\n")


def test_lenet_says_so_if_it_has_not_learned():
    result = run("lenet_digits.py", "--short", "--steps", "4")
    assert result.returncode == 1, result.stderr
    assert result.stdout.endswith("ok   the convolutions agree with torch's in float64\nFAIL the loss fell by half\n")


@pytest.mark.parametrize("wrong", [None, "y", "grad_x", "grad_w"])
def test_lenet_notices_a_result_that_is_two_numbers_off(wrong):
    lenet_digits = load("lenet_digits.py")
    torch.manual_seed(0)
    layer = torch.nn.Conv2d(3, 4, 5)
    x = torch.randn(2, 3, 9, 9, requires_grad=True)
    with lenet_digits.reference_mode():
        y = layer(x)
        grad_y = torch.randn(y.shape)
        y.backward(grad_y)
    results = {"y": y.detach(), "grad_x": x.grad, "grad_w": layer.weight.grad}
    if wrong:
        first = results[wrong].view(-1)[:1]
        for _ in range(2):
            torch.nextafter(first, torch.tensor(torch.inf), out=first)
    shares = list(lenet_digits.shares(layer, x.detach(), results["y"], grad_y, results["grad_x"]))
    assert len(shares) == 3
    assert max(shares) > 0.9
    assert (max(shares) <= 1) == (wrong is None)
