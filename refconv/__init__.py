"""refconv: correctly rounded convolution, the reference that other convolutions are judged by."""

from refconv import grad
from refconv.config import show_config
from refconv.dot import exact_dot
from refconv.errors import ConvError
from refconv.functional import conv1d, conv2d, conv3d, conv_transpose1d, conv_transpose2d, conv_transpose3d
from refconv.problem import ConvProblem

__version__ = "0.1.0"

__all__ = [
    "ConvError",
    "ConvProblem",
    "__version__",
    "conv1d",
    "conv2d",
    "conv3d",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
    "exact_dot",
    "grad",
    "show_config",
]
