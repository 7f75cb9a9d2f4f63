"""Every kind of ConvProblem, as a Hypothesis strategy, and torch to run it."""

import itertools

import torch.nn.functional as F
from hypothesis import strategies as st

from refconv import geometry
from refconv.problem import ConvProblem


@st.composite
def problems(draw, largest=8, transposed=None):
    """Problems over one to three axes, with everything that they can have; all are valid."""
    if transposed is None:
        transposed = draw(st.booleans())
    n = draw(st.integers(1, 3))
    N = draw(st.none() | st.integers(0, 3))
    groups, in_channels, out_channels = (draw(st.integers(1, 3)) for _ in range(3))
    axes = []
    for _ in range(n):
        kernel, stride, dilation = draw(st.integers(1, 4)), draw(st.integers(1, 4)), draw(st.integers(1, 3))
        begin, end = draw(st.integers(0, 4)), draw(st.integers(0, 4))
        output_padding = draw(st.integers(0, max(stride, dilation) - 1)) if transposed else 0
        if transposed:
            # The smallest input for which something is left after cropping.
            missing = begin + end + 1 - geometry.extent(kernel, dilation) - output_padding
            least = max(1, 1 + -(-missing // stride))
        else:
            least = max(1, geometry.extent(kernel, dilation) - begin - end)
        size = draw(st.integers(least, max(least, largest)))
        axes.append((size, kernel, stride, (begin, end), dilation, output_padding))
    size, kernel, stride, padding, dilation, output_padding = map(list, zip(*axes, strict=True))
    batch = [] if N is None else [N]
    bias_shape = draw(st.sampled_from([None, (groups * out_channels,)]))
    arguments = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups, "spatial_ndim": n}
    input_shape = [*batch, groups * in_channels, *size]
    if transposed:
        weight_shape = [groups * in_channels, out_channels, *kernel]
        arguments["output_padding"] = output_padding
        return ConvProblem.transposed_from_shapes(input_shape, weight_shape, bias_shape, **arguments)
    return ConvProblem.from_shapes(input_shape, [groups * out_channels, in_channels, *kernel], bias_shape, **arguments)


def torch_result(problem, input, weight):
    """Run a problem in torch, which pads and crops both ends alike: uneven ends are done by hand."""
    arguments = {"stride": problem.stride, "dilation": problem.dilation, "groups": problem.groups}
    function = getattr(F, problem.name)
    if not problem.transposed:
        ends = list(itertools.chain.from_iterable(reversed(problem.padding)))
        return function(F.pad(input, ends), weight, **arguments)
    whole = function(input, weight, output_padding=problem.output_padding, **arguments)
    for axis, (begin, end) in enumerate(problem.padding):
        axis += whole.ndim - problem.spatial_ndim
        whole = whole.narrow(axis, begin, whole.shape[axis] - begin - end)
    return whole
