"""What the layers are filled with: ordinary numbers, and numbers chosen to make correct rounding hard.

Every kind is float32 and depends on the layer alone, so that all processes compute the same convolution.

Two kinds of trouble are built on purpose.  *Cancelling* data: channel c and channel c + C_in/2 hold the same input and
opposite weights, so their products cancel exactly, but for the last pair, whose weights are small and do not cancel.
The sum of absolute values A is then about 2**k times the result.  *Ties*: a large product puts every output between
2**24 and 2**25, where float32 holds the even integers, and the other products are odd integers, an odd number of them:
the exact sum is an odd integer, half way between two float32 values.
"""

from functools import lru_cache
from zlib import crc32

import numpy as np

from benchmarks.zoo import Layer


def _normal(rng, layer):
    """Draw both operands from N(0, 1)."""
    return rng.standard_normal(layer.input), rng.standard_normal(layer.weight)


def _relu(rng, layer):
    """Set half of the input to zero, as after a ReLU."""
    x, w = _normal(rng, layer)
    return np.maximum(x, 0), w


def _heavy_tailed(rng, layer):
    """Draw the input from Student's t with two degrees of freedom: its variance is infinite."""
    return rng.standard_t(2, layer.input), rng.standard_normal(layer.weight)


def _cancelling(log2_condition):
    """Return a kind whose A/abs(result) is about 2**log2_condition; None makes the result exactly zero."""

    def fill(rng, layer):
        # float32 first: the halves must be opposite after rounding, not before.
        x, w = (operand.astype(np.float32) for operand in _normal(rng, layer))
        half = layer.weight[1] // 2
        x[:, half:] = x[:, :half]
        w[:, half:] = -w[:, :half]
        if log2_condition is not None:
            # For N(0, 1): A is about terms * 2/pi, and a last pair left as it is makes a result of variance terms/half.
            natural = layer.terms * (2 / np.pi) / np.sqrt(layer.terms / half)
            last_pair = [half - 1, 2 * half - 1]
            w[:, last_pair] = rng.standard_normal(w[:, last_pair].shape) * natural / 2.0**log2_condition
        return x, w

    return fill


def _ties(rng, layer):
    """Make every output an odd integer between 2**24 and 2**25.  All products are small integers, bar one."""
    x = rng.choice([-3.0, -1.0, 1.0, 3.0], layer.input)
    w = rng.choice([-3.0, -1.0, 1.0, 3.0], layer.weight)
    _add_large_product(x, w)
    return x, w


def _hidden_ties(rng, layer):
    """As `_ties`, with products of full precision that cancel in pairs, so that the tie does not show in the terms."""
    x, w = _ties(rng, layer)
    noise_x, noise_w = _cancelling(None)(rng, layer)
    half = layer.weight[1] // 2
    # Channels 1 to half - 2 and their partners make the noise; an odd number of integer products is left over.
    noisy = np.r_[1 : half - 1, half + 1 : 2 * half - 1]
    x[:, noisy], w[:, noisy] = noise_x[:, noisy], noise_w[:, noisy]
    return x, w


def _add_large_product(x, w):
    """Give channel 0 one tap, whose product is 1.5 * 2**24; the channels left must have an odd number of taps."""
    x[:, 0] = 2.0**12
    w[:, 0] = 0
    w[:, 0, w.shape[2] // 2, w.shape[3] // 2] = 1.5 * 2.0**12


def _int8(rng, layer):
    """Draw every int8 as often as any other."""
    return rng.integers(-128, 128, layer.input), rng.integers(-128, 128, layer.weight)


KINDS = {
    "normal": _normal,
    "after ReLU": _relu,
    "heavy-tailed": _heavy_tailed,
    "A/|y| = 2^10": _cancelling(10),
    "A/|y| = 2^20": _cancelling(20),
    "A/|y| = 2^30": _cancelling(30),
    "cancels to zero": _cancelling(None),
    "all ties": _ties,
    "ties, hidden": _hidden_ties,
    "int8": _int8,
}


@lru_cache(maxsize=1)
def float32_operands(layer: Layer):
    """Return the layer's input and weight as float32 arrays, always the same.

    In a gradient's place, the input's or the weight's, is the gradient by the output instead.
    """
    rng = np.random.default_rng(crc32(layer.name.encode()))
    x, w = KINDS[layer.data](rng, layer)
    if layer.task == "input gradient":
        x = rng.standard_normal(layer.output)
    elif layer.task == "weight gradient":
        w = rng.standard_normal(layer.output)
    return x.astype(np.float32, copy=False), w.astype(np.float32, copy=False)


@lru_cache(maxsize=1)
def int8_operands(layer: Layer):
    """Return `float32_operands`, which must be of the kind "int8", held in int8."""
    return tuple(operand.astype(np.int8) for operand in float32_operands(layer))


@lru_cache(maxsize=1)
def float64_operands(layer: Layer):
    """Return the same values as `float32_operands`, held in float64."""
    return tuple(operand.astype(np.float64) for operand in float32_operands(layer))


@lru_cache(maxsize=1)
def full_float64_operands(layer: Layer):
    """Return `float32_operands` with random bits below float32's last, so that all 53 bits are in use."""
    rng = np.random.default_rng(crc32(layer.name.encode()))
    return tuple(x * (1 + 2.0**-25 * rng.uniform(-1, 1, x.shape)) for x in float32_operands(layer))
