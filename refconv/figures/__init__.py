"""Pictures of convolutions: the moving window, the taps, the receptive field, kernels and feature maps.

Every position drawn comes from `ConvProblem.taps`; there is no second copy of the index arithmetic here. The pictures
speak the language of the field: the input on the left, the kernel, the output on the right, the window shaded, padding
dashed. Colours are told apart by colour-blind readers and, by their lightness and outlines, in black-and-white print.

Needs matplotlib (``pip install refconv[figures]``). The functions return `matplotlib.figure.Figure` objects, which
notebooks show and ``figure.savefig("name.svg")`` writes.
"""

from refconv.figures.animation import WindowAnimation, animate_window
from refconv.figures.fields import plot_receptive_field, receptive_fields
from refconv.figures.images import plot_feature_maps, plot_kernels
from refconv.figures.ladder import plot_taps
from refconv.figures.theme import theme
from refconv.figures.window import plot_window

__all__ = [
    "WindowAnimation",
    "animate_window",
    "plot_feature_maps",
    "plot_kernels",
    "plot_receptive_field",
    "plot_taps",
    "plot_window",
    "receptive_fields",
    "theme",
]
