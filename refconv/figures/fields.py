"""The receptive field: all elements of the first input that one element of a deep layer depends on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from refconv.errors import ConvError
from refconv.figures.grid import label
from refconv.figures.ladder import as_chain, one_axis
from refconv.figures.theme import THEMES, canvas, current
from refconv.problem import ConvProblem

__all__ = ["plot_receptive_field", "receptive_fields"]

_SIDE = 4.2  # inches of the picture's longer side
_LEGEND = 2.6


def receptive_fields(layers, at=None) -> list[tuple[tuple[int, int], ...]]:
    """Return, for one output element of each layer, which rows and columns of the first input it depends on.

    Found by following the taps of `ConvProblem` down, layer by layer. Pooling counts as a convolution of its window's
    size and stride.

    Parameters
    ----------
    layers : ConvProblem, or sequence of ConvProblem
        Each must have the output size of the one before as its input size.
    at : tuple of int, optional
        The position in the last layer; by default the middle. In the layers before, it is the middle of what that
        element reads.

    Returns
    -------
    list of tuple of (int, int)
        For each layer, the first one first, a pair for each spatial axis: the first index, and one past the last one.
        An element that reads nothing but padding has an empty range, (0, 0).

    Raises
    ------
    ConvError
        ``receptive_fields(): layer 1 has input size (12, 12), but layer 0 has output size (14, 14)``
    IndexError
        ``output position (9,) is outside of the output size (5,)``

    Examples
    --------
    >>> from refconv import ConvProblem
    >>> first = ConvProblem.from_shapes((1, 9, 9), (1, 1, 3, 3))
    >>> second = ConvProblem.from_shapes((1, 7, 7), (1, 1, 3, 3))
    >>> receptive_fields([first, second], at=(0, 0))     # two 3x3 layers see 5x5
    [((1, 4), (1, 4)), ((0, 5), (0, 5))]
    """
    chain = as_chain("receptive_fields", layers)
    if 0 in chain[-1].output_size:
        raise ConvError("receptive_fields(): the output has no elements")
    at = tuple(size // 2 for size in chain[-1].output_size) if at is None else tuple(at)
    per_axis = [
        _along_axis([one_axis(layer, axis) for layer in chain], at[axis]) for axis in range(chain[0].spatial_ndim)
    ]
    return list(zip(*per_axis, strict=True))


def _along_axis(chain: list[ConvProblem], at: int) -> list[tuple[int, int]]:
    """Return the range of the first input that an element of each layer depends on, along one axis."""
    ranges = []
    for depth in reversed(range(len(chain))):
        reached = {at}
        below = None
        for layer in reversed(chain[: depth + 1]):
            reached = {iw for ow in reached for _, (iw,) in layer.taps(ow)}
            below = reached if below is None else below
        ranges.append((min(reached), max(reached) + 1) if reached else (0, 0))
        at = sorted(below)[len(below) // 2] if below else 0
    return ranges[::-1]


def plot_receptive_field(layers, at=None, *, image=None, names=None) -> Figure:
    """Draw what one element of each layer can see of the first input: rectangles, the last layer's the largest.

    Parameters
    ----------
    layers : ConvProblem, or sequence of ConvProblem
        Over two spatial axes; as for `receptive_fields`.
    at : (int, int), optional
        The position in the last layer; by default the middle.
    image : array_like, shape (H, W) or (H, W, 3), optional
        What to draw them on, of the first layer's input size.
    names : sequence of str or None, optional
        One for each layer, for the legend. A layer whose name is None is not drawn.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ConvError
        As for `receptive_fields`, and ``plot_receptive_field(): there are 2 layers, but 3 names``.

    Examples
    --------
    >>> from refconv import ConvProblem
    >>> from refconv.figures import plot_receptive_field
    >>> first = ConvProblem.from_shapes((1, 9, 9), (1, 1, 3, 3))
    >>> second = ConvProblem.from_shapes((1, 7, 7), (1, 1, 3, 3))
    >>> figure = plot_receptive_field([first, second], names=["conv1", "conv2"])
    """
    chain = as_chain("plot_receptive_field", layers)
    if chain[0].spatial_ndim != 2:
        raise ConvError(f"plot_receptive_field(): pictures are of two spatial axes, not {chain[0].spatial_ndim}")
    names = [f"layer {index}" for index in range(1, len(chain) + 1)] if names is None else list(names)
    if len(names) != len(chain):
        raise ConvError(f"plot_receptive_field(): there are {len(chain)} layers, but {len(names)} names")
    drawn = [pair for pair in zip(names, receptive_fields(chain, at), strict=True) if pair[0] is not None]

    height, width = chain[0].input_size
    scale = _SIDE / max(height, width)
    rows = max(height * scale, 0.22 * len(drawn) + 0.5)
    figure, axes = canvas(width * scale + _LEGEND + 0.4, rows + 0.4)
    axes.add_patch(
        Rectangle((0.2, 0.2), width * scale, height * scale, facecolor=current().input, edgecolor=current().line)
    )
    if image is not None:
        extent = (0.2, 0.2 + width * scale, 0.2 + height * scale, 0.2)
        axes.imshow(np.asarray(image), cmap="gray", extent=extent, zorder=1.5)
        axes.set_xlim(0, width * scale + _LEGEND + 0.4)
        axes.set_ylim(rows + 0.4, 0)
        axes.set_aspect("auto")
    x = 0.2 + width * scale + 0.3
    label(axes, x, 0.3, f"input {height}\N{MULTIPLICATION SIGN}{width}", ha="left", weight="bold")
    for index, ((name, ((top, bottom), (left, right))), colour) in enumerate(
        zip(drawn, _shades(len(drawn)), strict=True)
    ):
        place = (0.2 + left * scale, 0.2 + top * scale)
        size = (right - left) * scale, (bottom - top) * scale
        for line, edge in ((3.4, current().ground), (1.8, colour)):  # a light seam keeps lines apart on any image
            axes.add_patch(Rectangle(place, *size, fill=False, edgecolor=edge, linewidth=line, zorder=3 - index / 100))
        y = 0.3 + 0.22 * (index + 1)
        axes.add_patch(Rectangle((x, y - 0.05), 0.18, 0.1, facecolor=colour, edgecolor=current().ink, linewidth=0.4))
        sees = f"{bottom - top}\N{MULTIPLICATION SIGN}{right - left}"
        label(axes, x + 0.28, y, f"{name} sees {sees}", size=8, ha="left")
    return figure


def _shades(count: int) -> Sequence:
    """Return colours of growing lightness, which differ in print as well and stand out from the page."""
    dark = current() is THEMES["dark"]
    return colormaps["viridis"](np.linspace(*((0.35, 1.0) if dark else (0.0, 0.85)), count))
