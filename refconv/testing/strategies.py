"""Hypothesis strategies for convolutions: geometry, calls as they are spelt, and operands.

Calls that are wrong are in `refconv.testing.bad_calls`.

Everything shrinks towards one batch item, one channel, one pixel, a 1x1 kernel and default arguments.
"""

import math
from bisect import bisect_right
from dataclasses import replace
from functools import cache

from hypothesis import strategies as st

from refconv import geometry
from refconv.dtypes import named_dtype
from refconv.problem import ConvProblem
from refconv.testing.calls import ConvCall, ConvCase
from refconv.testing.recipes import RECIPES, build_operands

__all__ = ["FEATURES", "conv_calls", "conv_cases", "conv_problems", "long_sums", "related_call"]

#: What may differ from the simplest convolution.
FEATURES = (
    "kernel",
    "channels",
    "batch",
    "stride",
    "padding",
    "dilation",
    "groups",
    "bias",
    "named_padding",
    "unbatched",
    "empty_batch",
)

# One, the sizes around a vector of 4, 8 or 16 numbers, and others in between.
_CHANNELS = (1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 64)


def _tuples(values, length):
    return st.tuples(*[values] * length)


class _PerAxis:
    """Strategies of the arguments that have a value per spatial axis, for one number of axes.

    Made once instead of for every draw, which is faster by a tenth or two.
    """

    def __init__(self, axes: int):
        def int_or_tuple(values):
            return values | _tuples(values, axes)

        # A third axis makes everything larger, so that each has less room.
        self.strides = int_or_tuple(st.integers(1, 4))
        self.dilations = int_or_tuple(st.integers(1, 3))
        self.kernel_sizes = _tuples(st.integers(1, 5 if axes < 3 else 3), axes)
        self.room = _tuples(st.integers(0, 9 if axes < 3 else 4), axes)
        self.paddings = int_or_tuple(st.integers(0, 6 if axes < 3 else 3))
        self.asymmetric_paddings = _tuples(_tuples(st.integers(0, 6 if axes < 3 else 3), 2), axes)


_PER_AXIS = {axes: _PerAxis(axes) for axes in (1, 2, 3)}
_NAMED_PADDINGS = st.sampled_from(("valid", "same"))
# Where one channel is all there can be, it is chosen from two equal ones: a choice less would move those behind it, and
# Hypothesis could not shrink the number of groups by itself.
_FIRST_CHANNELS = [
    st.sampled_from(_CHANNELS[:number] if number > 1 else (1, 1)) for number in range(1, len(_CHANNELS) + 1)
]
_GROUPS = st.sampled_from((1, 2, 3, 4, 8))


@st.composite
def conv_calls(draw, *, vary=FEATURES, always=(), max_macs=1 << 17, op="conv2d"):
    """Draw calls of a function of the family, of conv2d by default, whose arguments fit together.

    Kernels and images are not square in general; kernels may be larger than the image, windows may lie in the padding
    altogether, strides may be larger than the kernel.

    Parameters
    ----------
    vary : collection of str, optional
        Which of `FEATURES` may differ from the simplest call; all by default. Also understood is
        ``"asymmetric_padding"``: ``((top, bottom), (left, right))``, which torch does not have.
    always : collection of str, optional
        Which of "bias", "named_padding", "asymmetric_padding", "unbatched" every call has.
    max_macs : int, optional
        The most multiply-adds, roughly.
    op : str, optional
        The function. What a function does not have is left out: names of paddings, say, except for the forward ones.

    Returns
    -------
    strategy of ConvCall
    """
    axes = ConvCall((), (), op=op).spatial_ndim
    per_axis = _PER_AXIS[axes]
    if not op.startswith(f"conv{axes}d") or "_" in op:
        vary, always = set(vary) - {"named_padding"}, set(always) - {"named_padding"}
    vary = set(vary) | set(always)
    unknown = vary - {*FEATURES, "asymmetric_padding"}
    if unknown:
        raise ValueError(f"conv_calls(): unknown features {sorted(unknown)}; known are {', '.join(FEATURES)}")

    def present(feature):
        return feature in always or (feature in vary and draw(st.sampled_from((False, False, True)), label=feature))

    paddings = _paddings(axes, "padding" in vary, "named_padding" in vary, "asymmetric_padding" in vary)
    padding = draw(_NAMED_PADDINGS if "named_padding" in always else paddings, label="padding")
    stride = draw(per_axis.strides, label="stride") if "stride" in vary else 1
    if padding == "same":
        stride = 1  # It is not defined for others.
    dilation = draw(per_axis.dilations, label="dilation") if "dilation" in vary else 1
    kernel_size = draw(per_axis.kernel_sizes, label="kernel_size") if "kernel" in vary else (1,) * axes
    pads = _total_padding(padding, kernel_size, _per_axis(dilation, axes))
    extents = map(geometry.extent, kernel_size, _per_axis(dilation, axes))
    # The smallest image for which there is an output, and some more; with enough padding the smallest is a single
    # pixel.
    room = draw(per_axis.room, label="room")
    input_size = tuple(max(1, extent - pad) + more for extent, pad, more in zip(extents, pads, room, strict=True))

    unbatched = present("unbatched")
    batches = (1, 2, 3) if "batch" in vary else (1,)
    N = draw(st.sampled_from((*batches, 0) if "empty_batch" in vary else batches), label="N")
    groups = draw(_GROUPS, label="groups") if "groups" in vary else 1
    # At most, with stride 1: one window per element of the padded image.
    positions = max(N, 1) * math.prod(size + pad for size, pad in zip(input_size, pads, strict=True))
    affordable = max_macs // (positions * math.prod(kernel_size))
    if "channels" not in vary:
        affordable = 1
    C_in_per_group = draw(_channels(affordable // groups), label="C_in / groups")
    C_out_per_group = draw(_channels(affordable // (groups * C_in_per_group)), label="C_out / groups")
    C_out = groups * C_out_per_group
    image = (groups * C_in_per_group, *input_size)
    call = ConvCall(
        input_shape=image if unbatched else (N, *image),
        weight_shape=(C_out, C_in_per_group, *kernel_size),
        bias_shape=(C_out,) if present("bias") else None,
        stride=stride,
        padding=padding,
        dilation=dilation,
        groups=groups,
        op=f"conv{axes}d",
    )
    return related_call(draw, call, op)


def related_call(draw, call: ConvCall, op: str) -> ConvCall:
    """Return the call of another function whose products are those of a forward call, which it may be itself."""
    if op == call.op:
        return call
    problem = call.problem
    batched_input = (problem.N, problem.C_in, *problem.input_size)
    output = (problem.N, problem.C_out, *problem.output_size)
    if isinstance(call.padding, str):
        # Only the forward convolutions have names for paddings.
        call = replace(call, padding=problem.padding)
    if "transpose" not in op:
        return replace(call, op=op, input_shape=batched_input, bias_shape=None, grad_shape=output)
    # What was cut off from the sides of the result must not be more than all of it.
    sizes = zip(problem.output_size, problem.kernel_size, problem.stride, problem.dilation, strict=True)
    whole = [(o - 1) * s + geometry.extent(k, d) for o, k, s, d in sizes]
    if any(sum(pads) >= size for pads, size in zip(problem.padding, whole, strict=True)):
        call = replace(call, padding=0)
    added = tuple(
        draw(st.integers(0, max(s, d) - 1), label="output_padding")
        for s, d in zip(problem.stride, problem.dilation, strict=True)
    )
    return replace(
        call,
        op=op,
        input_shape=output if problem.batched else output[1:],
        bias_shape=None if call.bias_shape is None else (problem.C_in,),
        output_padding=added,
    )


def conv_problems(*, vary=FEATURES, always=(), max_macs=1 << 17):
    """Draw descriptions of convolutions: `conv_calls`, whose parameters these are, without the spelling.

    Returns
    -------
    strategy of ConvProblem
    """

    def problem(call: ConvCall) -> ConvProblem:
        return call.problem

    return conv_calls(vary=vary, always=always, max_macs=max_macs).map(problem)


def long_sums(op="conv2d"):
    """Draw calls with few outputs, each a sum of hundreds or thousands of products.

    Parameters
    ----------
    op : str, optional
        One of the forward convolutions, conv2d by default.

    Returns
    -------
    strategy of ConvCall
    """
    axes = ConvCall((), (), op=op).spatial_ndim
    return st.builds(
        lambda C_in, C_out, kernel, extra, bias: ConvCall(
            input_shape=(1, C_in, *(kernel,) * (axes - 1), kernel + extra),
            weight_shape=(C_out, C_in, *(kernel,) * axes),
            bias_shape=(C_out,) if bias else None,
            op=op,
        ),
        C_in=st.sampled_from((16, 64, 127, 256, 512)),
        C_out=st.integers(1, 3),
        kernel=st.integers(1, 3),
        extra=st.integers(0, 1),
        bias=st.booleans(),
    )


@st.composite
def conv_cases(draw, dtype, recipes, calls, most_bits=53):
    """Draw calls together with numbers.

    Parameters
    ----------
    dtype : dtype
        Any dtype for the exact recipes, and one of the four formats for the others.
    recipes : collection of str
        Keys of `refconv.testing.recipes.RECIPES`.
    calls : strategy of ConvCall
    most_bits : int, optional
        Integers stay below 2**most_bits.

    Returns
    -------
    strategy of ConvCase
    """
    call = draw(calls)
    recipe = draw(st.sampled_from(sorted(recipes, key=list(RECIPES).index)), label="recipe")
    seed = draw(st.integers(0, 2**32 - 1), label="seed")
    bits = draw(st.integers(1, most_bits), label="bits")
    dtype = named_dtype(dtype)
    return ConvCase(
        call=call,
        operands=build_operands(recipe, call, dtype, seed, bits),
        recipe=f'build_operands("{recipe}", call, "{dtype.name}", seed={seed}, bits={bits})',
    )


def _per_axis(value, axes):
    return value if isinstance(value, tuple) else (value,) * axes


def _total_padding(padding, kernel_size, dilation):
    """Return how many zeros are put along each axis, both ends together."""
    axes = len(kernel_size)
    if padding == "valid":
        return (0,) * axes
    if padding == "same":
        return tuple(sum(geometry.same_padding(k, d)) for k, d in zip(kernel_size, dilation, strict=True))
    return tuple(sum(p) if isinstance(p, tuple) else 2 * p for p in _per_axis(padding, axes))


@cache
def _paddings(axes, plain, named, asymmetric):
    """Strategy of padding arguments of the kinds asked for."""
    per_axis = _PER_AXIS[axes]
    kinds = {per_axis.paddings: plain, _NAMED_PADDINGS: named, per_axis.asymmetric_paddings: asymmetric}
    return st.one_of([kind for kind, wanted in kinds.items() if wanted] or [st.just(0)])


def _channels(most):
    """Strategy of channel counts up to a limit, of 1 if need be."""
    return _FIRST_CHANNELS[max(bisect_right(_CHANNELS, most), 1) - 1]
