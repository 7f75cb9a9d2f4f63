"""The arithmetic of a result is told from the result."""

import numpy as np
import pytest

from refconv.testing import precision_fingerprint
from refconv.testing.correct import CORRECT
from refconv.testing.mutants import MUTANTS

# Channels, kernel: sums of 9, 27, 144, 576 and 4608 terms.
SIZES = {9: (1, 3), 27: (3, 3), 144: (16, 3), 576: (64, 3), 4608: (512, 3)}
DATA = {
    "normal": lambda rng, shape: rng.standard_normal(shape),
    "positive": lambda rng, shape: rng.uniform(0.5, 1.5, shape),
}


def operands(n, data, dtype=np.float32):
    channels, kernel = SIZES[n]
    rng = np.random.default_rng(n)
    x = DATA[data](rng, (1, channels, 7, 7)).astype(dtype)
    return x, DATA[data](rng, (4, channels, kernel, kernel)).astype(dtype)


@pytest.mark.parametrize("data", DATA)
@pytest.mark.parametrize("n", SIZES)
def test_narrower_arithmetic_is_told_apart_at_every_length(n, data):
    x, w = operands(n, data)
    seen = {
        name: precision_fingerprint(MUTANTS[name](x, w), x, w)
        for name in ("inputs rounded to TF32", "inputs rounded to bfloat16", "sums in float16", "sums in bfloat16")
    }
    assert {name: fingerprint.mistake for name, fingerprint in seen.items()} == {name: name for name in seen}
    assert seen["inputs rounded to TF32"].bits == 11
    assert seen["inputs rounded to bfloat16"].bits == 8
    for name in ("sequential", "pairwise", "lanes", "fused", "im2col", "largest_first"):
        fingerprint = precision_fingerprint(CORRECT[name](x, w), x, w)
        assert (fingerprint.bits, fingerprint.mistake) == (24, None), (name, fingerprint)


@pytest.mark.parametrize("n", [27, 576, 4608])
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("sequential", ("float32", "sequential")),
        ("backwards", ("float32", "backwards")),
        ("pairwise", ("float32", "pairwise")),
        ("lanes", ("float32", "lanes")),
        ("blocked", ("float32", "blocked")),
        ("fused", ("float32", "sequential with fused multiply-adds")),
    ],
)
def test_the_order_of_summation_is_told(n, name, expected):
    x, w = operands(n, "normal")
    fingerprint = precision_fingerprint(CORRECT[name](x, w), x, w)
    assert (fingerprint.accumulator, fingerprint.summation) == expected


@pytest.mark.parametrize("n", [27, 576])
def test_wider_sums_and_truncation_are_told(n):
    x, w = operands(n, "normal")
    rows = np.lib.stride_tricks.sliding_window_view(x, (3, 3), axis=(2, 3)).astype(np.float64)
    wide = np.einsum("nchwrs,kcrs->nkhw", rows, w.astype(np.float64)).astype(np.float32)
    assert precision_fingerprint(wide, x, w).accumulator in ("float64", None)
    total = np.zeros(wide.shape)
    for c in range(x.shape[1]):
        for r, s in np.ndindex(3, 3):
            total += rows[:, None, c, :, :, r, s] * w.astype(np.float64)[None, :, c, r, s, None, None]
            total = (
                (np.float32(total).view(np.uint32) - (np.abs(np.float32(total)) > np.abs(total)))
                .view(np.float32)
                .astype(float)
            )
    assert precision_fingerprint(total.astype(np.float32), x, w).accumulator == "float32, truncated"


def test_a_result_without_numbers_has_no_fingerprint():
    x, w = operands(9, "normal")
    fingerprint = precision_fingerprint(np.full((1, 4, 5, 5), np.nan, np.float32), x, w)
    assert (fingerprint.accumulator, fingerprint.mistake) == (None, None)
