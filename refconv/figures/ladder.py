"""One axis seen from the side: rungs of input and output elements, and the taps as lines between them."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from refconv.errors import ConvError
from refconv.figures.grid import label
from refconv.figures.theme import canvas, current
from refconv.problem import ConvProblem

__all__ = ["as_chain", "one_axis", "plot_taps"]

_WIDTH = 7.4
_LEFT = 1.5  # room for the names of the rungs
_RISE = 0.95  # between rungs
_MARGIN = 0.35
_LARGEST = 80  # elements on a rung that can be drawn


def plot_taps(problem, at=None, *, axis=-1) -> Figure:
    """Draw which inputs the outputs read along one axis: inputs below, outputs above, a line for each tap.

    Padding is dashed; a dashed line is a tap in the padding, which is no term of any sum. With several problems, one
    on top of the other, the cone under the output element is its receptive field.

    Parameters
    ----------
    problem : ConvProblem, or sequence of ConvProblem
        One layer, or several: each must have the output size of the one before as its input size.
    at : int, optional
        The output element whose taps are emphasised; by default the middle one.
    axis : int, default -1
        The spatial axis to look at: -1 is the width.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ConvError
        ``plot_taps(): layer 1 has input size (12,), but layer 0 has output size (14,)``, ``plot_taps(): an axis of 224
        elements cannot be drawn, at most 80``, ``plot_taps(): the output has no elements``.
    IndexError
        ``output position (9,) is outside of the output size (5,)``

    Examples
    --------
    >>> from refconv import ConvProblem
    >>> from refconv.figures import plot_taps
    >>> figure = plot_taps(ConvProblem.from_shapes((1, 1, 9, 9), (1, 1, 3, 3), stride=2, dilation=2, padding=1), at=1)
    """
    chain = [one_axis(layer, axis) for layer in as_chain("plot_taps", problem)]
    sizes = [chain[0].input_size[0], *(layer.output_size[0] for layer in chain)]
    if max(sizes) > _LARGEST:
        raise ConvError(f"plot_taps(): an axis of {max(sizes)} elements cannot be drawn, at most {_LARGEST}")
    if sizes[-1] == 0:
        raise ConvError("plot_taps(): the output has no elements")
    at = sizes[-1] // 2 if at is None else at
    chain[-1].taps(at)  # a position outside is an error, and the problem has the words for it

    figure, axes = canvas(_WIDTH, len(chain) * _RISE + 2 * _MARGIN)
    rungs = _rungs(chain)
    reached = {at}
    for index in reversed(range(len(chain))):
        reached = _draw_layer(axes, chain[index], rungs[index], rungs[index + 1], reached)
    for index, (size, rung) in enumerate(zip(sizes, rungs, strict=True)):
        name = "input" if index == 0 else "output" if index == len(chain) else f"layer {index}"
        label(axes, 0.1, rung.y, f"{name}, {size}", ha="left")
        colour = current().input if index == 0 else current().output
        rung.draw(axes, size, colour)
    return figure


def as_chain(function: str, problem: ConvProblem | Sequence[ConvProblem]) -> list[ConvProblem]:
    """Return layers as a list, after a check that they fit on top of each other."""
    chain = [problem] if isinstance(problem, ConvProblem) else list(problem)
    if not chain:
        raise ConvError(f"{function}(): there are no layers")
    for index, (below, above) in enumerate(itertools.pairwise(chain), start=1):
        if below.output_size != above.input_size:
            raise ConvError(
                f"{function}(): layer {index} has input size {above.input_size}, but layer {index - 1} has output size "
                f"{below.output_size}"
            )
    return chain


def one_axis(problem: ConvProblem, axis: int) -> ConvProblem:
    """Return the convolution along one spatial axis of a problem; the axes know nothing of each other."""
    per_axis = ("input_size", "kernel_size", "stride", "padding", "dilation", "output_padding")
    return replace(problem, **{name: (getattr(problem, name)[axis],) for name in per_axis})


class _Rung:
    """Elements in a row, around the middle of the picture, with padding at both ends."""

    def __init__(self, y: float, step: float, size: int, padding: tuple[int, int]) -> None:
        self.y, self.step, self.size, self.padding = y, step, size, padding
        self.marked: set[int] = set()

    def x(self, index: float) -> float:
        return (_LEFT + _WIDTH) / 2 + (index - (self.size - 1) / 2) * self.step

    def draw(self, axes: Axes, size: int, colour: str) -> None:
        diameter = min(13.0, self.step * 72 * 0.72)
        before, after = self.padding
        for index in range(-before, size + after):
            inside = 0 <= index < size
            marked = index in self.marked
            axes.plot(
                [self.x(index)],
                [self.y],
                marker="o",
                markersize=diameter,
                markerfacecolor=(current().window if marked else colour) if inside else current().ground,
                markeredgecolor=current().outline if marked else current().line if inside else current().faint,
                markeredgewidth=1.6 if marked else 0.8,
                zorder=3,
            )
            if not inside:
                # Markers have no dashes, so the ring is a broken one: cut by two strokes of the ground's colour.
                axes.plot([self.x(index)], [self.y], marker="x", markersize=diameter, color=current().ground, zorder=4)


def _rungs(chain: list[ConvProblem]) -> list[_Rung]:
    """Return the rungs, the input's first; it lies at the bottom."""
    sizes = [chain[0].input_size[0], *(layer.output_size[0] for layer in chain)]
    paddings = [(0, 0) if layer.transposed else layer.padding[0] for layer in chain] + [(0, 0)]
    widest = max(size + 2 * max(padding) for size, padding in zip(sizes, paddings, strict=True))
    step = min(0.42, (_WIDTH - _LEFT - 0.3) / widest)
    heights = [_MARGIN + (len(chain) - index) * _RISE for index in range(len(sizes))]
    return [_Rung(*rung) for rung in zip(heights, [step] * len(sizes), sizes, paddings, strict=True)]


def _draw_layer(axes: Axes, layer: ConvProblem, below: _Rung, above: _Rung, reached: set[int]) -> set[int]:
    """Draw the lines of a layer, emphasise those of the outputs reached, and return the inputs that these reach."""
    before, after = below.padding
    padded = replace(layer, input_size=(layer.input_size[0] + before + after,), padding=((0, 0),))
    above.marked |= reached
    inputs = set()
    for ow in range(layer.output_size[0]):
        taps = {iw for _, (iw,) in layer.taps(ow)}
        every = taps if layer.transposed else {iw - before for _, (iw,) in padded.taps(ow)}
        emphasised = ow in reached
        inputs |= taps if emphasised else set()
        for iw in every:
            axes.plot(
                [below.x(iw), above.x(ow)],
                [below.y, above.y],
                color=current().outline if emphasised else current().faint,
                linewidth=1.6 if emphasised else 0.5,
                linestyle="solid" if iw in taps else (0, (3, 3)),
                zorder=2 if emphasised else 1,
            )
    below.marked |= inputs
    return inputs
