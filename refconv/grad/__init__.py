"""The gradients of the convolutions, by the names of ``torch.nn.grad``.

Let L be a number computed from the output of a convolution, and grad_output its derivatives by the elements of that
output. The functions here return its derivatives by the elements of input, weight and bias, each of them the exact real
sum, rounded once. ``kernels/direct_grad.pyx`` shows every sum next to the forward line that it differentiates.
"""

from refconv.grad.by_bias import conv1d_bias, conv2d_bias, conv3d_bias
from refconv.grad.by_input import conv1d_input, conv2d_input, conv3d_input
from refconv.grad.by_weight import conv1d_weight, conv2d_weight, conv3d_weight

__all__ = [
    "conv1d_bias",
    "conv1d_input",
    "conv1d_weight",
    "conv2d_bias",
    "conv2d_input",
    "conv2d_weight",
    "conv3d_bias",
    "conv3d_input",
    "conv3d_weight",
]
