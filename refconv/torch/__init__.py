"""Exact convolutions for torch programs: functions that autograd understands, and a mode for whole programs.

Nothing else in refconv imports torch (``pip install refconv[torch]``). Two ways to use it:

- `conv1d` … `conv_transpose3d` stand in for those of ``torch.nn.functional``: tensors in, tensors out, and the
  gradients of all orders are refconv's too.
- ``with refconv.torch.reference_mode():`` has every convolution of the torch code inside performed by refconv, the
  gradients that ``backward()`` computes there included. The code, a model say, needs no change.

Each convolution, and each gradient of one, is the exact sum rounded once. What torch does with them, such as adding two
gradients of one parameter or a batch normalisation, is torch's arithmetic.
"""

from refconv.torch.functional import conv1d, conv2d, conv3d, conv_transpose1d, conv_transpose2d, conv_transpose3d
from refconv.torch.mode import reference_mode

__all__ = [
    "conv1d",
    "conv2d",
    "conv3d",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
    "reference_mode",
]
