"""The mode in which torch's convolutions are refconv's.

Torch hands every operation of a program to its dispatcher, the gradients that autograd computes included. A
`TorchDispatchMode` sees each operation just before torch runs it, below autograd, and may do it in another way.
"""

import enum
import functools
import re

import torch
from torch._subclasses import FakeTensor
from torch.utils._python_dispatch import TorchDispatchMode

from refconv.problem import ConvProblem
from refconv.torch import tensors
from refconv.torch.tensors import Options

__all__ = ["reference_mode"]


class reference_mode(TorchDispatchMode):
    """Context in which refconv performs every convolution of a torch program, those of ``backward()`` included.

    Parameters
    ----------
    algorithm, threads : optional
        As for `refconv.conv2d`. They make no difference to the results.

    Raises
    ------
    ConvError, TypeError
        Inside, from a convolution that `refconv.conv2d` (or the function for its kind) refuses, for its shapes or for
        a dtype that refconv does not have.
    NotImplementedError
        Inside, ``reference_mode: refconv has no quantized::conv2d.new, ...``: from the few convolutions of torch for
        which refconv has no counterpart. None is left to torch in silence.

    See Also
    --------
    conv2d : the same for a single call, and for gradients that are taken later on.

    Notes
    -----
    - The gradients are refconv's if ``backward()`` is called inside.
    - The mode holds for the thread that entered it (and for the threads in which autograd runs its ``backward()``).
      Another thread, of ``torch.nn.DataParallel`` for instance, has to enter a mode of its own.
    - Results are contiguous, whatever the memory format of the operands.
    - Tensors on other devices are copied to the CPU and the results back, with a warning the first time.
    - Integers keep the operands' dtype and wrap around, as in torch. Results of float8 operands, for which torch has no
      convolution, are float32.
    - Torch computes complex convolutions by three real ones. Each of the three is correctly rounded, their sums are
      torch's.
    - Models compiled by ``torch.compile`` run uncompiled inside. ``torch.jit.trace`` does not work inside; models
      traced before do.
    - Tensors without data (on the meta device, or fake) have no convolution to perform and are left to torch.

    Examples
    --------
    >>> import torch, refconv.torch
    >>> model = torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3), torch.nn.ReLU(), torch.nn.Conv2d(4, 2, 3))
    >>> x = torch.ones(1, 1, 8, 8)
    >>> with refconv.torch.reference_mode():
    ...     loss = model(x).square().mean()
    ...     loss.backward()
    >>> model[0].weight.grad.shape
    torch.Size([4, 1, 3, 3])
    """

    def __init__(self, *, algorithm="auto", threads=None):
        super().__init__()
        self._options = Options(algorithm, threads)

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        """Perform one operation; torch calls this."""
        kwargs = kwargs or {}
        kind = _kind(func)
        if kind is _Kind.OTHER:
            return func(*args, **kwargs)
        if _is_without_data(types, args):
            return func(*args, **kwargs)
        if types:
            # Tensors of a class with a dispatch of its own: it takes them apart, and the parts come back here.
            return NotImplemented
        if kind is _Kind.COMPOSITE:
            with self:
                return func.decompose(*args, **kwargs)
        if kind is _Kind.FOREIGN:
            raise NotImplementedError(
                f"reference_mode: refconv has no {func.name()}, and torch's own would not be exact; "
                "leave the mode for it, or use another convolution"
            )
        call = _arguments(func, args, kwargs)
        if kind is _Kind.FORWARD:
            operands = tensors.without_float8(*_operands(call), call["bias"])
            return tensors.convolution(_problem(func, call), self._options, *operands)
        operands = tensors.without_float8(*_operands(call))
        return self._gradients(_problem(func, call), *operands, call["grad_output"], call["output_mask"])

    def _gradients(self, problem, input, weight, grad_output, wanted):
        """The gradients of input, weight and bias, each if wanted, else None."""
        options = self._options
        grad_input = grad_weight = grad_bias = None
        input_wanted, weight_wanted, bias_wanted = wanted
        if bias_wanted:
            grad_bias = tensors.gradient_of_bias(options, grad_output)
        if not problem.transposed:
            if input_wanted:
                grad_input = tensors.gradient_of_input(problem, options, weight, grad_output)
            if weight_wanted:
                grad_weight = tensors.gradient_of_weight(problem, options, input, grad_output)
            return grad_input, grad_weight, grad_bias
        mirrored = tensors.mirrored(problem)
        if mirrored is None:
            grad_input = torch.zeros_like(input) if input_wanted else None
            grad_weight = torch.zeros_like(weight) if weight_wanted else None
            return grad_input, grad_weight, grad_bias
        read = grad_output[(..., *map(slice, mirrored.input_size))]
        if input_wanted:
            grad_input = tensors.convolution(mirrored, options, read, weight, None)
        if weight_wanted:
            grad_weight = tensors.gradient_of_weight(mirrored, options, read, input)
        return grad_input, grad_weight, grad_bias


class _Kind(enum.Enum):
    FORWARD = "a convolution, transposed or not"
    BACKWARD = "the gradients of one"
    COMPOSITE = "made of other operations, which come here in turn"
    FOREIGN = "a convolution that refconv does not have"
    OTHER = "no convolution"


_FORWARD = {
    "aten::convolution",
    "aten::_convolution",
    "aten::convolution_overrideable",
    # What these come down to on the CPU, for programs that call it themselves, as those with mkldnn tensors do.
    "aten::mkldnn_convolution",
    "aten::_nnpack_spatial_convolution",
    "aten::_conv_depthwise2d",
    "aten::conv_depthwise3d",
    "aten::_slow_conv2d_forward",
    "aten::slow_conv3d_forward",
    "aten::slow_conv_dilated2d",
    "aten::slow_conv_dilated3d",
    "aten::slow_conv_transpose2d",
    "aten::slow_conv_transpose3d",
}

_BACKWARD = {
    "aten::convolution_backward",
    "aten::convolution_backward_overrideable",
    "aten::_slow_conv2d_backward",
}

# Torch's operations with "conv" in their names, less those that only arrange a weight in memory.
_TORCHS = re.compile(r"(aten|_?quantized|mkldnn|mkldnn_prepacked|onednn)::(?!.*(convert|reorder|prepack|unpack)).*conv")


@functools.cache
def _kind(func):
    name = func._schema.name
    if not _TORCHS.match(name):
        return _Kind.OTHER
    # conv_tbc has gradients that reach the dispatcher as matrix products.
    if func._schema.is_mutable or name.startswith("aten::conv_tbc"):
        return _Kind.FOREIGN
    if func.has_kernel_for_dispatch_key(torch._C.DispatchKey.CompositeImplicitAutograd):
        return _Kind.COMPOSITE
    if name in _FORWARD:
        return _Kind.FORWARD
    return _Kind.BACKWARD if name in _BACKWARD else _Kind.FOREIGN


def _is_without_data(types, args):
    """Whether tensors are on the meta device or fake, so that only their shapes matter."""
    on_meta = any(isinstance(argument, torch.Tensor) and argument.is_meta for argument in args)
    return on_meta or any(issubclass(kind, FakeTensor) for kind in types)


def _arguments(func, args, kwargs):
    """The arguments of a call by the names that they have in the schema, or a default where there are none."""
    schema = func._schema.arguments
    given = dict(zip((argument.name for argument in schema), args, strict=False)) | kwargs
    defaults = {argument.name: argument.default_value for argument in schema if argument.has_default_value()}
    return {"bias": None, "dilation": 1, "output_padding": 0} | defaults | given


def _operands(call):
    return call["self"] if "self" in call else call["input"], call["weight"]


def _problem(func, call):
    input, weight = _operands(call)
    groups = call.get("groups", input.shape[1] if "depthwise" in func._schema.name else 1)
    bias = call["bias"]
    shapes = tuple(input.shape), tuple(weight.shape), None if bias is None else tuple(bias.shape)
    n = input.dim() - 2
    if call.get("transposed", "transpose" in func._schema.name):
        arguments = call["stride"], call["padding"], call["output_padding"], groups, call["dilation"]
        return ConvProblem.transposed_from_shapes(*shapes, *arguments, spatial_ndim=n)
    return ConvProblem.from_shapes(*shapes, call["stride"], call["padding"], call["dilation"], groups, spatial_ndim=n)
