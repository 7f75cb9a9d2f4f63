"""Hypothesis strategies for convolutions: geometry, calls as they are spelt, operands, and calls that are wrong.

Everything shrinks towards one batch item, one channel, one pixel, a 1x1 kernel and default arguments.
"""

import math
from bisect import bisect_right
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from hypothesis import strategies as st

from refconv import geometry
from refconv.problem import ConvProblem
from refconv.testing.calls import ConvCall, ConvCase
from refconv.testing.recipes import RECIPES, build_operands

__all__ = ["FAULTS", "FEATURES", "bad_calls", "conv_calls", "conv_cases", "conv_problems", "long_sums"]

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


def _pairs(values):
    return st.tuples(values, values)


def _int_or_pair(values):
    return values | _pairs(values)


# Made once instead of for every draw, which is faster by a tenth or two.
_STRIDES = _int_or_pair(st.integers(1, 4))
_DILATIONS = _int_or_pair(st.integers(1, 3))
_KERNEL_SIZES = _pairs(st.integers(1, 5))
_ROOM = _pairs(st.integers(0, 9))
_PADDINGS = _int_or_pair(st.integers(0, 6))
_NAMED_PADDINGS = st.sampled_from(("valid", "same"))
_ASYMMETRIC_PADDINGS = _pairs(_pairs(st.integers(0, 6)))
_FIRST_CHANNELS = [st.sampled_from(_CHANNELS[:number]) for number in range(1, len(_CHANNELS) + 1)]
_GROUPS = st.sampled_from((1, 2, 3, 4, 8))


@st.composite
def conv_calls(draw, *, vary=FEATURES, always=(), max_macs=1 << 17):
    """Draw calls of conv2d whose arguments fit together.

    Kernels and images are not square in general; kernels may be larger than the image, windows may lie in the padding
    altogether, strides may be larger than the kernel.

    Parameters
    ----------
    vary : collection of str, optional
        Which of `FEATURES` may differ from the simplest call; all by default. Also understood is
        ``"asymmetric_padding"``: ``((top, bottom), (left, right))``, which torch does not have.
    always : collection of str, optional
        Which of "bias", "named_padding", "unbatched" every call has.
    max_macs : int, optional
        The most multiply-adds, roughly.

    Returns
    -------
    strategy of ConvCall
    """
    vary = set(vary) | set(always)
    unknown = vary - {*FEATURES, "asymmetric_padding"}
    if unknown:
        raise ValueError(f"conv_calls(): unknown features {sorted(unknown)}; known are {', '.join(FEATURES)}")

    def present(feature):
        return feature in always or (feature in vary and draw(st.sampled_from((False, False, True)), label=feature))

    paddings = _paddings("padding" in vary, "named_padding" in vary, "asymmetric_padding" in vary)
    padding = draw(_NAMED_PADDINGS if "named_padding" in always else paddings, label="padding")
    stride = draw(_STRIDES, label="stride") if "stride" in vary else 1
    if padding == "same":
        stride = 1  # It is not defined for others.
    dilation = draw(_DILATIONS, label="dilation") if "dilation" in vary else 1
    kernel_size = draw(_KERNEL_SIZES, label="kernel_size") if "kernel" in vary else (1, 1)
    pads = _total_padding(padding, kernel_size, _pair(dilation))
    extents = map(geometry.extent, kernel_size, _pair(dilation))
    # The smallest image for which there is an output, and some more; with enough padding the smallest is a single
    # pixel.
    room = draw(_ROOM, label="room")
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
    return ConvCall(
        input_shape=image if unbatched else (N, *image),
        weight_shape=(C_out, C_in_per_group, *kernel_size),
        bias_shape=(C_out,) if present("bias") else None,
        stride=stride,
        padding=padding,
        dilation=dilation,
        groups=groups,
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


def long_sums():
    """Draw calls with few outputs, each a sum of hundreds or thousands of products.

    Returns
    -------
    strategy of ConvCall
    """
    return st.builds(
        lambda C_in, C_out, kernel, extra, bias: ConvCall(
            input_shape=(1, C_in, kernel + extra, kernel),
            weight_shape=(C_out, C_in, kernel, kernel),
            bias_shape=(C_out,) if bias else None,
        ),
        C_in=st.sampled_from((16, 64, 127, 256, 512)),
        C_out=st.integers(1, 3),
        kernel=st.integers(1, 3),
        extra=st.integers(0, 1),
        bias=st.booleans(),
    )


@st.composite
def conv_cases(draw, dtype, recipes, calls):
    """Draw calls together with numbers.

    Parameters
    ----------
    dtype : dtype
        One of the four formats.
    recipes : collection of str
        Keys of `refconv.testing.recipes.RECIPES`.
    calls : strategy of ConvCall

    Returns
    -------
    strategy of ConvCase
    """
    call = draw(calls)
    recipe = draw(st.sampled_from(sorted(recipes, key=list(RECIPES).index)), label="recipe")
    seed = draw(st.integers(0, 2**32 - 1), label="seed")
    bits = draw(st.integers(1, 53), label="bits")
    dtype = np.dtype(dtype)
    return ConvCase(
        call=call,
        operands=build_operands(recipe, call, dtype, seed, bits),
        recipe=f'build_operands("{recipe}", call, "{dtype.name}", seed={seed}, bits={bits})',
    )


def _pair(value):
    return value if isinstance(value, tuple) else (value, value)


def _total_padding(padding, kernel_size, dilation):
    """Return how many zeros are put along each axis, both ends together."""
    if padding == "valid":
        return 0, 0
    if padding == "same":
        return tuple(sum(geometry.same_padding(k, d)) for k, d in zip(kernel_size, dilation, strict=True))
    return tuple(sum(_pair(p)) if isinstance(p, tuple) else 2 * p for p in _pair(padding))


@cache
def _paddings(plain, named, asymmetric):
    """Strategy of padding arguments of the kinds asked for."""
    kinds = {_PADDINGS: plain, _NAMED_PADDINGS: named, _ASYMMETRIC_PADDINGS: asymmetric}
    return st.one_of([kind for kind, wanted in kinds.items() if wanted] or [st.just(0)])


def _channels(most):
    """Strategy of channel counts up to a limit, of 1 if need be."""
    return _FIRST_CHANNELS[max(bisect_right(_CHANNELS, most), 1) - 1]


# ---- Calls that are wrong ----


@dataclass(frozen=True)
class BadCall:
    """A call with one fault, and the fault's name."""

    call: ConvCall
    fault: str


@st.composite
def bad_calls(draw):
    """Draw calls that are wrong in one respect, each otherwise a right one.

    Zero-sized kernels and dilations of zero are not among them: whether they are wrong depends on torch's backend.

    Returns
    -------
    strategy of BadCall
    """
    call = draw(conv_calls(vary=set(FEATURES) - {"named_padding", "unbatched", "empty_batch"}, max_macs=1 << 10))
    fault = draw(st.sampled_from(sorted(FAULTS)), label="fault")
    return BadCall(FAULTS[fault](draw, call), fault)


def _one_or_both(draw, value):
    """Give a bad value to one axis or to both."""
    return draw(st.sampled_from((value, (value, 1), (1, value))))


def _wrong_channels(draw, call):
    C_out, C_in, *kernel_size = call.weight_shape
    return replace(call, weight_shape=(C_out, C_in + draw(st.integers(1, 3)), *kernel_size))


def _kernel_too_large(draw, call):
    axis = draw(st.integers(0, 1))
    problem = call.problem
    weight_shape = list(call.weight_shape)
    weight_shape[2 + axis] = problem.input_size[axis] + sum(problem.padding[axis]) + draw(st.integers(1, 3))
    return replace(call, weight_shape=tuple(weight_shape))


def _negative_padding(draw, call):
    return replace(call, padding=_one_or_both(draw, draw(st.integers(-2, -1))))


def _stride_not_positive(draw, call):
    return replace(call, stride=_one_or_both(draw, draw(st.integers(-1, 0))))


def _negative_dilation(draw, call):
    return replace(call, dilation=_one_or_both(draw, -1))


def _wrong_bias(draw, call):
    C_out = call.weight_shape[0]
    return replace(call, bias_shape=draw(st.sampled_from(((C_out + 1,), (C_out, 1), (1, C_out), ()))))


def _groups_not_positive(draw, call):
    return replace(call, groups=draw(st.integers(-1, 0)))


def _too_many_groups(draw, call):
    return replace(call, groups=call.weight_shape[0] + draw(st.integers(1, 2)))


def _output_channels_do_not_divide(draw, call):
    groups = draw(st.integers(2, 4))
    _, C_in, *kernel_size = call.weight_shape
    C_out = groups * draw(st.integers(1, 3)) + draw(st.integers(1, groups - 1))
    N, _, *image = call.input_shape
    return replace(
        call,
        input_shape=(N, groups * C_in, *image),
        weight_shape=(C_out, C_in, *kernel_size),
        bias_shape=None,
        groups=groups,
    )


def _wrong_input_ndim(draw, call):
    return replace(call, input_shape=draw(st.sampled_from((call.input_shape[2:], (1, *call.input_shape)))))


def _wrong_weight_ndim(draw, call):
    shape = call.weight_shape
    return replace(call, weight_shape=draw(st.sampled_from((shape[:2], shape[:3], (*shape, 1)))))


def _wrong_length(draw, call):
    argument = draw(st.sampled_from(("stride", "padding", "dilation")))
    return replace(call, **{argument: (1,) * draw(st.sampled_from((0, 3)))})


def _unknown_padding_name(draw, call):
    return replace(call, padding=draw(st.sampled_from(("full", "SAME", ""))))


def _same_with_stride(draw, call):
    return replace(call, padding="same", stride=_one_or_both(draw, draw(st.integers(2, 3))))


def _empty_image(draw, call):
    # With padding enough for a 1x1 kernel to fit.
    N, C_in, *image = call.input_shape
    image[draw(st.integers(0, 1))] = 0
    C_out, C_in_per_group, *_ = call.weight_shape
    return replace(call, input_shape=(N, C_in, *image), weight_shape=(C_out, C_in_per_group, 1, 1), padding=1)


FAULTS = {
    "channels do not match": _wrong_channels,
    "kernel larger than the padded image": _kernel_too_large,
    "negative padding": _negative_padding,
    "stride not positive": _stride_not_positive,
    "negative dilation": _negative_dilation,
    "wrong shape of the bias": _wrong_bias,
    "groups not positive": _groups_not_positive,
    "more groups than output channels": _too_many_groups,
    "groups do not divide the output channels": _output_channels_do_not_divide,
    "input has the wrong number of dimensions": _wrong_input_ndim,
    "weight has the wrong number of dimensions": _wrong_weight_ndim,
    "one value too many or none at all": _wrong_length,
    "unknown name of a padding": _unknown_padding_name,
    "'same' with a stride": _same_with_stride,
    "image without pixels": _empty_image,
}
