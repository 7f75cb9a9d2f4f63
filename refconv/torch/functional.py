"""Convolutions that autograd can differentiate, any number of times.

With x for the input, w for the weight and g for the gradient of the output, all of a convolution is one number

    t(x, w, g) = sum(conv(x, w) * g),

linear in each of the three. Its derivatives by g, x and w are the convolution and its two gradients, each a function of
the other two. Deriving one of these again gives the other two: so three functions are closed under differentiation. For
complex tensors torch's gradients are those of the conjugate, hence the `.conj()`, which costs nothing for real ones.
"""

import dataclasses

import torch

from refconv.problem import ConvProblem
from refconv.torch import tensors
from refconv.torch.tensors import Options

__all__ = ["conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d"]


class _Convolution(torch.autograd.Function):
    """y = conv(x, w) + b."""

    @staticmethod
    def forward(problem, options, input, weight, bias):
        return tensors.convolution(problem, options, input, weight, bias)

    @staticmethod
    def setup_context(ctx, inputs, output):  # noqa: ARG004 - torch's signature
        ctx.problem, ctx.options, input, weight, _ = inputs
        ctx.save_for_backward(input, weight)

    @staticmethod
    def backward(ctx, grad_output):
        input, weight = ctx.saved_tensors
        *_, input_needed, weight_needed, bias_needed = ctx.needs_input_grad
        call = ctx.problem, ctx.options
        return (
            None,
            None,
            _GradientOfInput.apply(*call, weight.conj(), grad_output) if input_needed else None,
            _GradientOfWeight.apply(*call, input.conj(), grad_output) if weight_needed else None,
            _GradientOfBias.apply(ctx.options, grad_output) if bias_needed else None,
        )


class _GradientOfInput(torch.autograd.Function):
    """The derivative of t(x, w, g) by x, a function of w and g."""

    @staticmethod
    def forward(problem, options, weight, grad_output):
        return tensors.gradient_of_input(problem, options, weight, grad_output)

    @staticmethod
    def setup_context(ctx, inputs, output):  # noqa: ARG004
        ctx.problem, ctx.options, weight, grad_output = inputs
        ctx.save_for_backward(weight, grad_output)

    @staticmethod
    def backward(ctx, x):
        weight, grad_output = ctx.saved_tensors
        *_, weight_needed, grad_output_needed = ctx.needs_input_grad
        call = ctx.problem, ctx.options
        return (
            None,
            None,
            _GradientOfWeight.apply(*call, x, grad_output.conj()) if weight_needed else None,
            _Convolution.apply(*call, x, weight.conj(), None) if grad_output_needed else None,
        )


class _GradientOfWeight(torch.autograd.Function):
    """The derivative of t(x, w, g) by w, a function of x and g."""

    @staticmethod
    def forward(problem, options, input, grad_output):
        return tensors.gradient_of_weight(problem, options, input, grad_output)

    @staticmethod
    def setup_context(ctx, inputs, output):  # noqa: ARG004
        ctx.problem, ctx.options, input, grad_output = inputs
        ctx.save_for_backward(input, grad_output)

    @staticmethod
    def backward(ctx, w):
        input, grad_output = ctx.saved_tensors
        *_, input_needed, grad_output_needed = ctx.needs_input_grad
        call = ctx.problem, ctx.options
        return (
            None,
            None,
            _GradientOfInput.apply(*call, w, grad_output.conj()) if input_needed else None,
            _Convolution.apply(*call, input.conj(), w, None) if grad_output_needed else None,
        )


class _GradientOfBias(torch.autograd.Function):
    """The sum of each channel of g."""

    @staticmethod
    def forward(options, grad_output):
        return tensors.gradient_of_bias(options, grad_output)

    @staticmethod
    def setup_context(ctx, inputs, output):  # noqa: ARG004
        ctx.shape = inputs[1].shape

    @staticmethod
    def backward(ctx, b):
        return None, b.reshape(1, -1, *[1] * (len(ctx.shape) - 2)).expand(ctx.shape)


class _TransposedConvolution(torch.autograd.Function):
    """y = conv_transpose(x, w) + b, whose gradients are those of the mirrored convolution."""

    @staticmethod
    def forward(problem, options, input, weight, bias):
        return tensors.convolution(problem, options, input, weight, bias)

    @staticmethod
    def setup_context(ctx, inputs, output):  # noqa: ARG004
        ctx.problem, ctx.options, input, weight, _ = inputs
        ctx.save_for_backward(input, weight)

    @staticmethod
    def backward(ctx, grad_output):
        input, weight = ctx.saved_tensors
        *_, input_needed, weight_needed, bias_needed = ctx.needs_input_grad
        grad_input = grad_weight = None
        mirrored = tensors.mirrored(ctx.problem)
        if mirrored is not None:
            call = mirrored, ctx.options
            read = grad_output[(..., *map(slice, mirrored.input_size))]
            if input_needed:
                grad_input = _Convolution.apply(*call, read, weight.conj(), None)
            if weight_needed:
                grad_weight = _GradientOfWeight.apply(*call, read, input.conj())
        grad_bias = _GradientOfBias.apply(ctx.options, grad_output) if bias_needed else None
        return None, None, grad_input, grad_weight, grad_bias


def conv1d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1, *, algorithm="auto", threads=None):
    """Correctly rounded 1-D cross-correlation of tensors: `conv2d` with one spatial axis.

    Parameters
    ----------
    input : Tensor, shape (N, C_in, W) or (C_in, W)
    weight : Tensor, shape (C_out, C_in // groups, kW)
    bias : Tensor, shape (C_out,), optional
    stride, padding, dilation, groups, algorithm, threads
        As for `refconv.conv1d`.

    Returns
    -------
    Tensor, shape (N, C_out, oW) or (C_out, oW)
    """
    arguments = stride, padding, dilation, groups
    return _convolve(1, input, weight, bias, arguments, Options(algorithm, threads))


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1, *, algorithm="auto", threads=None):
    """Correctly rounded 2-D cross-correlation (the deep-learning "convolution"; the kernel is not flipped) of tensors.

    Takes the place of ``torch.nn.functional.conv2d``. Its gradients, and theirs, are refconv's too.

    Parameters
    ----------
    input : Tensor, shape (N, C_in, H, W) or (C_in, H, W)
        float8 (e4m3fn, e5m2), float16, bfloat16, float32, float64, complex64 or complex128, in any memory format; or
        integers, which have no gradients. From another device it is copied to the CPU, and the result back, with a
        warning the first time.
    weight : Tensor, shape (C_out, C_in // groups, kH, kW)
        Of the same dtype.
    bias : Tensor, shape (C_out,), optional
        Of the same dtype.
    stride, padding, dilation, groups, algorithm, threads
        As for `refconv.conv2d`.

    Returns
    -------
    Tensor, shape (N, C_out, oH, oW) or (C_out, oH, oW)
        Contiguous, of the operands' dtype, with the bits of `refconv.conv2d`. Integers that do not fit wrap around, as
        in torch. Of float8 operands, for which torch has no convolution, the result is float32.

    Raises
    ------
    ConvError
        As `refconv.conv2d`.
    TypeError
        ``conv2d(): argument 'input' must be a torch tensor, not ...``, and as `refconv.conv2d`.

    See Also
    --------
    reference_mode : to exchange the convolutions of a model without touching it.

    Notes
    -----
    Each gradient of one convolution is the exact sum, rounded once to the dtype of the operands. Where several
    contribute to the gradient of one tensor, torch adds them, and rounds each time.

    Examples
    --------
    >>> import torch, refconv.torch
    >>> x = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]], requires_grad=True)
    >>> w = torch.tensor([[[[1.0, 0.0], [0.0, 1.0]]]], requires_grad=True)
    >>> y = refconv.torch.conv2d(x, w)               # 1 + 4
    >>> y.sum().backward()
    >>> w.grad                                       # the input again
    tensor([[[[1., 2.],
              [3., 4.]]]])
    """
    arguments = stride, padding, dilation, groups
    return _convolve(2, input, weight, bias, arguments, Options(algorithm, threads))


def conv3d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1, *, algorithm="auto", threads=None):
    """Correctly rounded 3-D cross-correlation of tensors: `conv2d` with three spatial axes.

    Parameters
    ----------
    input : Tensor, shape (N, C_in, D, H, W) or (C_in, D, H, W)
    weight : Tensor, shape (C_out, C_in // groups, kD, kH, kW)
    bias : Tensor, shape (C_out,), optional
    stride, padding, dilation, groups, algorithm, threads
        As for `refconv.conv3d`.

    Returns
    -------
    Tensor, shape (N, C_out, oD, oH, oW) or (C_out, oD, oH, oW)
    """
    arguments = stride, padding, dilation, groups
    return _convolve(3, input, weight, bias, arguments, Options(algorithm, threads))


def conv_transpose1d(
    input,
    weight,
    bias=None,
    stride=1,
    padding=0,
    output_padding=0,
    groups=1,
    dilation=1,
    *,
    algorithm="auto",
    threads=None,
):
    """Correctly rounded transposed 1-D cross-correlation of tensors: `conv_transpose2d` with one spatial axis.

    Parameters
    ----------
    input : Tensor, shape (N, C_in, W) or (C_in, W)
    weight : Tensor, shape (C_in, C_out // groups, kW)
    bias : Tensor, shape (C_out,), optional
    stride, padding, output_padding, groups, dilation, algorithm, threads
        As for `refconv.conv_transpose1d`.

    Returns
    -------
    Tensor, shape (N, C_out, oW) or (C_out, oW)
    """
    arguments = stride, padding, output_padding, groups, dilation
    return _convolve_transposed(1, input, weight, bias, arguments, Options(algorithm, threads))


def conv_transpose2d(
    input,
    weight,
    bias=None,
    stride=1,
    padding=0,
    output_padding=0,
    groups=1,
    dilation=1,
    *,
    algorithm="auto",
    threads=None,
):
    """Correctly rounded transposed 2-D cross-correlation of tensors, back from the output of `conv2d` to its input.

    Takes the place of ``torch.nn.functional.conv_transpose2d``. Its gradients, and theirs, are refconv's too.

    Parameters
    ----------
    input : Tensor, shape (N, C_in, H, W) or (C_in, H, W)
        As for `conv2d`.
    weight : Tensor, shape (C_in, C_out // groups, kH, kW)
        Of the same dtype.
    bias : Tensor, shape (C_out,), optional
        Of the same dtype.
    stride, padding, output_padding, groups, dilation, algorithm, threads
        As for `refconv.conv_transpose2d`.

    Returns
    -------
    Tensor, shape (N, C_out, oH, oW) or (C_out, oH, oW)
        Contiguous, with the bits of `refconv.conv_transpose2d`.

    Raises
    ------
    ConvError
        As `refconv.conv_transpose2d`.
    TypeError
        ``conv_transpose2d(): argument 'input' must be a torch tensor, not ...``, and as `refconv.conv_transpose2d`.

    Examples
    --------
    >>> import torch, refconv.torch
    >>> x = torch.tensor([[[1.0, 10.0]]])
    >>> w = torch.tensor([[[[1.0, 2.0]]]])
    >>> refconv.torch.conv_transpose2d(x, w, stride=(1, 2))
    tensor([[[ 1.,  2., 10., 20.]]])
    """
    arguments = stride, padding, output_padding, groups, dilation
    return _convolve_transposed(2, input, weight, bias, arguments, Options(algorithm, threads))


def conv_transpose3d(
    input,
    weight,
    bias=None,
    stride=1,
    padding=0,
    output_padding=0,
    groups=1,
    dilation=1,
    *,
    algorithm="auto",
    threads=None,
):
    """Correctly rounded transposed 3-D cross-correlation of tensors: `conv_transpose2d` with three spatial axes.

    Parameters
    ----------
    input : Tensor, shape (N, C_in, D, H, W) or (C_in, D, H, W)
    weight : Tensor, shape (C_in, C_out // groups, kD, kH, kW)
    bias : Tensor, shape (C_out,), optional
    stride, padding, output_padding, groups, dilation, algorithm, threads
        As for `refconv.conv_transpose3d`.

    Returns
    -------
    Tensor, shape (N, C_out, oD, oH, oW) or (C_out, oD, oH, oW)
    """
    arguments = stride, padding, output_padding, groups, dilation
    return _convolve_transposed(3, input, weight, bias, arguments, Options(algorithm, threads))


def _convolve(n, input, weight, bias, arguments, options):
    shapes = _shapes(f"conv{n}d", input=input, weight=weight, bias=bias)
    problem = ConvProblem.from_shapes(*shapes, *arguments, spatial_ndim=n)
    return _apply(_Convolution, problem, options, input, weight, bias)


def _convolve_transposed(n, input, weight, bias, arguments, options):
    shapes = _shapes(f"conv_transpose{n}d", input=input, weight=weight, bias=bias)
    problem = ConvProblem.transposed_from_shapes(*shapes, *arguments, spatial_ndim=n)
    return _apply(_TransposedConvolution, problem, options, input, weight, bias)


def _shapes(name, **operands):
    for argument, operand in operands.items():
        if not isinstance(operand, torch.Tensor) and not (operand is None and argument == "bias"):
            kind = f"{type(operand).__module__}.{type(operand).__qualname__}".removeprefix("builtins.")
            raise TypeError(f"{name}(): argument '{argument}' must be a torch tensor, not {kind}")
    return [None if operand is None else tuple(operand.shape) for operand in operands.values()]


def _apply(function, problem, options, input, weight, bias):
    input, weight, bias = tensors.without_float8(input, weight, bias)
    if problem.batched:
        return function.apply(problem, options, input, weight, bias)
    problem = dataclasses.replace(problem, batched=True)
    return function.apply(problem, options, input.unsqueeze(0), weight, bias).squeeze(0)
