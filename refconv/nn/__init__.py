"""Convolutions as layers on NumPy arrays, with the constructors, parameters and printed form of ``torch.nn``.

A layer holds a weight and a bias and calls the function of the same name, so its results are correctly rounded. It does
not learn by itself: the gradients are in `refconv.grad`, and layers that torch's autograd can train in `refconv.torch`.
"""

from refconv.nn.conv import Conv1d, Conv2d, Conv3d
from refconv.nn.conv_transpose import ConvTranspose1d, ConvTranspose2d, ConvTranspose3d

__all__ = ["Conv1d", "Conv2d", "Conv3d", "ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d"]
