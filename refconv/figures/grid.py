"""A drawing of arrays as grids of cells, in inches: what all pictures of windows are made of."""

from collections.abc import Callable
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from refconv.figures.theme import current

__all__ = ["Grid", "label", "number", "per_inch"]

_POINTS_PER_INCH = 72
_LARGEST_NUMBERED = 400  # cells; beyond that, numbers are too small to be read


def per_inch(cell: float) -> float:
    """Return the font size in points that fits a number of up to four characters into a cell of a size in inches."""
    return min(11, cell * _POINTS_PER_INCH * 0.34)


def number(value: float) -> str:
    """Return a number in as few characters as say what it is."""
    text = f"{value:.3g}"
    if text.lstrip("-").startswith("0."):
        text = text.replace("0.", ".", 1)
    return text.replace("-", "\N{MINUS SIGN}")


def label(axes: Axes, x: float, y: float, text: str, *, size: float = 9, color: str = "", **options) -> None:
    """Write a line of text, centred at a point unless the options say otherwise."""
    options = {"ha": "center", "va": "center"} | options
    axes.text(x, y, text, fontsize=size, color=color or current().ink, **options)


@dataclass(frozen=True)
class Grid:
    """Rows and columns of square cells with the upper left corner at (left, top)."""

    axes: Axes
    rows: int
    columns: int
    left: float
    top: float
    cell: float

    @property
    def right(self) -> float:
        return self.left + self.columns * self.cell

    @property
    def bottom(self) -> float:
        return self.top + self.rows * self.cell

    def centre(self, row: float, column: float) -> tuple[float, float]:
        """Return the middle of a cell."""
        return self.left + (column + 0.5) * self.cell, self.top + (row + 0.5) * self.cell

    def fill(self, row: int, column: int, colour: str, *, dashed: bool = False) -> None:
        """Paint a cell; a dashed one has a faint edge."""
        edge = current().faint if dashed else current().line
        place = (self.left + column * self.cell, self.top + row * self.cell)
        self.axes.add_patch(
            Rectangle(
                place,
                self.cell,
                self.cell,
                facecolor=colour,
                edgecolor=edge,
                linewidth=0.5 if dashed else 0.7,
                linestyle=(0, (3, 2)) if dashed else "solid",
                zorder=1 if dashed else 2,
            )
        )

    def outline(self, cells: list[tuple[int, int]]) -> None:
        """Draw the thick frame around the rectangle that some cells span."""
        rows, columns = zip(*cells, strict=True)
        top, left = min(rows), min(columns)
        self.axes.add_patch(
            Rectangle(
                (self.left + left * self.cell, self.top + top * self.cell),
                (max(columns) - left + 1) * self.cell,
                (max(rows) - top + 1) * self.cell,
                fill=False,
                edgecolor=current().outline,
                linewidth=2,
                zorder=4,
            )
        )

    def write(self, row: int, column: int, text: str, *, color: str = "", weight: str = "normal") -> None:
        """Write into a cell, if cells are large enough for text."""
        if self.rows * self.columns <= _LARGEST_NUMBERED:
            x, y = self.centre(row, column)
            label(self.axes, x, y, text, size=per_inch(self.cell), color=color, weight=weight, zorder=5)

    def dot(self, row: int, column: int, *, hollow: bool = False) -> None:
        """Mark a tap of the kernel: a dot, or a ring where it falls into padding and is not a term of the sum."""
        x, y = self.centre(row, column)
        self.axes.plot(
            [x],
            [y],
            marker="o",
            markersize=max(1.5, self.cell * _POINTS_PER_INCH * 0.2),
            markerfacecolor="none" if hollow else current().outline,
            markeredgecolor=current().outline,
            markeredgewidth=0.8,
            zorder=5,
        )

    def each(self, draw: Callable[[int, int], None]) -> None:
        """Call a function for every cell."""
        for row in range(self.rows):
            for column in range(self.columns):
                draw(row, column)
