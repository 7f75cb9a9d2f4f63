"""The colours of all pictures, for light and for dark pages, and the canvas that they are drawn on."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, LinearSegmentedColormap
from matplotlib.figure import Figure

__all__ = ["THEMES", "Theme", "canvas", "current", "theme"]


@dataclass(frozen=True)
class Theme:
    """The colours of one kind of page.

    The hues are blue, orange and bluish green of Okabe and Ito's set, which readers with any kind of colour vision tell
    apart: M. Okabe and K. Ito, "Color universal design" (2008). Within a theme every colour differs from the others, so
    that a picture can be recoloured by exchanging them.
    """

    ground: str  # behind everything
    ink: str  # text
    line: str  # edges of cells
    faint: str  # edges of padding, notes
    input: str
    window: str  # input elements in the window
    outline: str  # around the window and the output element in hand
    kernel: str
    output: str
    current: str  # the output element in hand
    empty: str  # output elements not computed yet
    low: str  # ends of the scale for numbers of both signs
    middle: str
    high: str

    @property
    def signed(self) -> Colormap:
        """From negative by zero to positive."""
        return LinearSegmentedColormap.from_list("signed", [self.low, self.middle, self.high])


THEMES = {
    "light": Theme(
        ground="#ffffff",
        ink="#1b1e23",
        line="#6b7480",
        faint="#8a929c",
        input="#d7e8f5",
        window="#f9c766",
        outline="#b35900",
        kernel="#fbe3b4",
        output="#cdeadf",
        current="#4fb894",
        empty="#fefefe",
        low="#0b5fa5",
        middle="#f5f5f4",
        high="#c8560a",
    ),
    "dark": Theme(
        ground="#131416",
        ink="#e6e8eb",
        line="#7f8894",
        faint="#7b838d",
        input="#21435e",
        window="#96610c",
        outline="#f5a83d",
        kernel="#5a4215",
        output="#174d3d",
        current="#1b8a66",
        empty="#141517",
        low="#56b0ee",
        middle="#26282b",
        high="#f59a4a",
    ),
}

_current: ContextVar[Theme] = ContextVar("theme", default=THEMES["light"])


def current() -> Theme:
    """Return the colours in use."""
    return _current.get()


@contextmanager
def theme(name: str) -> Iterator[None]:
    """Draw for light or for dark pages inside a ``with`` block.

    Parameters
    ----------
    name : {'light', 'dark'}
        Pictures are for light pages by default.

    Raises
    ------
    ValueError
        ``there is no theme 'blue', only 'light' and 'dark'``

    Examples
    --------
    >>> from refconv import ConvProblem
    >>> from refconv.figures import plot_window, theme
    >>> with theme("dark"):
    ...     figure = plot_window(ConvProblem.from_shapes((1, 1, 5, 5), (1, 1, 3, 3)))
    """
    if name not in THEMES:
        raise ValueError(f"there is no theme {name!r}, only {' and '.join(map(repr, THEMES))}")
    token = _current.set(THEMES[name])
    try:
        yield
    finally:
        _current.reset(token)


def canvas(width: float, height: float) -> tuple[Figure, Axes]:
    """Return a figure of a size in inches and, filling it, axes without ticks or frame, y pointing down.

    A unit of the axes is an inch. The figure belongs to no window and to no list of open figures.
    """
    with rc_context({"svg.hashsalt": "refconv"}):
        figure = Figure(figsize=(width, height), facecolor=current().ground)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_xlim(0, width)
    axes.set_ylim(height, 0)
    axes.set_axis_off()
    return figure, axes
