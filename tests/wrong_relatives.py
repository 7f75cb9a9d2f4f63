"""Wrong functions of the family, written after the clauses and without a look at how these find them.

Two or three for every clause, of its kind: also of the transposed convolutions and the gradients, and of convolutions
that are passed padding in another library's way. `tools/suite_matrix.py` counts how many of them the quick profile
rejects at the first try.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

import refconv
import refconv.grad
from refconv.conformance.profile import Profile
from refconv.conformance.targets.function import FunctionTarget
from refconv.testing.calls import SIGNATURES

__all__ = ["WRONG", "Wrong"]


@dataclass(frozen=True)
class Wrong:
    """A wrong function.

    Parameters
    ----------
    clause : str
        Key of the clause of whose kind its fault is.
    op : str
    function : callable
        Takes the right function and its arguments, by name.
    padding : str
        As `Profile.padding`.
    """

    clause: str
    op: str
    function: Callable
    padding: str = "torch"

    @property
    def name(self) -> str:
        return self.function.__name__

    def __call__(self, *values):
        """Call it as the plain signature says."""
        right = getattr(refconv.grad if hasattr(refconv.grad, self.op) else refconv, self.op)
        named = dict(zip(SIGNATURES[self.op], values, strict=True))
        return self.function(lambda **changes: right(*{**named, **changes}.values()), **named)

    def target(self, dtypes=("float32",)) -> FunctionTarget:
        """Return it as a target."""
        lines = [f"from wrong_relatives import NAMED\n{self.op} = NAMED[{self.name!r}]"]
        profile = Profile(ops=(self.op,), dtypes=dtypes, padding=self.padding)
        return FunctionTarget(self.name, {self.op: self}, profile, {self.op: lines[0].split("\n")})


WRONG: list[Wrong] = []
NAMED: dict[str, Wrong] = {}


def wrong(clause, op, padding="torch"):
    def register(function):
        WRONG.append(Wrong(clause, op, function, padding))
        NAMED[function.__name__] = WRONG[-1]
        return function

    return register


def per_axis(value, n=2):
    return value if isinstance(value, tuple) else (value,) * n


# ---- Transposed convolutions and gradients ----


@wrong("output-padding", "conv_transpose2d")
def added_rows_are_zero(right, *, output_padding, **_):
    out = right()
    for axis, added in enumerate(per_axis(output_padding), start=out.ndim - 2):
        if added:
            out[(slice(None),) * axis + (slice(-added, None),)] = 0
    return out


@wrong("output-padding", "conv_transpose1d")
def rows_added_at_the_beginning(right, *, output_padding, **_):
    added = per_axis(output_padding, 1)[0]
    return np.roll(right(), added, axis=-1)


@wrong("adjoint", "conv2d_input")
def gradient_of_the_flipped_kernel(right, *, weight, **_):
    return right(weight=weight[..., ::-1, ::-1])


@wrong("adjoint", "conv2d_weight")
def gradient_of_the_first_image(right, *, input, grad_output, **_):
    return right(input=input[:1], grad_output=grad_output[:1])


@wrong("adjoint", "conv_transpose2d")
def stride_of_the_columns_for_all(right, *, stride, **_):
    return right(stride=per_axis(stride)[1]) if per_axis(stride)[0] == per_axis(stride)[1] else right() + 1


@wrong("gradient-errors", "conv2d_input")
def takes_any_grad_output(right, *, input_size, **_):
    try:
        return right()
    except ValueError:
        return np.zeros(input_size, np.float32)


@wrong("gradient-errors", "conv2d_weight")
def asserts_instead(right, **_):
    try:
        return right()
    except ValueError as error:
        raise AssertionError(str(error)) from None


# ---- Padding as others pass it ----


@wrong("uneven-padding", "conv2d", "pairs")
def padding_from_the_first_axis_alone(right, *, padding, **_):
    out = right()
    if padding[0] != padding[1] and sum(padding[0]) == sum(padding[1]):
        out = right(padding=(padding[0], padding[0]))
    return out


@wrong("uneven-padding", "conv2d", "pairs")
def beginning_and_end_exchanged(right, *, padding, **_):
    return right(padding=tuple(pair[::-1] for pair in padding))


def same(right, padding, input, weight, stride, dilation, lower_means="SAME_LOWER"):
    """SAME as onnx and TensorFlow have it, on top of pairs."""
    if not isinstance(padding, str):
        if isinstance(padding, list):
            padding = tuple(zip(padding[: len(padding) // 2], padding[len(padding) // 2 :], strict=True))
        return right(padding=padding)
    if padding == "VALID":
        return right(padding=0)
    pairs = []
    sizes = zip(input.shape[-2:], weight.shape[-2:], per_axis(stride), per_axis(dilation), strict=True)
    for size, k, s, d in sizes:
        total = max((-(-size // s) - 1) * s + d * (k - 1) + 1 - size, 0)
        pair = total // 2, total - total // 2
        pairs.append(pair[::-1] if padding == lower_means else pair)
    return right(padding=tuple(pairs))


@wrong("same-with-strides", "conv2d", "onnx")
def upper_and_lower_exchanged(right, *, padding, input, weight, stride, dilation, **_):
    return same(right, padding, input, weight, stride, dilation, lower_means="SAME_UPPER")


@wrong("same-with-strides", "conv2d", "onnx")
def same_from_the_undilated_kernel(right, *, padding, input, weight, stride, dilation, **_):
    if isinstance(padding, str) and per_axis(dilation) != (1, 1):
        sparse = same(right, padding, input, weight, stride, 1)
        wanted = same(right, padding, input, weight, stride, dilation)
        return sparse if sparse.shape == wanted.shape else wanted[..., ::-1]
    return same(right, padding, input, weight, stride, dilation)


@wrong("same-with-strides", "conv2d", "tensorflow")
def same_without_its_stride(right, *, padding, input, weight, stride, dilation, **_):
    if padding == "SAME" and per_axis(stride) != (1, 1):
        # As torch: the zeros of stride 1, and as many windows as there should be.
        return right(
            padding=tuple(
                ((k - 1) * d // 2, (k - 1) * d - (k - 1) * d // 2)
                for k, d in zip(weight.shape[-2:], per_axis(dilation), strict=True)
            )
        )
    return same(right, padding, input, weight, stride, dilation)


# ---- One more for most clauses, written when all of them were there ----


@wrong("impulse", "conv_transpose2d")
def last_column_of_the_kernel_is_lost_where_it_is_even(right, *, weight, **_):
    weight = weight.copy()
    if weight.shape[-1] % 2 == 0:
        weight[..., -1] = 0
    return right(weight=weight)


@wrong("size-one", "conv2d_weight")
def kernels_of_one_column_summed_without_their_last_image(right, *, input, weight_size, grad_output, **_):
    if weight_size[-1] == 1 and len(input) > 1:
        return right(input=input[:-1], grad_output=grad_output[:-1])
    return right()


@wrong("vector-widths", "conv2d_input")
def output_channels_past_the_thirtieth_lost(right, *, grad_output, **_):
    grad_output = grad_output.copy()
    grad_output[:, 30:] = 0
    return right(grad_output=grad_output)


@wrong("pointwise", "conv2d")
def padding_of_matrix_products_is_the_last_pixel(right, *, weight, padding, **_):
    out = right()
    if weight.shape[-2:] == (1, 1) and padding not in (0, (0, 0)):
        out[..., 0, 0] = out[..., -1, -1] + 1
    return out


@wrong("batch", "conv_transpose2d")
def third_image_of_the_batch_is_the_second(right, **_):
    out = right()
    if out.ndim == 4 and len(out) > 2:
        out[2] = out[1]
    return out


@wrong("groups", "conv2d_weight")
def gradients_of_the_groups_rotated(right, *, groups, **_):
    out = right()
    return np.roll(out, len(out) // groups, axis=0)


@wrong("stride", "conv2d_input")
def gradient_of_left_over_rows_copied(right, *, stride, **_):
    out = right()
    if per_axis(stride)[0] > 2:
        out[..., -1, :] = out[..., 0, :]
    return out


@wrong("dilation", "conv_transpose2d")
def dilation_of_three_is_two_and_a_gap(right, *, weight, dilation, **_):
    if per_axis(dilation)[1] == 3 and weight.shape[-1] > 1:
        return np.roll(right(), 1, axis=-1)
    return right()


@wrong("deep-padding", "conv2d")
def padding_past_the_kernel_wraps(right, *, weight, padding, **_):
    out = right()
    if max(per_axis(padding)) > weight.shape[-1]:
        out[..., -1] = out[..., 0] + 1
    return out


@wrong("linear-in-weight", "conv2d_input")
def gradient_clipped_from_below(right, **_):
    return np.maximum(right(), -3)


@wrong("shift", "conv_transpose2d")
def first_pixel_of_the_result_kept_free(right, **_):
    out = right()
    out[..., 0, 0] = 0
    return out


@wrong("channel-order", "conv2d_bias")
def last_channel_halved(right, **_):
    out = right()
    out[-1] = out[-1] * 2 if len(out) > 1 else out[-1]
    return out


@wrong("groups-as-blocks", "conv_transpose2d")
def odd_groups_negated(right, *, groups, **_):
    out = right()
    channels = out.shape[-3] // groups
    if groups > 1:
        out[..., channels : 2 * channels, :, :] *= -1
    return out


@wrong("large-extents", "conv1d_weight")
def sums_of_a_thousand_windows_at_most(right, *, grad_output, **_):
    grad_output = grad_output.copy()
    grad_output[..., 1000:] = 0
    return right(grad_output=grad_output)


@wrong("no-cache", "conv2d_weight")
def remembers_the_image_by_its_address(right, *, input, cache={}, **_):  # noqa: B006 - it is to be remembered
    address = input.ctypes.data, input.shape
    if address not in cache:
        cache[address] = input.copy(), input
    return right(input=cache[address][0])


@wrong("rounding", "conv_transpose2d")
def products_of_half_precision(right, *, input, **_):
    with np.errstate(all="ignore"):
        return right(input=input.astype(np.float16).astype(input.dtype))


@wrong("overflow", "conv2d_weight")
def saturates_at_the_largest_number(right, **_):
    out = right()
    return np.nan_to_num(out, nan=np.nan)


# ---- One for each way in which a law is asked of a function ----


@wrong("linear-in-input", "conv2d")
def results_clipped_on_both_sides(right, *, bias, **_):
    out = np.clip(right(bias=None), -3, 3)
    return out if bias is None else out + bias[:, None, None]


@wrong("linear-in-input", "conv2d")
def signs_of_the_input_lost(right, *, input, **_):
    return right(input=np.abs(input))


@wrong("batch-apart", "conv2d_weight")
def first_image_counted_twice(right, *, input, grad_output, **_):
    return right() + (right(input=input[:1], grad_output=grad_output[:1]) if len(input) > 1 else 0)


@wrong("shift", "conv2d_input")
def first_pixel_of_the_gradient_kept_free(right, **_):
    out = right()
    out[..., 0, 0] = 0
    return out


@wrong("shift", "conv2d_weight")
def first_row_of_windows_lost(right, *, grad_output, **_):
    grad_output = grad_output.copy()
    grad_output[..., 0, :] = 0
    return right(grad_output=grad_output)


@wrong("groups-as-blocks", "conv2d_weight")
def gradients_of_two_groups_exchanged(right, *, groups, **_):
    return np.roll(right(), 1 if groups > 1 else 0, axis=0)


def moved_by_a_column(right, argument, usual):
    """A result that is in the wrong place where an argument is not the usual one."""
    return right() if per_axis(argument) == (usual, usual) else np.roll(right(), 1, axis=-1)


@wrong("stride-as-subsampling", "conv_transpose2d")
def result_moved_where_there_is_a_stride(right, *, stride, **_):
    return moved_by_a_column(right, stride, 1)


@wrong("stride-as-subsampling", "conv2d_input")
def gradient_moved_where_there_is_a_stride(right, *, stride, **_):
    return moved_by_a_column(right, stride, 1)


@wrong("dilation-as-zeros", "conv2d_weight")
def gradient_moved_where_there_is_a_dilation(right, *, dilation, **_):
    return moved_by_a_column(right, dilation, 1)


@wrong("padding-as-zeros", "conv_transpose2d")
def result_moved_where_something_is_cut_off(right, *, padding, **_):
    return moved_by_a_column(right, padding, 0)


@wrong("padding-as-zeros", "conv2d_input")
def gradient_moved_where_something_is_cut_off(right, *, padding, **_):
    return moved_by_a_column(right, padding, 0)


@wrong("padding-as-zeros", "conv2d_weight")
def gradient_moved_where_there_is_padding(right, *, padding, **_):
    return moved_by_a_column(right, padding, 0)
