"""Torch tensors are read where they are, whatever their layout, bfloat16 and requires_grad ones included."""

import numpy as np
import pytest
import torch
from oracle import FORMATS, same_bits
from problems import any_bits

import refconv

ARGUMENTS = {"stride": (2, 1), "padding": (1, 2), "groups": 2}

every_format = pytest.mark.parametrize("fmt", FORMATS.values(), ids=FORMATS)


def operands(fmt):
    fill = any_bits(1, fmt, rare=0)
    return fill((2, 4, 7, 6)), fill((6, 2, 3, 2)), fill((6,))


def as_tensor(a):
    if a.dtype == FORMATS["bfloat16"].dtype:
        return torch.from_numpy(a.view(np.int16).copy()).view(torch.bfloat16)
    return torch.from_numpy(a.copy())


TENSORS = {
    "plain": as_tensor,
    "requires_grad": lambda a: as_tensor(a).requires_grad_(),
    "parameter": lambda a: torch.nn.Parameter(as_tensor(a)),
    "result_of_autograd": lambda a: as_tensor(a).requires_grad_().clone(),
    "transposed": lambda a: as_tensor(a.T).permute(*range(a.ndim)[::-1]),
    "channels_last": lambda a: as_tensor(a).to(memory_format=torch.channels_last) if a.ndim == 4 else as_tensor(a),
    "sliced": lambda a: as_tensor(np.repeat(a, 2, axis=0))[::2],
    "expanded": lambda a: as_tensor(a[:1]).expand(a.shape),
}


@every_format
@pytest.mark.parametrize("tensor", TENSORS.values(), ids=TENSORS)
def test_torch_tensors_are_read_in_place(fmt, tensor):
    given = [tensor(a) for a in operands(fmt)]
    before = [a.detach().clone() for a in given]
    y = refconv.conv2d(*given, **ARGUMENTS)
    assert type(y) is np.ndarray
    arrays = [from_tensor(a) for a in given]
    assert same_bits(y, refconv.conv2d(*arrays, **ARGUMENTS))
    assert all(torch.equal(a, b) for a, b in zip(given, before, strict=True))
    for a in given:
        a.detach().zero_()
    assert same_bits(y, refconv.conv2d(*arrays, **ARGUMENTS)), "the result shares memory with a tensor"


def from_tensor(a):
    """By way of lists, so that no memory is shared and no bridge is trusted."""
    numbers = a.detach().double().tolist()
    return np.array(numbers).astype(FORMATS[str(a.dtype).removeprefix("torch.")].dtype)


def test_tensors_and_arrays_mix():
    x, w, b = operands(FORMATS["bfloat16"])
    assert same_bits(refconv.conv2d(as_tensor(x), w, as_tensor(b), **ARGUMENTS), refconv.conv2d(x, w, b, **ARGUMENTS))


def test_the_tensor_dtypes_are_accepted_as_output_formats():
    x, w, b = operands(FORMATS["float64"])
    for fmt in FORMATS.values():
        y = refconv.conv2d(x, w, b, **ARGUMENTS, dtype=getattr(torch, fmt.name))
        assert same_bits(y, refconv.conv2d(x, w, b, **ARGUMENTS, dtype=fmt.dtype))
