"""From a call to its result: read the operands, check the call, allocate the result, fill it."""

import numpy as np

from refconv.adjoint import input_gradient
from refconv.arrays import as_operands
from refconv.correlate import correlate, kernel_options
from refconv.problem import ConvProblem

__all__ = ["FORWARD", "TRANSPOSED", "convolve"]

#: How each kind of call is described, and what fills its result.
FORWARD = (ConvProblem.from_shapes, correlate)
TRANSPOSED = (ConvProblem.transposed_from_shapes, input_gradient)


def convolve(kind, name, operands, arguments, dtype, overflow, algorithm, threads):
    """Return the result of a call of `refconv.functional`.

    Parameters
    ----------
    kind : FORWARD or TRANSPOSED
    name : str
        The called function, conv1d to conv_transpose3d.
    operands : (input, weight, bias)
    arguments : tuple
        stride, padding and so on, as the caller gave them and in the order of that function.
    dtype, overflow, algorithm, threads
        As the caller gave them.
    """
    input, weight, bias = operands
    (input, weight, bias), dtype = as_operands(name, dtype, input=input, weight=weight, bias=bias)
    options = kernel_options(name, overflow, algorithm, threads)
    describe, fill = kind
    bias_shape = None if bias is None else bias.shape
    problem = describe(input.shape, weight.shape, bias_shape, *arguments, spatial_ndim=int(name[-2]))
    output = np.empty(problem.output_shape, dtype)
    batched = (input, output) if problem.batched else (input[np.newaxis], output[np.newaxis])
    fill(batched[0], weight, bias, batched[1], **problem.kernel_arguments, **options)
    return output
