"""The window at one position: which inputs it covers, which weights they meet, which output that gives."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from refconv.errors import ConvError
from refconv.figures.grid import Grid, label, number
from refconv.figures.theme import canvas, current
from refconv.functional import conv2d, conv_transpose2d
from refconv.problem import ConvProblem

__all__ = ["Scene", "plot_window"]

_LARGEST_CELL = 0.42  # inches
_WIDTH = 7.4
_GAP = 0.75  # between the grids, with room for a sign
_ABOVE, _BELOW = 0.42, 0.42  # room for names and for the sum
_MOST_TERMS = 9  # that are written out


def plot_window(problem, at=None, *, input=None, weight=None) -> Figure:
    """Draw the window of a convolution at one position of the output.

    Input, kernel and output from left to right, one channel of each. The window is shaded and framed, padding is
    dashed, and a dot marks every tap; a ring is a tap in the padding, which is no term of the sum.

    Parameters
    ----------
    problem : ConvProblem
        Over two spatial axes, or one, which is drawn as an image of one row. Of a transposed one, shaded are the inputs
        that reach the output element.
    at : (int, int), optional
        The output position, (oh, ow); by default the first one. (ow,) with one spatial axis.
    input : array_like, shape (H, W), optional
        Numbers to write into the cells; with a weight as well, the sum and the outputs so far are written, too.
    weight : array_like, shape (kH, kW), optional

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ConvError
        ``plot_window(): pictures are of one or two spatial axes, not 3``, ``plot_window(): the output has no
        elements``, ``plot_window(): input must have the shape (5, 5), but has (4, 4)``.
    IndexError
        ``output position (3, 0) is outside of the output size (3, 3)``

    Examples
    --------
    >>> from refconv import ConvProblem
    >>> from refconv.figures import plot_window
    >>> problem = ConvProblem.from_shapes((1, 1, 5, 5), (1, 1, 3, 3), padding=1)
    >>> figure = plot_window(problem, at=(0, 1))
    >>> figure.savefig("window.svg")  # doctest: +SKIP
    """
    scene = Scene.of("plot_window", problem, input, weight)
    figure, axes = canvas(*scene.size)
    scene.draw(axes, scene.position(at))
    return figure


@dataclass(frozen=True)
class Scene:
    """A problem over two axes, its numbers if there are any, and where its grids lie.

    Parameters
    ----------
    problem : ConvProblem
        Over two axes.
    dropped : int
        How many axes the caller's problem has fewer.
    input, weight, output : ndarray or None
        Of one channel.
    """

    problem: ConvProblem
    dropped: int
    input: np.ndarray | None
    weight: np.ndarray | None
    output: np.ndarray | None

    @classmethod
    def of(cls, function: str, problem: ConvProblem, input, weight) -> Scene:
        """Check what a caller passed and work out the numbers."""
        if problem.spatial_ndim > 2:
            raise ConvError(f"{function}(): pictures are of one or two spatial axes, not {problem.spatial_ndim}")
        if 0 in problem.output_size:
            raise ConvError(f"{function}(): the output has no elements")
        dropped = 2 - problem.spatial_ndim
        problem = with_two_axes(problem)
        arrays = []
        for name, array, size in (("input", input, problem.input_size), ("weight", weight, problem.kernel_size)):
            array = None if array is None else np.asarray(array)
            if array is not None and array.shape != size[dropped:]:
                raise ConvError(f"{function}(): {name} must have the shape {size[dropped:]}, but has {array.shape}")
            arrays.append(None if array is None else array.reshape(size))
        output = None
        if arrays[0] is not None and arrays[1] is not None:
            output = one_channel(problem, *arrays)
        return cls(problem, dropped, *arrays, output)

    def position(self, at: tuple[int, ...] | None) -> tuple[int, int]:
        """Return an output position with two indices."""
        if at is None:
            return 0, 0
        at = tuple(at)
        if len(at) != 2 - self.dropped or any(not 0 <= o < n for o, n in zip(at, self.shown_size, strict=True)):
            raise IndexError(f"output position {at} is outside of the output size {self.shown_size}")
        return ((0,) * self.dropped + at)[:2]

    @property
    def shown_size(self) -> tuple[int, ...]:
        return self.problem.output_size[self.dropped :]

    # ---- Where things are ----

    @property
    def borders(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """The cells of padding around the input that are drawn; a transposed problem crops its output instead."""
        return ((0, 0), (0, 0)) if self.problem.transposed else self.problem.padding

    @property
    def padded(self) -> tuple[int, int]:
        """Rows and columns of the input with its padding."""
        return tuple(n + sum(pair) for n, pair in zip(self.problem.input_size, self.borders, strict=True))

    @property
    def cell(self) -> float:
        columns = self.padded[1] + self.problem.kernel_size[1] + self.problem.output_size[1]
        return min(_LARGEST_CELL, (_WIDTH - 2 * _GAP - 0.2) / columns)

    @property
    def size(self) -> tuple[float, float]:
        """Of the figure, in inches."""
        columns = self.padded[1] + self.problem.kernel_size[1] + self.problem.output_size[1]
        rows = max(self.padded[0], self.problem.kernel_size[0], self.problem.output_size[0])
        width = max(columns * self.cell + 2 * _GAP + 0.2, 4.0)
        return width, rows * self.cell + _ABOVE + (_BELOW if self.output is not None else 0.12)

    def grids(self, axes: Axes) -> tuple[Grid, Grid, Grid]:
        """Return the three grids, side by side and centred on one line."""
        sizes = self.padded, self.problem.kernel_size, self.problem.output_size
        tallest = max(rows for rows, _ in sizes)
        columns = sum(columns for _, columns in sizes)
        left = (self.size[0] - columns * self.cell - 2 * _GAP) / 2
        grids = []
        for rows, columns in sizes:
            top = _ABOVE + (tallest - rows) * self.cell / 2
            grids.append(Grid(axes, rows, columns, left, top, self.cell))
            left = grids[-1].right + _GAP
        return tuple(grids)

    # ---- Which elements meet ----

    def taps(self, at: tuple[int, int]) -> list[tuple[tuple[int, int], tuple[int, int]]]:
        """Return the kernel's and the input's elements that meet, the latter counted in the padded input."""
        (top, _), (left, _) = self.borders
        return [(k, (ih + top, iw + left)) for k, (ih, iw) in self.problem.taps(*at)]

    def all_taps(self, at: tuple[int, int]) -> list[tuple[tuple[int, int], tuple[int, int]]]:
        """Return `taps` and those in the padding: the taps if the padding were part of the input."""
        if self.problem.transposed:
            return self.taps(at)
        return replace(self.problem, input_size=self.padded, padding=((0, 0), (0, 0))).taps(*at)

    # ---- Drawing ----

    def draw(self, axes: Axes, at: tuple[int, int]) -> None:
        """Draw everything for one output position."""
        image, kernel, output = self.grids(axes)
        taps, all_taps = self.taps(at), self.all_taps(at)
        self._draw_input(image, {cell for _, cell in taps})
        self._draw_kernel(kernel, {k for k, _ in taps}, {k for k, _ in all_taps})
        self._draw_output(output, at)
        for grid, reached in ((image, [cell for _, cell in all_taps]), (kernel, [k for k, _ in all_taps])):
            if reached:
                grid.outline(reached)
        inside = {cell for _, cell in taps}
        if self.input is None:
            for _, cell in all_taps:
                image.dot(*cell, hollow=cell not in inside)
        self._write_names(axes, image, kernel, output, at, taps)

    def _draw_input(self, grid: Grid, window: set[tuple[int, int]]) -> None:
        (top, _), (left, _) = self.borders
        height, width = self.problem.input_size

        def draw(row: int, column: int) -> None:
            ih, iw = row - top, column - left
            if not (0 <= ih < height and 0 <= iw < width):
                grid.fill(row, column, "none", dashed=True)
                return
            in_window = (row, column) in window
            grid.fill(row, column, current().window if in_window else current().input)
            if self.input is not None:
                grid.write(row, column, number(self.input[ih, iw]), weight="bold" if in_window else "normal")

        grid.each(draw)

    def _draw_kernel(self, grid: Grid, used: set[tuple[int, int]], covered: set[tuple[int, int]]) -> None:
        def draw(row: int, column: int) -> None:
            in_use = (row, column) in used
            grid.fill(row, column, current().window if in_use else current().kernel)
            if self.weight is not None:
                colour = current().ink if in_use else current().faint
                grid.write(row, column, number(self.weight[row, column]), color=colour)
            elif (row, column) in covered:
                grid.dot(row, column, hollow=not in_use)

        grid.each(draw)

    def _draw_output(self, grid: Grid, at: tuple[int, int]) -> None:
        def draw(row: int, column: int) -> None:
            here = (row, column) == at
            done = (row, column) <= at
            grid.fill(row, column, current().current if here else current().output if done else current().empty)
            if done and self.output is not None:
                grid.write(row, column, number(self.output[row, column]), weight="bold" if here else "normal")

        grid.each(draw)
        grid.outline([at])

    def _write_names(self, axes, image, kernel, output, at, taps) -> None:
        def by(size: tuple[int, ...]) -> str:
            return "\N{THIN SPACE}\N{MULTIPLICATION SIGN}\N{THIN SPACE}".join(map(str, size[self.dropped :]))

        names = {
            "input " + by(self.problem.input_size): image,
            "kernel " + by(self.problem.kernel_size): kernel,
            "output " + by(self.problem.output_size): output,
        }
        for text, grid in names.items():
            label(axes, (grid.left + grid.right) / 2, grid.top - 0.15, text)
        y = image.centre((image.rows - 1) / 2, 0)[1]
        label(axes, (image.right + kernel.left) / 2, y, "\N{BULLET OPERATOR}", size=16)
        label(axes, (kernel.right + output.left) / 2, y, "\N{RIGHTWARDS ARROW}", size=16)
        if self.output is not None:
            below = max(image.bottom, kernel.bottom, output.bottom) + 0.22
            label(axes, self.size[0] / 2, below, self._sum(at, taps), size=9)

    def _sum(self, at: tuple[int, int], taps) -> str:
        """The sum at a position, written out."""
        (top, _), (left, _) = self.borders
        name = f"output[{', '.join(map(str, at[self.dropped :]))}]"
        result = number(self.output[at])
        terms = [
            f"{number(self.input[row - top, column - left])}\N{DOT OPERATOR}{number(self.weight[k])}"
            for k, (row, column) in taps
        ]
        if len(terms) > _MOST_TERMS:
            return f"{name} = {' + '.join(terms[:3])} + \N{HORIZONTAL ELLIPSIS} = {result}"
        return f"{name} = {' + '.join(terms) or 'a sum of no terms'} = {result}"


def with_two_axes(problem: ConvProblem) -> ConvProblem:
    """Return the same convolution over two axes: a row of an image is an image of height 1."""
    if problem.spatial_ndim == 2:
        return problem
    return replace(
        problem,
        input_size=(1, *problem.input_size),
        kernel_size=(1, *problem.kernel_size),
        stride=(1, *problem.stride),
        padding=((0, 0), *problem.padding),
        dilation=(1, *problem.dilation),
        output_padding=(0, *problem.output_padding),
    )


def one_channel(problem: ConvProblem, input: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Return the output of one channel and one image, in float64."""
    operands = [array[np.newaxis, np.newaxis].astype(np.float64) for array in (input, weight)]
    arguments = {"stride": problem.stride, "padding": problem.padding, "dilation": problem.dilation}
    if problem.transposed:
        return conv_transpose2d(*operands, **arguments, output_padding=problem.output_padding)[0, 0]
    return conv2d(*operands, **arguments)[0, 0]
