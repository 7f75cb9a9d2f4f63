"""Tensors to convolve in torch and here, and the comparison of their bits."""

import ml_dtypes
import pytest
import torch
from oracle import same_bits

FUNCTIONS = ["conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d"]
ARGUMENTS = {"stride": 2, "padding": 1, "dilation": 1, "groups": 2}
"""For all of these, with the operands below."""

DTYPES = [torch.float16, torch.bfloat16, torch.float32, torch.float64]
every_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=str)


def numbers(*shape, seed=0, dtype=torch.float32, requires_grad=False):
    """Numbers whose sums of products no format can hold."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype).requires_grad_(requires_grad)


def whole_numbers(shape, seed=0):
    """Numbers on which torch is exact in float64, to the third derivative of a sum of squares."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(-3, 4, shape, generator=generator).double().requires_grad_()


def as_array(tensor):
    tensor = tensor.detach()
    if tensor.dtype == torch.bfloat16:
        return tensor.view(torch.int16).numpy().view(ml_dtypes.bfloat16)
    return tensor.numpy()


def has_bits_of(tensor, array):
    return same_bits(as_array(tensor), array)


def operands(name, dtype=torch.float32, batch=(2,), requires_grad=False):
    """Input, weight and bias for a function."""
    n = int(name[-2])
    shapes = [*batch, 4, *[7, 6, 5][:n]], [4, 3, *[3, 2, 2][:n]], [6]
    if "transpose" not in name:
        shapes[1][:2] = 6, 2
    return [numbers(*shape, seed=seed, dtype=dtype, requires_grad=requires_grad) for seed, shape in enumerate(shapes)]
