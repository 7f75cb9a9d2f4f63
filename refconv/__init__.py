"""refconv: correctly rounded convolution, the reference that other convolutions are judged by."""

try:
    from refconv import grad
except ModuleNotFoundError as error:
    if not (error.name or "").startswith("refconv.kernels."):
        raise
    raise ImportError(
        f"refconv in {__path__[0]} is a source tree that is not compiled for this Python ({error.name} is missing). "
        "If you meant the installed refconv, start Python in another folder; "
        "if you meant this one, compile it: pip install -e . in the folder of its pyproject.toml"
    ) from error
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
