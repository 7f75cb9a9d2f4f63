"""Every member of the family is the sum of the terms that `terms_of` lists."""

import math
from fractions import Fraction

import numpy as np
import pytest

import refconv
from refconv.testing.operation import OPS, Operation
from refconv.testing.terms import term_counts, terms_of


def draw(op, rng, groups=2):
    """A small call of any function of the family, with integers, as keyword arguments of Operation.of."""
    n = int(op[len("conv_transpose")] if "transpose" in op else op[4])
    size, kernel, stride, dilation = (rng.integers(low, high, n) for low, high in ((5, 8), (1, 4), (1, 4), (1, 3)))
    padding = rng.integers(0, 3, n)
    arguments = {
        "stride": tuple(map(int, stride)),
        "padding": tuple(map(int, padding)),
        "dilation": tuple(map(int, dilation)),
        "groups": groups,
    }
    x = rng.integers(-9, 9, (2, 2 * groups, *size)).astype(np.float32)
    w = rng.integers(-9, 9, (3 * groups, 2, *kernel)).astype(np.float32)
    if "transpose" in op:
        w = rng.integers(-9, 9, (2 * groups, 3, *kernel)).astype(np.float32)
    b = rng.integers(-9, 9, 3 * groups).astype(np.float32)
    if op in OPS[:6]:
        return {"input": x, "weight": w, "bias": b, **arguments}
    forward = getattr(refconv, f"conv{n}d")(x, w, **arguments)
    g = rng.integers(-9, 9, forward.shape).astype(np.float32)
    if op.endswith("_input"):
        return {"input": x.shape, "weight": w, "grad_output": g, **arguments}
    if op.endswith("_weight"):
        return {"input": x, "weight": w.shape, "grad_output": g, **arguments}
    return {"grad_output": g}


def from_refconv(op, call):
    module = refconv if op in OPS[:6] else refconv.grad
    renamed = {"input": "input_size" if op.endswith("_input") else "input"}
    renamed["weight"] = "weight_size" if op.endswith("_weight") else "weight"
    return getattr(module, op)(**{renamed.get(name, name): value for name, value in call.items()})


@pytest.mark.parametrize("op", OPS)
def test_an_operation_is_the_function_it_is_named_after(op):
    rng = np.random.default_rng(0)
    for _ in range(5):
        call = draw(op, rng)
        operation = Operation.of(op, **call)
        result = operation.exact().reshape(operation.result_shape)
        np.testing.assert_array_equal(result, from_refconv(op, call))


@pytest.mark.parametrize("op", OPS)
def test_the_terms_add_up(op):
    rng = np.random.default_rng(1)
    for _ in range(5):
        operation = Operation.of(op, **draw(op, rng))
        terms = terms_of(operation)
        total = terms.products(np.float64).sum(axis=0) + (0 if terms.bias is None else terms.bias)
        np.testing.assert_array_equal(total.reshape(operation.shape), operation.exact())
        counts = np.broadcast_to(term_counts(operation), operation.shape)
        own = terms.inside.sum(axis=0).reshape(operation.shape) + (operation.bias is not None)
        np.testing.assert_array_equal(counts, own)


def test_some_elements_have_the_same_terms_as_all():
    operation = Operation.of("conv2d", **draw("conv2d", np.random.default_rng(2)))
    chosen = [5, 0, math.prod(operation.shape) - 1]
    every, some = terms_of(operation), terms_of(operation, chosen)
    np.testing.assert_array_equal(every.x[:, chosen], some.x)
    np.testing.assert_array_equal(every.w_at[:, chosen], some.w_at)
    exact = sum(Fraction(float(a)) * Fraction(float(b)) for a, b in zip(some.x[:, 0], some.w[:, 0], strict=True))
    assert exact + Fraction(float(some.bias[0])) == Fraction(float(operation.exact().flat[5]))


def test_wrong_calls_are_refused():
    x = np.ones((1, 1, 3, 3), np.float32)
    with pytest.raises(ValueError, match=r"op must be one of conv1d, .* but got 'conv4d'"):
        Operation.of("conv4d", x, x)
    with pytest.raises(TypeError, match="conv2d_input needs the argument 'grad_output'"):
        Operation.of("conv2d_input", x, x)
    with pytest.raises(refconv.ConvError, match="Kernel size can't be greater"):
        Operation.of("conv2d", x, np.ones((1, 1, 4, 4), np.float32))
