"""The layers that convolve backwards: `ConvTranspose1d`, `ConvTranspose2d`, `ConvTranspose3d`."""

from refconv import functional
from refconv.arguments import shape_tuple
from refconv.arrays import as_operand
from refconv.errors import ConvError
from refconv.geometry import transposed_output_size
from refconv.nn.layer import ConvLayer

__all__ = ["ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d"]


class _ConvTranspose(ConvLayer):
    transposed = True

    def __init__(
        self,
        in_channels,
        out_channels,
        kernel_size,
        stride=1,
        padding=0,
        output_padding=0,
        groups=1,
        bias=True,
        dilation=1,
        padding_mode="zeros",
        *,
        dtype=None,
        rng=None,
        algorithm="auto",
        threads=None,
    ):
        if padding_mode != "zeros":
            raise ConvError(f'Only "zeros" padding mode is supported for {type(self).__name__}')
        super().__init__(
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
        )

    def __call__(self, input, output_size=None):
        """The same as `forward`."""
        return self.forward(input, output_size)

    def forward(self, input, output_size=None):
        """Apply the layer: the transposed cross-correlation of the input with the weight, plus the bias, rounded once.

        Parameters
        ----------
        input : array_like, shape (N, in_channels, ...) or (in_channels, ...)
            One size per spatial axis; of the layer's dtype.
        output_size : sequence of int, optional
            Sizes that the output is to have, one per spatial axis or as its whole shape. With a stride above 1 several
            are possible; by default the layer's output_padding decides, with it that argument does not count.

        Returns
        -------
        ndarray, shape (N, out_channels, ...) or (out_channels, ...)

        Raises
        ------
        ConvError
            ``ConvTranspose2D: for 4D input, output_size must have 2 or 4 elements (got 3)``, ``requested an output
            size of [5, 5], but valid sizes range from [17, 17] to [18, 18] (for an input of [8, 8])``, and as the
            function of the layer's name.
        TypeError
            As that function.
        """
        input = as_operand(input, type(self).__name__, "input")
        output_padding = self.output_padding
        # An input with the wrong number of axes is for the function to complain about.
        if output_size is not None and input.ndim in (self.spatial_ndim + 1, self.spatial_ndim + 2):
            output_padding = self._output_padding(input, output_size)
        return self._call(input, self.stride, self.padding, output_padding, self.groups, self.dilation)

    def _output_padding(self, input, output_size):
        n = self.spatial_ndim
        output_size = shape_tuple(type(self).__name__, "output_size", output_size)
        if len(output_size) == input.ndim:
            output_size = output_size[-n:]
        if len(output_size) != n:
            raise ConvError(
                f"ConvTranspose{n}D: for {input.ndim}D input, output_size must have {n} or {input.ndim} elements "
                f"(got {len(output_size)})"
            )
        sizes = input.shape[-n:]
        pairs = [(p, p) if isinstance(p, int) else p for p in self.padding]
        axes = zip(sizes, self.kernel_size, self.stride, pairs, self.dilation, strict=True)
        least = [transposed_output_size(*axis, output_padding=0) for axis in axes]
        most = [size + stride - 1 for size, stride in zip(least, self.stride, strict=True)]
        if not all(low <= size <= high for low, size, high in zip(least, output_size, most, strict=True)):
            raise ConvError(
                f"requested an output size of {list(output_size)}, but valid sizes range from {least} to {most} "
                f"(for an input of {list(sizes)})"
            )
        return tuple(size - low for size, low in zip(output_size, least, strict=True))


class ConvTranspose2d(_ConvTranspose):
    """Correctly rounded transposed 2-D cross-correlation, which takes the output of a `Conv2d` back to its input.

    Parameters
    ----------
    in_channels, out_channels : int
        Channels of the input and of the output.
    kernel_size : int or (int, int)
    stride : int or (int, int), default 1
    padding : int, (int, int) or ((int, int), (int, int)), default 0
        What is cropped from the ends of the output.
    output_padding : int or (int, int), default 0
        What is added to the end of the output.
    groups : int, default 1
        Must divide both numbers of channels.
    bias : bool, default True
        Whether the layer adds a number to each output channel.
    dilation : int or (int, int), default 1
    padding_mode : {'zeros'}
        There for torch's sake.
    dtype : dtype, optional
        float16, bfloat16, float32, float64, complex64 or complex128, of the parameters and so of the input; float32 by
        default. Arrays of other dtypes that `refconv.conv_transpose2d` takes can be assigned to weight and bias.
    rng : int or numpy.random.Generator, optional
        Where the parameters come from: a seed, or a generator, which is drawn from. By default they are different
        each time.
    algorithm, threads : optional
        As for `refconv.conv_transpose2d`.

    Attributes
    ----------
    weight : ndarray, shape (in_channels, out_channels // groups, kH, kW)
    bias : ndarray, shape (out_channels,), or None

    Raises
    ------
    ConvError
        ``Only "zeros" padding mode is supported for ConvTranspose2d``, ``groups must be a positive integer`` and
        torch's other texts, in its order.
    TypeError
        ``ConvTranspose2d(): argument 'stride' must be an int or a tuple of 2 ints, not ...``

    See Also
    --------
    refconv.conv_transpose2d : the function that the layer calls.

    Notes
    -----
    The parameters are drawn as by ``torch.nn.ConvTranspose2d``: first the weight, then the bias, both uniformly from
    [-b, b] with b = 1 / sqrt(out_channels / groups * kH * kW). The generator is NumPy's, so the numbers are others.

    Examples
    --------
    >>> import numpy as np
    >>> from refconv.nn import ConvTranspose2d
    >>> layer = ConvTranspose2d(1, 1, 2, stride=2, bias=False)
    >>> layer.weight[:] = [[1, 2], [3, 4]]
    >>> x = np.float32([[[1, 10]]])
    >>> layer(x)                                     # each element puts a multiple of the weight
    array([[[ 1.,  2., 10., 20.],
            [ 3.,  4., 30., 40.]]], dtype=float32)
    >>> layer(x, output_size=(2, 5)).shape
    (1, 2, 5)
    """

    spatial_ndim = 2
    function = staticmethod(functional.conv_transpose2d)


class ConvTranspose1d(_ConvTranspose):
    """Correctly rounded transposed 1-D cross-correlation as a layer: `ConvTranspose2d` with one spatial axis.

    Parameters
    ----------
    in_channels, out_channels, groups, bias, padding_mode, dtype, rng, algorithm, threads
        As for `ConvTranspose2d`.
    kernel_size, stride, output_padding, dilation : int or (int,)
    padding : int, (int,) or ((int, int),), default 0

    Attributes
    ----------
    weight : ndarray, shape (in_channels, out_channels // groups, kW)
    bias : ndarray, shape (out_channels,), or None

    Examples
    --------
    >>> import numpy as np
    >>> from refconv.nn import ConvTranspose1d
    >>> layer = ConvTranspose1d(1, 1, 3, stride=2, bias=False)
    >>> layer.weight[:] = [1, 2, 1]
    >>> layer(np.float32([[1, 3]]))                  # halfway between the elements lies twice their mean
    array([[1., 2., 4., 6., 3.]], dtype=float32)
    """

    spatial_ndim = 1
    function = staticmethod(functional.conv_transpose1d)


class ConvTranspose3d(_ConvTranspose):
    """Correctly rounded transposed 3-D cross-correlation as a layer: `ConvTranspose2d` with three spatial axes.

    Parameters
    ----------
    in_channels, out_channels, groups, bias, padding_mode, dtype, rng, algorithm, threads
        As for `ConvTranspose2d`.
    kernel_size, stride, output_padding, dilation : int or (int, int, int)
    padding : int, (int, int, int) or three (int, int), default 0

    Attributes
    ----------
    weight : ndarray, shape (in_channels, out_channels // groups, kD, kH, kW)
    bias : ndarray, shape (out_channels,), or None

    Examples
    --------
    >>> import numpy as np
    >>> from refconv.nn import ConvTranspose3d
    >>> ConvTranspose3d(4, 2, 2, stride=2)(np.ones((1, 4, 3, 8, 8), np.float32)).shape
    (1, 2, 6, 16, 16)
    """

    spatial_ndim = 3
    function = staticmethod(functional.conv_transpose3d)
