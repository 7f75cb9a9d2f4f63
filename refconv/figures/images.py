"""Arrays as images: kernels, and the maps that they make."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.figure import Figure

from refconv.errors import ConvError
from refconv.figures.grid import label, number, per_inch
from refconv.figures.theme import canvas, current

__all__ = ["plot_feature_maps", "plot_kernels"]

_WIDTH = 7.4
_GAP = 0.12
_TITLE = 0.24
_SMALLEST_NUMBERED = 0.2  # inches of a cell that a number is written into
_LONGEST_NUMBER = 4  # characters that fit


def plot_kernels(weight, *, titles=None, columns=8) -> Figure:
    """Draw kernels as images: blue is negative, orange positive, each kernel on a scale of its own.

    Parameters
    ----------
    weight : array_like, shape (C_out, C_in, kH, kW), (C_out, kH, kW) or (kH, kW)
        With several input channels there is a row for each output channel.
    titles : sequence of str, optional
        One for each kernel (C_out * C_in of them).
    columns : int, default 8
        Kernels in a row, if there is one input channel.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ConvError
        ``plot_kernels(): weight must have 2 to 4 axes, but has shape (3,)``

    Examples
    --------
    >>> from refconv.figures import plot_kernels
    >>> figure = plot_kernels([[[-1, 0, 1]] * 3, [[1, 2, 1], [2, 4, 2], [1, 2, 1]]], titles=["edge", "blur"])
    """
    weight = np.asarray(weight, dtype=np.float64)
    if weight.ndim not in (2, 3, 4):
        raise ConvError(f"plot_kernels(): weight must have 2 to 4 axes, but has shape {weight.shape}")
    if weight.ndim == 4 and weight.shape[1] > 1:
        columns = weight.shape[1]
    kernels = weight.reshape(-1, *weight.shape[-2:])
    scales = [max(abs(kernel).max(), np.finfo(float).tiny) for kernel in kernels]
    options = [{"vmin": -scale, "vmax": scale} for scale in scales]
    return _tiles("plot_kernels", kernels, titles, columns, current().signed, options, numbered=True, largest=1.3)


def plot_feature_maps(maps, *, titles=None, columns=8, signed=False) -> Figure:
    """Draw images or feature maps side by side, each from its darkest to its brightest number.

    Parameters
    ----------
    maps : array_like, shape (C, H, W), or sequence of arrays of shape (H, W) or (H, W, 3)
    titles : sequence of str, optional
        One for each map.
    columns : int, default 8
        Maps in a row, at most.
    signed : bool, default False
        Whether to draw negative numbers in blue and positive ones in orange instead, with zero in the middle.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ConvError
        ``plot_feature_maps(): there are 2 images, but 3 titles``

    Examples
    --------
    >>> import numpy as np
    >>> from refconv.figures import plot_feature_maps
    >>> figure = plot_feature_maps(np.eye(4).reshape(4, 2, 2), titles=list("abcd"))
    """
    maps = [np.asarray(one) for one in maps]
    if signed:
        scales = [max(abs(one).max(), np.finfo(float).tiny) for one in maps]
        options = [{"vmin": -scale, "vmax": scale} for scale in scales]
    else:
        options = [{}] * len(maps)
    return _tiles("plot_feature_maps", maps, titles, columns, current().signed if signed else "gray", options)


def _tiles(function, images, titles, columns, colours, options, *, numbered=False, largest=2.4) -> Figure:
    """Draw images in rows, under their titles."""
    if not len(images):
        raise ConvError(f"{function}(): there is nothing to draw")
    if titles is not None and len(titles) != len(images):
        raise ConvError(f"{function}(): there are {len(images)} images, but {len(titles)} titles")
    columns = min(columns, len(images))
    rows = math.ceil(len(images) / columns)
    width = min(largest, (_WIDTH - _GAP) / columns - _GAP)
    height = width * max(image.shape[0] / image.shape[1] for image in images)
    above = _TITLE if titles is not None else 0.0
    size = columns * (width + _GAP) + _GAP, rows * (height + above + _GAP) + _GAP
    figure, axes = canvas(*size)
    for index, image in enumerate(images):
        row, column = divmod(index, columns)
        left = _GAP + column * (width + _GAP)
        top = _GAP + row * (height + above + _GAP) + above
        bottom = top + width * image.shape[0] / image.shape[1]
        extent = (left, left + width, bottom, top)
        axes.imshow(image, cmap=colours, extent=extent, interpolation="nearest", **options[index])
        axes.plot(
            [left, left + width, left + width, left, left],
            [top, top, bottom, bottom, top],
            color=current().line,
            linewidth=0.6,
        )
        if titles is not None:
            label(axes, left + width / 2, top - above / 2, titles[index], size=min(9, 18 * width))
        if numbered:
            _write_numbers(axes, image, left, top, width / image.shape[1], options[index]["vmax"])
    axes.set_xlim(0, size[0])
    axes.set_ylim(size[1], 0)
    axes.set_aspect("auto")
    return figure


def _write_numbers(axes, image, left, top, cell, scale) -> None:
    """Write the numbers into the cells, if all of them fit."""
    if cell < _SMALLEST_NUMBERED or max(len(number(value)) for value in image.flat) > _LONGEST_NUMBER:
        return
    for (row, column), value in np.ndenumerate(image):
        # Strong colours are dark on a light page and bright on a dark one, so their numbers have the ground's colour.
        colour = current().ground if abs(value) > 0.6 * scale else current().ink
        x, y = left + (column + 0.5) * cell, top + (row + 0.5) * cell
        label(axes, x, y, number(value), size=per_inch(cell), color=colour, zorder=5)
