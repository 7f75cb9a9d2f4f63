"""Errors that are allowed one by one, and impossible in practice all together: each of the three figures finds some."""

import numpy as np
import pytest

from refconv.testing import judge
from refconv.testing.bounds import Magnitudes
from refconv.testing.claim import Claim
from refconv.testing.formats import format_of
from refconv.testing.operation import Operation
from refconv.testing.statistics import usual_error_of


@pytest.fixture(scope="module")
def layer():
    """Operands, the exact sums, and the usual error of each."""
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((1, 512, 12, 12), np.float32), rng.standard_normal((16, 512, 1, 1), np.float32)
    operation = Operation.of("conv2d", x, w)
    exact = operation.exact(np.float64)
    magnitudes = Magnitudes.for_claim(operation, Claim())
    return x, w, exact, usual_error_of(magnitudes.Q, exact, magnitudes.m, Claim(), format_of(np.float32))


def verdict(layer, z):
    """On a result with so many usual errors."""
    x, w, exact, usual = layer
    return judge((exact + z * usual).astype(np.float32), x, w)


def normal(layer, size):
    return size * np.random.default_rng(1).standard_normal(layer[2].shape)


def test_usual_errors_are_not_suspicious(layer):
    assert verdict(layer, normal(layer, 1.0)).grade == "WITHIN"


def test_errors_larger_than_usual_are_suspicious(layer):
    found = verdict(layer, normal(layer, 2.5))
    assert found.grade == "SUSPICIOUS"
    assert abs(found.statistics.rms - 2.5) < 0.1
    assert "times what they usually are (root mean square)" in found.statistics.anomaly


def test_a_single_large_error_is_suspicious(layer):
    z = normal(layer, 0.5)
    z.flat[777] = 25.0
    found = verdict(layer, z)
    assert found.statistics.rms < 1
    assert found.grade == "SUSPICIOUS"
    assert abs(found.statistics.largest - 25) < 0.1
    assert "the largest error is" in found.statistics.anomaly


@pytest.mark.parametrize(("sign", "side"), [(1, "above"), (-1, "below")])
def test_results_that_are_all_on_one_side_are_suspicious(layer, sign, side):
    found = verdict(layer, normal(layer, 0.3) + 0.9 * sign)
    assert found.statistics.rms < 1.1
    assert found.grade == "SUSPICIOUS"
    assert abs(found.statistics.mean - 0.9 * sign) < 0.02
    assert f"results are {side} the exact ones by" in found.statistics.anomaly
