"""The one exception for shapes and geometry."""

__all__ = ["ConvError"]


class ConvError(ValueError, RuntimeError):
    """Shapes or geometry that do not describe a convolution.

    Torch reports these as `RuntimeError`, NumPy code as `ValueError`. This class is both, so a test written for either
    catches it. The text is torch's wherever torch has one. Arguments of the wrong *type* are a `TypeError` instead.

    Examples
    --------
    >>> from refconv.problem import ConvProblem
    >>> try:
    ...     ConvProblem.from_shapes((1, 1, 28, 28), (16, 3, 5, 5))
    ... except RuntimeError as error:
    ...     print(type(error).__name__)
    ConvError
    """
