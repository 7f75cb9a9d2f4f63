"""refconv's convolutions on tensors: from torch to NumPy and back. No autograd here.

Four functions, each correctly rounded, on batched tensors of one dtype. For a problem that is not transposed

    convolution         y    of the problem's output shape, from input, weight and bias
    gradient_of_input   of the problem's input shape,  from weight and grad_output
    gradient_of_weight  of the problem's weight shape, from input  and grad_output
    gradient_of_bias    one number per channel, from grad_output alone

and `mirrored` turns the gradients of a transposed problem into these.
"""

import functools
import warnings
from typing import NamedTuple

import numpy as np
import torch

from refconv import functional, grad
from refconv.geometry import extent
from refconv.problem import ConvProblem

__all__ = [
    "Options",
    "convolution",
    "gradient_of_bias",
    "gradient_of_input",
    "gradient_of_weight",
    "mirrored",
    "without_float8",
]


class Options(NamedTuple):
    """How to compute; it makes no difference to the result."""

    algorithm: str
    threads: int | None


def convolution(problem, options, input, weight, bias):
    """The convolution, or transposed convolution, that a problem describes."""
    arguments = [problem.stride, problem.padding, problem.dilation, problem.groups]
    if problem.transposed:
        arguments[2:] = problem.output_padding, problem.groups, problem.dilation
    operands = [None if operand is None else _dense_on_cpu(operand) for operand in (input, weight, bias)]
    # Torch's integers keep the operands' dtype and wrap around. A mix of dtypes is refused unless one is asked for.
    mixed = any(operand is not None and operand.dtype != input.dtype for operand in operands)
    result = {} if mixed else {"dtype": input.dtype, "overflow": "wrap"}
    output = getattr(functional, problem.name)(*operands, *arguments, **result, **options._asdict())
    return _tensor(output, like=input)


def gradient_of_input(problem, options, weight, grad_output):
    """What ``sum(convolution(x, weight) * grad_output)`` grows by with each element of x."""
    operands = problem.input_shape, _dense_on_cpu(weight), _dense_on_cpu(grad_output)
    return _gradient("input", problem, options, operands, like=grad_output)


def gradient_of_weight(problem, options, input, grad_output):
    """What ``sum(convolution(input, w) * grad_output)`` grows by with each element of w."""
    operands = _dense_on_cpu(input), problem.weight_shape, _dense_on_cpu(grad_output)
    return _gradient("weight", problem, options, operands, like=grad_output)


def gradient_of_bias(options, grad_output):
    """The sum of each channel."""
    function = getattr(grad, f"conv{grad_output.dim() - 2}d_bias")
    return _tensor(function(_dense_on_cpu(grad_output), **options._asdict()), like=grad_output)


def _gradient(of, problem, options, operands, like):
    function = getattr(grad, f"{problem.name}_{of}")
    arguments = problem.stride, problem.padding, problem.dilation, problem.groups
    return _tensor(function(*operands, *arguments, **options._asdict()), like=like)


def mirrored(problem):
    """Return the convolution that a transposed problem is the gradient of, or None if its weight meets nothing.

    A transposed convolution takes the output of this one back to its input. So its own gradients are, with x and g for
    its input and the gradient of its output, the convolution of g with the weight, and `gradient_of_weight` of g and x.
    Both read g only as far as the problem returned here goes: output_padding may have added elements that no tap
    reaches, and more of them than would fit into a stride.

    Parameters
    ----------
    problem : ConvProblem
        Transposed and batched.

    Returns
    -------
    ConvProblem or None
        Its output size is the transposed problem's input size.
    """
    sizes, padding = [], []
    axes = zip(
        problem.output_size,
        problem.input_size,
        problem.kernel_size,
        problem.stride,
        problem.padding,
        problem.dilation,
        strict=True,
    )
    for size, positions, kernel, stride, (begin, _), dilation in axes:
        # The last window ends before this index. Up to a stride less one, elements after it do no harm.
        stop = (positions - 1) * stride - begin + extent(kernel, dilation)
        sizes.append(min(size, stop + stride - 1))
        padding.append((begin, max(stop - size, 0)))
    if min(sizes) < 1:
        return None
    return ConvProblem.from_shapes(
        (problem.N, problem.C_out, *sizes),
        problem.weight_shape,
        None,
        problem.stride,
        tuple(padding),
        problem.dilation,
        problem.groups,
        spatial_ndim=problem.spatial_ndim,
    )


def without_float8(*operands):
    """The operands, or if all of them are of one float8 dtype the same numbers as float32, which their result is of."""
    dtypes = {operand.dtype for operand in operands if operand is not None}
    if len(dtypes) > 1 or not dtypes <= {torch.float8_e4m3fn, torch.float8_e5m2}:
        return operands
    return tuple(None if operand is None else operand.float() for operand in operands)


def _dense_on_cpu(tensor):
    if tensor.is_mkldnn:
        tensor = tensor.to_dense()
    if tensor.device.type != "cpu":
        _warn_of_copies(tensor.device.type)
        tensor = tensor.cpu()
    return tensor


@functools.cache  # once for each kind of device
def _warn_of_copies(device):
    warnings.warn(f"refconv computes on the CPU: tensors on {device} are copied there and back", stacklevel=2)


def _tensor(array, like):
    """A tensor with the memory of an array, on the device and in the layout of another tensor."""
    if array.dtype.name == "bfloat16":  # torch does not know the NumPy type
        tensor = torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)
    else:
        tensor = torch.from_numpy(array)
    tensor = tensor.to(like.device)
    return tensor.to_mkldnn() if like.is_mkldnn else tensor
