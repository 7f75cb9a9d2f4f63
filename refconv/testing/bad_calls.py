"""Hypothesis strategies for calls that are wrong in one respect, each otherwise a right one."""

from dataclasses import dataclass, replace

from hypothesis import strategies as st

from refconv.testing.calls import ConvCall
from refconv.testing.strategies import FEATURES, conv_calls

__all__ = ["FAULTS", "BadCall", "bad_calls"]


@dataclass(frozen=True)
class BadCall:
    """A call with one fault, and the fault's name."""

    call: ConvCall
    fault: str


@st.composite
def bad_calls(draw, op="conv2d", without=()):
    """Draw calls of a convolution, or of its gradient by input or weight, that are wrong in one respect.

    Zero-sized kernels and dilations of zero are not among them: whether they are wrong depends on torch's backend. Nor
    is a grad_output of another batch than the input's, which makes torch read beyond its end.

    Parameters
    ----------
    op : str, optional
    without : collection of str, optional
        Keys of `FAULTS` that are not to be drawn.

    Returns
    -------
    strategy of BadCall
    """
    vary = set(FEATURES) - {"named_padding", "unbatched", "empty_batch"}
    call = draw(conv_calls(vary=vary, max_macs=1 << 10, op=op))
    faults = sorted(fault for fault, (kinds, _) in FAULTS.items() if call.kind in kinds and fault not in without)
    fault = draw(st.sampled_from(faults), label="fault")
    return BadCall(FAULTS[fault][1](draw, call), fault)


def _one_or_all(draw, value, axes, good=1):
    """Give a bad value to one axis or to all."""
    one_bad = [(*(good,) * axis, value, *(good,) * (axes - axis - 1)) for axis in range(axes)]
    return draw(st.sampled_from((value, *one_bad)))


def _wrong_channels(draw, call):
    C_out, C_in, *kernel_size = call.weight_shape
    return replace(call, weight_shape=(C_out, C_in + draw(st.integers(1, 3)), *kernel_size))


def _kernel_too_large(draw, call):
    axis = draw(st.integers(0, call.spatial_ndim - 1))
    problem = call.problem
    weight_shape = list(call.weight_shape)
    weight_shape[2 + axis] = problem.input_size[axis] + sum(problem.padding[axis]) + draw(st.integers(1, 3))
    return replace(call, weight_shape=tuple(weight_shape))


def _negative_padding(draw, call):
    return replace(call, padding=_one_or_all(draw, draw(st.integers(-2, -1)), call.spatial_ndim))


def _stride_not_positive(draw, call):
    return replace(call, stride=_one_or_all(draw, draw(st.integers(-1, 0)), call.spatial_ndim))


def _negative_dilation(draw, call):
    return replace(call, dilation=_one_or_all(draw, -1, call.spatial_ndim))


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
    return replace(call, weight_shape=draw(st.sampled_from((shape[:2], shape[:-1], (*shape, 1)))))


def _wrong_length(draw, call):
    argument = draw(st.sampled_from(("stride", "padding", "dilation")))
    return replace(call, **{argument: (1,) * draw(st.sampled_from((0, call.spatial_ndim + 1)))})


def _unknown_padding_name(draw, call):
    return replace(call, padding=draw(st.sampled_from(("full", "SAME", ""))))


def _same_with_stride(draw, call):
    return replace(call, padding="same", stride=_one_or_all(draw, draw(st.integers(2, 3)), call.spatial_ndim))


def _empty_image(draw, call):
    # With padding enough for a 1x1 kernel to fit.
    N, C_in, *image = call.input_shape
    image[draw(st.integers(0, call.spatial_ndim - 1))] = 0
    C_out, C_in_per_group, *_ = call.weight_shape
    return replace(
        call, input_shape=(N, C_in, *image), weight_shape=(C_out, C_in_per_group, *(1,) * len(image)), padding=1
    )


def _wrong_input_channels(draw, call):
    N, C_in, *image = call.input_shape
    return replace(call, input_shape=(N, C_in + draw(st.integers(1, 3)), *image))


def _output_padding_too_large(draw, call):
    problem = call.problem
    value = max(*problem.stride, *problem.dilation)
    return replace(call, output_padding=_one_or_all(draw, value, call.spatial_ndim, good=0))


def _negative_output_padding(draw, call):
    return replace(call, output_padding=_one_or_all(draw, -1, call.spatial_ndim, good=0))


def _grad_of_other_channels(draw, call):
    N, C_out, *size = call.grad_shape
    return replace(call, grad_shape=(N, C_out + draw(st.integers(1, 3)), *size))


def _grad_of_another_size(draw, call):
    N, C_out, *size = call.grad_shape
    size[draw(st.integers(0, call.spatial_ndim - 1))] += draw(st.integers(1, 3))
    return replace(call, grad_shape=(N, C_out, *size))


def _wrong_grad_ndim(draw, call):
    return replace(call, grad_shape=draw(st.sampled_from((call.grad_shape[2:], (1, *call.grad_shape)))))


_FORWARD = ("forward",)
_BOTH = ("forward", "transposed")
_GRADIENTS = ("by input", "by weight")
_ALL = (*_BOTH, *_GRADIENTS)

#: By name: the kinds of calls that can have a fault, and the function that puts it there.
FAULTS = {
    "channels do not match": (_FORWARD, _wrong_channels),
    "channels do not match the weight's": (("transposed",), _wrong_input_channels),
    "kernel larger than the padded image": (_FORWARD, _kernel_too_large),
    "negative padding": (_ALL, _negative_padding),
    "stride not positive": (_ALL, _stride_not_positive),
    "negative dilation": (_ALL, _negative_dilation),
    "wrong shape of the bias": (_BOTH, _wrong_bias),
    "groups not positive": (_ALL, _groups_not_positive),
    "more groups than output channels": (_FORWARD, _too_many_groups),
    "groups do not divide the output channels": (_FORWARD, _output_channels_do_not_divide),
    "input has the wrong number of dimensions": (_BOTH, _wrong_input_ndim),
    "weight has the wrong number of dimensions": (_BOTH, _wrong_weight_ndim),
    "one value too many or none at all": (_ALL, _wrong_length),
    "unknown name of a padding": (_FORWARD, _unknown_padding_name),
    "'same' with a stride": (_FORWARD, _same_with_stride),
    "image without pixels": (_FORWARD, _empty_image),
    "output_padding not smaller than stride or dilation": (("transposed",), _output_padding_too_large),
    "negative output_padding": (("transposed",), _negative_output_padding),
    "grad_output has other channels": (_GRADIENTS, _grad_of_other_channels),
    "grad_output has another size": (_GRADIENTS, _grad_of_another_size),
    "grad_output has the wrong number of dimensions": (_GRADIENTS, _wrong_grad_ndim),
}
