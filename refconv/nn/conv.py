"""The layers that convolve: `Conv1d`, `Conv2d`, `Conv3d`."""

from refconv import functional
from refconv.arrays import as_operand
from refconv.geometry import same_padding
from refconv.nn.layer import ConvLayer
from refconv.nn.padding import pad

__all__ = ["Conv1d", "Conv2d", "Conv3d"]


class _Conv(ConvLayer):
    transposed = False

    def __init__(
        self,
        in_channels,
        out_channels,
        kernel_size,
        stride=1,
        padding=0,
        dilation=1,
        groups=1,
        bias=True,
        padding_mode="zeros",
        *,
        dtype=None,
        rng=None,
        algorithm="auto",
        threads=None,
    ):
        super().__init__(
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding,
            0,
            dilation,
            groups,
            bias,
            padding_mode,
            dtype,
            rng,
            algorithm,
            threads,
        )

    def __call__(self, input):
        """The same as `forward`."""
        return self.forward(input)

    def forward(self, input):
        """Apply the layer: pad the input, cross-correlate it with the weight, add the bias, round once.

        Parameters
        ----------
        input : array_like, shape (N, in_channels, ...) or (in_channels, ...)
            One size per spatial axis; of the layer's dtype.

        Returns
        -------
        ndarray, shape (N, out_channels, ...) or (out_channels, ...)

        Raises
        ------
        ConvError, TypeError
            As the function of the layer's name; before that, for the padding modes other than ``'zeros'``, as
            ``torch.nn.functional.pad``: ``Argument #4: Padding size should be less than the corresponding input
            dimension, ...`` or ``Padding value causes wrapping around more than once.``
        """
        padding = self.padding
        if self.padding_mode != "zeros":
            input = as_operand(input, type(self).__name__, "input")
            input = pad(input, self._padding_pairs(), self.padding_mode)
            padding = 0
        return self._call(input, self.stride, padding, self.dilation, self.groups)

    def _padding_pairs(self):
        if self.padding == "valid":
            return [(0, 0)] * self.spatial_ndim
        if self.padding == "same":
            return [same_padding(k, d) for k, d in zip(self.kernel_size, self.dilation, strict=True)]
        return [(p, p) if isinstance(p, int) else p for p in self.padding]


class Conv2d(_Conv):
    """Correctly rounded 2-D cross-correlation (the deep-learning "convolution"; the kernel is not flipped), as a layer.

    Parameters
    ----------
    in_channels, out_channels : int
        Channels of the input and of the output.
    kernel_size : int or (int, int)
    stride : int or (int, int), default 1
    padding : int, (int, int), ((int, int), (int, int)), 'same' or 'valid', default 0
        As for `refconv.conv2d`.
    dilation : int or (int, int), default 1
    groups : int, default 1
        Must divide both numbers of channels.
    bias : bool, default True
        Whether the layer adds a number to each output channel.
    padding_mode : {'zeros', 'reflect', 'replicate', 'circular'}, default 'zeros'
        What the padding consists of: of nothing, or of the input itself, mirrored at its edges, with its edges
        repeated, or closed to a ring. In these three modes a negative padding crops the input.
    dtype : dtype, optional
        float16, bfloat16, float32, float64, complex64 or complex128, of the parameters and so of the input; float32 by
        default. Arrays of other dtypes that `refconv.conv2d` takes can be assigned to weight and bias.
    rng : int or numpy.random.Generator, optional
        Where the parameters come from: a seed, or a generator, which is drawn from. By default they are different
        each time.
    algorithm, threads : optional
        As for `refconv.conv2d`.

    Attributes
    ----------
    weight : ndarray, shape (out_channels, in_channels // groups, kH, kW)
    bias : ndarray, shape (out_channels,), or None

    Raises
    ------
    ConvError
        ``groups must be a positive integer``, ``in_channels must be divisible by groups``, ``Invalid padding string
        ...`` and torch's other texts, in its order.
    TypeError
        ``Conv2d(): argument 'stride' must be an int or a tuple of 2 ints, not ...``

    See Also
    --------
    refconv.conv2d : the function that the layer calls.

    Notes
    -----
    The parameters are drawn as by ``torch.nn.Conv2d``: first the weight, then the bias, both uniformly from
    [-b, b] with b = 1 / sqrt(in_channels / groups * kH * kW). The generator is NumPy's, so the numbers are others.

    Examples
    --------
    >>> import numpy as np
    >>> from refconv.nn import Conv2d
    >>> layer = Conv2d(1, 1, 3, padding=1, padding_mode="circular", bias=False)
    >>> layer
    Conv2d(1, 1, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1), bias=False, padding_mode=circular)
    >>> layer.weight[:] = 1
    >>> layer(np.eye(4, dtype=np.float32)[None])     # each element and its eight neighbours on a ring of rings
    array([[[3., 2., 2., 2.],
            [2., 3., 2., 2.],
            [2., 2., 3., 2.],
            [2., 2., 2., 3.]]], dtype=float32)
    """

    spatial_ndim = 2
    function = staticmethod(functional.conv2d)


class Conv1d(_Conv):
    """Correctly rounded 1-D cross-correlation as a layer: `Conv2d` with one spatial axis.

    Parameters
    ----------
    in_channels, out_channels, groups, bias, padding_mode, dtype, rng, algorithm, threads
        As for `Conv2d`.
    kernel_size, stride, dilation : int or (int,)
    padding : int, (int,), ((int, int),), 'same' or 'valid', default 0

    Attributes
    ----------
    weight : ndarray, shape (out_channels, in_channels // groups, kW)
    bias : ndarray, shape (out_channels,), or None

    Examples
    --------
    >>> import numpy as np
    >>> from refconv.nn import Conv1d
    >>> layer = Conv1d(1, 1, 2, bias=False)
    >>> layer.weight[:] = [-1, 1]
    >>> layer(np.float32([[1, 4, 9, 16]]))
    array([[3., 5., 7.]], dtype=float32)
    """

    spatial_ndim = 1
    function = staticmethod(functional.conv1d)


class Conv3d(_Conv):
    """Correctly rounded 3-D cross-correlation as a layer: `Conv2d` with three spatial axes.

    Parameters
    ----------
    in_channels, out_channels, groups, bias, padding_mode, dtype, rng, algorithm, threads
        As for `Conv2d`.
    kernel_size, stride, dilation : int or (int, int, int)
    padding : int, (int, int, int), three (int, int), 'same' or 'valid', default 0

    Attributes
    ----------
    weight : ndarray, shape (out_channels, in_channels // groups, kD, kH, kW)
    bias : ndarray, shape (out_channels,), or None

    Examples
    --------
    >>> import numpy as np
    >>> from refconv.nn import Conv3d
    >>> layer = Conv3d(2, 4, (1, 3, 3), padding=(0, 1, 1))
    >>> layer(np.ones((1, 2, 5, 8, 8), np.float32)).shape
    (1, 4, 5, 8, 8)
    """

    spatial_ndim = 3
    function = staticmethod(functional.conv3d)
