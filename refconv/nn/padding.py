"""The padding modes in which the padding is made of the input: reflect, replicate and circular.

Each mode is an index map. Position i of the padded axis, counted from the first input element, so that it runs from
-begin to size + end, shows the input's element

    reflect      3 2 1 | 0 1 2 3 | 2 1 0      mirrored at the edge elements, which are not repeated
    replicate    0 0 0 | 0 1 2 3 | 3 3 3      the edge elements repeated
    circular     1 2 3 | 0 1 2 3 | 0 1 2      the axis closed to a ring

A negative padding crops, as in torch. The limits and the texts of the errors are those of ``torch.nn.functional.pad``.
"""

import numpy as np

from refconv.errors import ConvError

__all__ = ["PADDING_MODES", "pad"]


def _reflect(i, size):
    i = np.abs(i)
    return np.where(i < size, i, 2 * (size - 1) - i)


def _replicate(i, size):
    return np.clip(i, 0, size - 1)


def _circular(i, size):
    return i % size


_INDEX_MAPS = {"reflect": _reflect, "replicate": _replicate, "circular": _circular}

PADDING_MODES = ("zeros", *_INDEX_MAPS)


def pad(input, pairs, mode):
    """Return the input with its last axes padded by its own elements.

    Parameters
    ----------
    input : ndarray, shape (N, C, H, W) or (C, H, W)
        For another number of spatial axes likewise.
    pairs : sequence of (int, int)
        Elements to add before and after, for each spatial axis.
    mode : {'reflect', 'replicate', 'circular'}

    Returns
    -------
    ndarray

    Raises
    ------
    ConvError
        ``Padding size 4 is not supported for 5D input tensor. ...``, ``Argument #4: Padding size should be less than
        the corresponding input dimension, ...``, ``Padding value causes wrapping around more than once.`` and torch's
        other texts.

    Examples
    --------
    >>> import numpy as np
    >>> pad(np.array([[0, 1, 2, 3]]), [(3, 3)], "reflect")
    array([[3, 2, 1, 0, 1, 2, 3, 2, 1, 0]])
    """
    _check_ndim(input, pairs)
    if mode == "circular":
        _check_circular(input, pairs)
    else:
        _check_sizes(input, pairs)
        if mode == "reflect":
            _check_reflect(input, pairs)
        _check_cropping(input, pairs)
    index_map = _INDEX_MAPS[mode]
    for axis, (begin, end) in enumerate(pairs, start=-len(pairs)):
        size = input.shape[axis]
        if (begin, end) != (0, 0):
            input = np.take(input, index_map(np.arange(-begin, size + end), size), axis)
    return input


def _check_ndim(input, pairs):
    n, length = len(pairs), 2 * len(pairs)
    if input.ndim < n:
        raise ConvError(
            "Padding length should be less than or equal to two times the input dimension "
            f"but got padding length {length} and input of dimension {input.ndim}"
        )
    if input.ndim not in (n + 1, n + 2):
        raise ConvError(
            f"Padding size {length} is not supported for {input.ndim}D input tensor.\n"
            "Supported combinations for non-constant padding:\n"
            "  - 2D or 3D input: padding size = 2 (pads last dimension)\n"
            "  - 3D or 4D input: padding size = 4 (pads last 2 dimensions)\n"
            "  - 4D or 5D input: padding size = 6 (pads last 3 dimensions)"
        )


def _check_sizes(input, pairs):
    n = len(pairs)
    if 0 in input.shape[input.ndim - n - 1 :]:
        raise ConvError(
            f"Expected {n + 1}D or {n + 2}D (batch mode) tensor with possibly 0 batch size "
            f"and other non-zero dimensions for input, but got: {list(input.shape)}"
        )


def _check_reflect(input, pairs):
    # Torch looks at the last axis first; its argument numbers are those of a C function.
    axes = range(input.ndim - len(pairs), input.ndim)
    for axis, pair in reversed([*zip(axes, pairs, strict=True)]):
        if max(pair) >= input.shape[axis]:
            raise ConvError(
                f"Argument #{2 * (input.ndim - axis) + 2}: Padding size should be less than the corresponding "
                f"input dimension, but got: padding {pair} at dimension {axis} of input {list(input.shape)}"
            )


def _check_circular(input, pairs):
    for size, pair in zip(input.shape[-len(pairs) :], pairs, strict=True):
        if max(pair) > size:
            raise ConvError("Padding value causes wrapping around more than once.")
        if size + sum(pair) < 0:
            raise ConvError("Negative padding value is resulting in an empty dimension")


def _check_cropping(input, pairs):
    sizes = input.shape[-len(pairs) :]
    padded = [size + sum(pair) for size, pair in zip(sizes, pairs, strict=True)]
    if min(padded) < 1:
        axes = "DHW"[-len(pairs) :]
        before = ", ".join(f"{axis}: {size}" for axis, size in zip(axes, sizes, strict=True))
        after = " ".join(f"{axis}: {size}" for axis, size in zip(axes, padded, strict=True))
        raise ConvError(f"input ({before}) is too small. Calculated output {after}")
