"""What all six layers share: their arguments and the checks of these, parameters, state, and how they are printed."""

import math
from collections.abc import Mapping

import numpy as np

from refconv.arguments import int_tuple, integer, padding_argument
from refconv.arrays import as_operand
from refconv.dtypes import kind_of, parameter_dtype
from refconv.errors import ConvError
from refconv.nn.padding import PADDING_MODES

__all__ = ["ConvLayer"]


class ConvLayer:
    """A weight, a bias, and the arguments of the convolution that they are for.

    Subclasses say of how many spatial axes, whether it is transposed, and which function computes it; they have the
    public constructors, whose docstrings describe the arguments.
    """

    spatial_ndim: int
    transposed: bool
    function: staticmethod

    def __init__(
        self,
        in_channels,
        out_channels,
        kernel_size,
        stride,
        padding,
        output_padding,
        dilation,
        groups,
        bias,
        padding_mode,
        dtype,
        rng,
        algorithm,
        threads,
    ):
        name = type(self).__name__
        self.in_channels = integer(name, "in_channels", in_channels)
        self.out_channels = integer(name, "out_channels", out_channels)
        self.kernel_size = int_tuple(name, "kernel_size", kernel_size, self.spatial_ndim)
        self.stride = int_tuple(name, "stride", stride, self.spatial_ndim)
        self.padding = padding_argument(name, padding, self.spatial_ndim, strings=not self.transposed)
        self.output_padding = int_tuple(name, "output_padding", output_padding, self.spatial_ndim)
        self.dilation = int_tuple(name, "dilation", dilation, self.spatial_ndim)
        self.groups = integer(name, "groups", groups)
        self.padding_mode = padding_mode
        self.algorithm = algorithm
        self.threads = threads
        self._check_arguments()

        dtype = parameter_dtype(name, dtype)
        first, second = self.in_channels, self.out_channels
        if not self.transposed:
            first, second = second, first
        shape = (first, second // self.groups, *self.kernel_size)
        if min(shape) < 0:
            negative = next(size for size in shape if size < 0)
            raise ConvError(f"Trying to create tensor with negative dimension {negative}: {list(shape)}")
        # Torch's rule. For a transposed layer torch takes the same axes, although these are not what one output sums.
        fan_in = math.prod(shape[1:])
        bound = 1 / math.sqrt(fan_in) if fan_in else 0.0
        rng = np.random.default_rng(rng)
        self.weight = _uniform(rng, bound, shape, dtype)
        self.bias = _uniform(rng, bound, (self.out_channels,), dtype) if bias else None

    def _check_arguments(self):
        """Check what torch's constructor checks, in its order; then that there is a number for each axis.

        Whether a stride is positive or a padding not negative is left to the call, as in torch.
        """
        if self.groups <= 0:
            raise ConvError("groups must be a positive integer")
        if self.in_channels % self.groups != 0:
            raise ConvError("in_channels must be divisible by groups")
        if self.out_channels % self.groups != 0:
            raise ConvError("out_channels must be divisible by groups")
        if isinstance(self.padding, str):
            if self.padding not in ("same", "valid"):
                raise ConvError(f"Invalid padding string {self.padding!r}, should be one of {{'same', 'valid'}}")
            if self.padding == "same" and any(s != 1 for s in self.stride):
                raise ConvError("padding='same' is not supported for strided convolutions")
        if self.padding_mode not in PADDING_MODES:
            modes = ", ".join(map(repr, PADDING_MODES))
            raise ConvError(f"padding_mode must be one of {{{modes}}}, but got padding_mode='{self.padding_mode}'")
        for argument in ("kernel_size", "stride", "padding", "output_padding", "dilation"):
            values = getattr(self, argument)
            if not isinstance(values, str) and len(values) != self.spatial_ndim:
                raise ConvError(
                    f"{type(self).__name__}(): argument '{argument}' must have one value for each of "
                    f"{self.spatial_ndim} spatial axes, but got {values}"
                )

    def __repr__(self):
        parts = [f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"]
        zeros, ones = (0,) * self.spatial_ndim, (1,) * self.spatial_ndim
        if self.padding != zeros:
            parts.append(f"padding={self.padding}")
        if self.dilation != ones:
            parts.append(f"dilation={self.dilation}")
        if self.output_padding != zeros:
            parts.append(f"output_padding={self.output_padding}")
        if self.groups != 1:
            parts.append(f"groups={self.groups}")
        if self.bias is None:
            parts.append("bias=False")
        if self.padding_mode != "zeros":
            parts.append(f"padding_mode={self.padding_mode}")
        return f"{type(self).__name__}({', '.join(parts)})"

    def state_dict(self):
        """Copies of the parameters by their names, for `load_state_dict` and for files.

        Returns
        -------
        dict of ndarray
            ``'weight'``, and ``'bias'`` if there is one.

        Examples
        --------
        >>> from refconv.nn import Conv2d
        >>> {name: array.shape for name, array in Conv2d(3, 16, 5).state_dict().items()}
        {'weight': (16, 3, 5, 5), 'bias': (16,)}
        """
        return {name: parameter.copy() for name, parameter in self._parameters().items()}

    def load_state_dict(self, state_dict):
        """Replace the parameters by copies of those in a `state_dict`, one of a torch layer included.

        Parameters
        ----------
        state_dict : mapping of str to array_like
            Exactly the layer's parameters, in its shapes. They are converted to its dtype, which rounds if that is
            narrower. Torch tensors must be on the CPU.

        Raises
        ------
        ConvError
            ``Error(s) in loading state_dict for Conv2d: ...``: all that is missing, unexpected, of another shape, or
            complex in a real layer. The layer is then as before.
        TypeError
            ``Expected state_dict to be dict-like, got ...``, or if a value is no array of numbers.
        """
        if not isinstance(state_dict, Mapping):
            raise TypeError(f"Expected state_dict to be dict-like, got {type(state_dict)}.")
        parameters = self._parameters()
        function = f"{type(self).__name__}.load_state_dict"
        given = {name: as_operand(state_dict[name], function, name) for name in parameters if name in state_dict}
        errors = []
        if missing := [f'"{name}"' for name in parameters if name not in given]:
            errors.append(f"Missing key(s) in state_dict: {', '.join(missing)}. ")
        if unexpected := [f'"{name}"' for name in state_dict if name not in parameters]:
            errors.append(f"Unexpected key(s) in state_dict: {', '.join(unexpected)}. ")
        errors += [
            f"size mismatch for {name}: copying a param with shape {list(array.shape)} from checkpoint, "
            f"the shape in current model is {list(parameters[name].shape)}."
            for name, array in given.items()
            if array.shape != parameters[name].shape
        ]
        errors += [
            f"dtype mismatch for {name}: {array.dtype} in checkpoint, {parameters[name].dtype} in current model."
            for name, array in given.items()
            if kind_of(array.dtype) == "complex" != kind_of(parameters[name].dtype)
        ]
        if errors:
            raise ConvError("\n\t".join([f"Error(s) in loading state_dict for {type(self).__name__}:", *errors]))
        for name, array in given.items():
            setattr(self, name, array.astype(parameters[name].dtype, order="C"))

    def _parameters(self):
        parameters = {"weight": self.weight, "bias": self.bias}
        return {name: parameter for name, parameter in parameters.items() if parameter is not None}

    @classmethod
    def from_torch(cls, layer, *, algorithm="auto", threads=None):
        """A layer with the arguments and copies of the parameters of the torch layer of the same name.

        Parameters
        ----------
        layer : torch.nn.Module
            For `Conv2d` a ``torch.nn.Conv2d``, and so on; with its parameters on the CPU.
        algorithm, threads : optional
            As for the constructor.

        Returns
        -------
        ConvLayer
            Of this class, in the dtype of the torch layer's weight.

        Raises
        ------
        TypeError
            ``Conv2d.from_torch(): expected a torch.nn.Conv2d, not ...``

        Examples
        --------
        >>> import torch
        >>> from refconv.nn import Conv2d
        >>> Conv2d.from_torch(torch.nn.Conv2d(3, 16, 5, padding=2))
        Conv2d(3, 16, kernel_size=(5, 5), stride=(1, 1), padding=(2, 2))
        """
        # By name, because torch need not be installed. Classes derived from torch's are welcome.
        names = {f"{base.__module__}.{base.__qualname__}" for base in type(layer).__mro__}
        if f"torch.nn.modules.conv.{cls.__name__}" not in names:
            kind = f"{type(layer).__module__}.{type(layer).__qualname__}"
            raise TypeError(f"{cls.__name__}.from_torch(): expected a torch.nn.{cls.__name__}, not {kind}")
        arguments = {"output_padding": layer.output_padding} if cls.transposed else {"padding_mode": layer.padding_mode}
        made = cls(
            layer.in_channels,
            layer.out_channels,
            layer.kernel_size,
            stride=layer.stride,
            padding=layer.padding,
            dilation=layer.dilation,
            groups=layer.groups,
            bias=layer.bias is not None,
            algorithm=algorithm,
            threads=threads,
            **arguments,
        )
        for name in made._parameters():
            parameter = as_operand(getattr(layer, name), f"{cls.__name__}.from_torch", name)
            setattr(made, name, parameter.copy(order="C"))
        return made

    def _call(self, input, *arguments):
        return self.function(input, self.weight, self.bias, *arguments, algorithm=self.algorithm, threads=self.threads)


def _uniform(rng, bound, shape, dtype):
    """Numbers from [-bound, bound] in a format that may not contain the bound itself; of complex ones both parts."""
    if dtype.kind == "c":
        return _uniform(rng, bound, (*shape, 2), np.empty(0, dtype).real.dtype).view(dtype)[..., 0]
    inside = dtype.type(bound)
    if float(inside) > bound:
        inside = np.nextafter(inside, dtype.type(0))
    return rng.uniform(-float(inside), float(inside), shape).astype(dtype)
