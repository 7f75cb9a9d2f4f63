"""refconv: correctly rounded convolution, the reference that other convolutions are judged by."""

from refconv.config import show_config
from refconv.errors import ConvError
from refconv.functional import conv2d, exact_dot
from refconv.problem import ConvProblem

__version__ = "0.1.0"

__all__ = ["ConvError", "ConvProblem", "__version__", "conv2d", "exact_dot", "show_config"]
