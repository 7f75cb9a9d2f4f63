"""A right convolution in NumPy, and one for every way of getting it wrong that the conformance suite has to find.

These are targets for ``refconv check tests/wrong_convolutions.py:NAME``. `WRONG` says which clause each of them breaks.
"""

import time

import numpy as np

from refconv.problem import ConvProblem

# Name of a function below -> key of the clause whose business its fault is. Clauses that are not about conv2d with
# torch's padding are broken in `wrong_relatives`.
WRONG = {}


def breaks(clause):
    def register(function):
        WRONG[function.__name__] = clause
        return function

    return register


def right(input, weight, bias, stride, padding, dilation, groups, accumulate=None):
    bias_shape = None if bias is None else bias.shape
    problem = ConvProblem.from_shapes(input.shape, weight.shape, bias_shape, stride, padding, dilation, groups)
    return over_taps(problem, input, weight, bias, problem.padding, accumulate)


def over_taps(problem, input, weight, bias, pads, accumulate=None):
    """Add the contributions of the kernel's elements one after the other."""
    x = np.pad(input.reshape(problem.N, problem.C_in, *problem.input_size), ((0, 0), (0, 0), *pads))
    oH, oW = problem.output_size
    (stride_h, stride_w), (dil_h, dil_w) = problem.stride, problem.dilation
    out = np.zeros((problem.N, problem.C_out, oH, oW), accumulate or input.dtype)
    inputs = np.split(x, problem.groups, axis=1)
    weights = np.split(weight, problem.groups, axis=0)
    outputs = np.split(out, problem.groups, axis=1)
    for r in range(problem.kernel_size[0]):
        for s in range(problem.kernel_size[1]):
            rows = slice(r * dil_h, r * dil_h + (oH - 1) * stride_h + 1, stride_h)
            columns = slice(s * dil_w, s * dil_w + (oW - 1) * stride_w + 1, stride_w)
            for x_g, w_g, out_g in zip(inputs, weights, outputs, strict=True):
                for c in range(w_g.shape[1]):
                    with np.errstate(all="ignore"):
                        out_g += (x_g[:, c, None, rows, columns] * w_g[:, c, r, s, None, None]).astype(out.dtype)
    if bias is not None:
        with np.errstate(all="ignore"):
            out += bias[:, None, None].astype(out.dtype)
    return out.astype(input.dtype).reshape(problem.output_shape)


@breaks("shape")
def last_row_missing(*call):
    out = right(*call)
    return out[..., :-1, :] if out.shape[-2] > 1 else out


@breaks("kernel")
def kernel_flipped(input, weight, *rest):
    return right(input, weight[..., ::-1, ::-1], *rest)


@breaks("channels")
def last_channel_dropped(input, weight, *rest):
    if weight.ndim == 4 and weight.shape[1] > 4:
        weight = weight.copy()
        weight[:, -1] = 0
    return right(input, weight, *rest)


@breaks("batch")
def first_image_only(input, weight, *rest):
    out = right(input, weight, *rest)
    if out.ndim == 4:
        out[1:] = out[:1]
    return out


@breaks("unbatched")
def always_batched(input, *rest):
    out = right(input, *rest)
    return out[None] if out.ndim == 3 else out


@breaks("bias")
def bias_missing(input, weight, bias, *rest):
    right(input, weight, bias, *rest)
    return right(input, weight, None, *rest)


@breaks("stride")
def stride_axes_swapped(input, weight, bias, stride, *rest):
    return right(input, weight, bias, stride[::-1] if isinstance(stride, tuple) else stride, *rest)


@breaks("dilation")
def dilation_ignored(input, weight, bias, stride, padding, dilation, groups):
    shape = right(input, weight, bias, stride, padding, dilation, groups).shape
    out = right(input, weight, bias, stride, padding, 1, groups)
    return out[tuple(slice(size) for size in shape)]


@breaks("padding")
def padding_on_one_side(input, weight, bias, stride, padding, dilation, groups):
    bias_shape = None if bias is None else bias.shape
    problem = ConvProblem.from_shapes(input.shape, weight.shape, bias_shape, stride, padding, dilation, groups)
    pads = problem.padding if isinstance(padding, str) else tuple((0, sum(pair)) for pair in problem.padding)
    return over_taps(problem, input, weight, bias, pads)


@breaks("padding")
def windows_in_the_padding_are_nan(input, weight, bias, *rest):
    taps_inside = right(np.ones_like(input), np.ones_like(weight), None, *rest)
    return np.where(taps_inside == 0, np.nan, right(input, weight, bias, *rest)).astype(input.dtype)


@breaks("named-padding")
def odd_zero_at_the_beginning(input, weight, bias, stride, padding, dilation, groups):
    bias_shape = None if bias is None else bias.shape
    problem = ConvProblem.from_shapes(input.shape, weight.shape, bias_shape, stride, padding, dilation, groups)
    return over_taps(problem, input, weight, bias, tuple((end, begin) for begin, end in problem.padding))


@breaks("groups")
def groups_interleaved(input, weight, bias, stride, padding, dilation, groups):
    problem = ConvProblem.from_shapes(
        input.shape, weight.shape, None if bias is None else bias.shape, stride, padding, dilation, groups
    )
    order = np.arange(problem.C_in).reshape(-1, groups).T.reshape(-1)
    return right(input.take(order, axis=-3), weight, bias, stride, padding, dilation, groups)


@breaks("anything-goes")
def dilation_forgotten_with_stride_and_groups(input, weight, bias, stride, padding, dilation, groups):
    if groups > 1 and stride != 1:
        return dilation_ignored(input, weight, bias, stride, padding, dilation, groups)
    return right(input, weight, bias, stride, padding, dilation, groups)


@breaks("rounding")
def accumulates_in_float16(*call):
    return right(*call, accumulate=np.float16)


@breaks("non-finite")
def nan_is_zero(input, *rest):
    return right(np.nan_to_num(input, nan=0.0, posinf=np.inf, neginf=-np.inf), *rest)


@breaks("signed-zeros")
def sum_of_what_is_subtracted(input, weight, bias, *rest):
    return -right(-input, weight, None if bias is None else -bias, *rest)


@breaks("subnormals")
def flushes_subnormals(input, *rest):
    out = right(input, *rest)
    return np.where(np.abs(out) < np.finfo(out.dtype).tiny, 0, out).astype(out.dtype)


@breaks("views")
def takes_memory_as_contiguous(input, weight, *rest):
    # Numbers in the order in which they lie in memory.
    return right(input, weight.ravel(order="K").reshape(weight.shape), *rest)


@breaks("untouched")
def clears_its_input(input, *rest):
    out = right(input, *rest)
    input[...] = 0
    return out


@breaks("repeatable")
def every_call_rounds_differently(*call, calls=[0]):  # noqa: B006 - it is to be remembered
    calls[0] += 1
    out = right(*call)
    return np.nextafter(out, np.inf, dtype=out.dtype) if calls[0] % 2 else out


@breaks("repeatable")
def one_buffer_for_all_results(*call, buffers={}):  # noqa: B006 - it is to be remembered
    out = right(*call)
    buffer = buffers.setdefault((out.shape, out.dtype), out)
    buffer[...] = out
    return buffer


@breaks("errors")
def guesses_what_was_meant(input, *rest):
    try:
        return right(input, *rest)
    except ValueError:
        return np.zeros((1, 1, 1, 1), input.dtype)


@breaks("errors")
def fails_with_the_wrong_exception(input, *rest):
    try:
        return right(input, *rest)
    except ValueError:
        raise IndexError("list index out of range") from None


@breaks("kernel")
def raises(*_):
    raise ZeroDivisionError("at a place of its own")


@breaks("kernel")
def returns_nothing(*_):
    return None


# ---- Clauses about one thing ----


@breaks("impulse")
def odd_taps_lost(input, weight, *rest):
    weight = weight.copy()
    weight[..., 1::2] = 0
    return right(input, weight, *rest)


@breaks("size-one")
def squeezes_its_input(input, weight, *rest):
    out = right(input, weight, *rest)
    return out[..., ::-1] if 1 in input.shape[-2:] else out


@breaks("vector-widths")
def seventeenth_channel_lost(input, weight, *rest):
    weight = weight.copy()
    weight[:, 16:] = 0
    return right(input, weight, *rest)


@breaks("pointwise")
def stride_forgotten_by_matrix_products(input, weight, bias, stride, padding, dilation, groups):
    out = right(input, weight, bias, stride, padding, dilation, groups)
    if weight.shape[-2:] == (1, 1):
        image = right(input, weight, bias, 1, padding, dilation, groups)
        out = np.ascontiguousarray(image[..., : out.shape[-2], : out.shape[-1]])
    return out


@breaks("empty-batch")
def batch_of_one_at_least(input, *rest):
    out = right(input, *rest)
    return np.zeros((1, *out.shape[1:]), out.dtype) if out.shape[0] == 0 else out


@breaks("dtype")
def always_float64(input, weight, *rest):
    return right(input, weight, *rest).astype(np.float64 if input.dtype == np.float32 else np.float32)


@breaks("strided-dilation")
def dilation_forgotten_with_stride(input, weight, bias, stride, padding, dilation, groups):
    if stride not in (1, (1, 1)):
        return dilation_ignored(input, weight, bias, stride, padding, dilation, groups)
    return right(input, weight, bias, stride, padding, dilation, groups)


@breaks("deep-padding")
def windows_in_the_padding_lose_the_bias(input, weight, bias, *rest):
    taps_inside = right(np.ones_like(input), np.ones_like(weight), None, *rest)
    return np.where(taps_inside == 0, 0, right(input, weight, bias, *rest)).astype(input.dtype)


# ---- Laws ----


@breaks("linear-in-input")
def negative_sums_cut_off(input, weight, bias, *rest):
    out = np.maximum(right(input, weight, None, *rest), 0)
    return out if bias is None else out + bias[:, None, None]


@breaks("linear-in-weight")
def signs_of_the_weight_lost(input, weight, *rest):
    return right(input, np.abs(weight), *rest)


@breaks("shift")
def every_eighth_column_stale(*call):
    out = right(*call)
    out[..., 7::8] = 0
    return out


@breaks("batch-apart")
def first_image_only_of_odd_batches(input, weight, *rest):
    out = right(input, weight, *rest)
    if out.ndim == 4 and len(out) > 2:
        out[1:] = out[:1]
    return out


@breaks("batch-order")
def last_image_twice(input, weight, *rest):
    out = right(input, weight, *rest)
    if out.ndim == 4 and len(out) > 1:
        out[0] = out[-1]
    return out


@breaks("channel-order")
def second_channel_at_half_weight(input, weight, *rest):
    weight = weight.copy()
    weight[:, 1:2] *= 2
    return right(input, weight, *rest)


@breaks("groups-as-blocks")
def first_group_for_all(input, weight, bias, stride, padding, dilation, groups):
    channels = input.shape[-3] // groups
    first = np.repeat(np.expand_dims(input.take(range(channels), -3), -4), groups, axis=-4)
    return right(first.reshape(input.shape), weight, bias, stride, padding, dilation, groups)


@breaks("stride-as-subsampling")
def stride_axes_swapped_of_long_images(input, weight, bias, stride, *rest):
    if isinstance(stride, tuple) and max(input.shape[-2:]) > 4:
        stride = stride[::-1]
    return right(input, weight, bias, stride, *rest)


@breaks("dilation-as-zeros")
def dilation_of_three_taken_for_one(input, weight, bias, stride, padding, dilation, groups):
    if dilation == 3 or (isinstance(dilation, tuple) and 3 in dilation):
        return dilation_ignored(input, weight, bias, stride, padding, dilation, groups)
    return right(input, weight, bias, stride, padding, dilation, groups)


@breaks("padding-as-zeros")
def padding_repeats_the_edge(input, weight, bias, stride, padding, dilation, groups):
    bias_shape = None if bias is None else bias.shape
    problem = ConvProblem.from_shapes(input.shape, weight.shape, bias_shape, stride, padding, dilation, groups)
    padded = np.pad(input, [(0, 0)] * (input.ndim - 2) + list(problem.padding), mode="edge")
    return right(padded, weight, bias, stride, 0, dilation, groups)


# ---- Values, memory, threads ----


@breaks("overflow")
def saturates(*call):
    with np.errstate(all="ignore"):
        out = right(*call)
    largest = np.finfo(out.dtype).max
    return np.where(np.isinf(out), np.copysign(largest, out), out).astype(out.dtype)


@breaks("large-extents")
def counts_in_eight_bits(input, weight, *rest):
    out = right(input, weight, *rest)
    flat = out.reshape(-1)
    flat[256:] = 0
    return out


@breaks("fresh-results")
def returns_its_input_where_nothing_changes(input, weight, bias, *rest):
    out = right(input, weight, bias, *rest)
    return input if np.array_equal(out, input) else out


@breaks("no-cache")
def remembers_the_weight_by_its_address(input, weight, *rest, packed={}):  # noqa: B006 - it is to be remembered
    address = weight.ctypes.data, weight.shape, weight.dtype
    if address not in packed:
        packed[address] = weight.copy(), weight
    return right(input, packed[address][0], *rest)


@breaks("threads")
def one_buffer_for_all_threads(input, *rest, buffer=[None]):  # noqa: B006 - it is to be shared
    buffer[0] = input
    time.sleep(0.001)
    return right(buffer[0], *rest)
