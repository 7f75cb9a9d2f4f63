"""The checks of shapes and geometry, in torch's order and with torch's words.

When several things are wrong at once, the first check to fail decides the message, so the order is part of the
behaviour. It is the order of torch 2.13 on the CPU, found there by making every pair of faults at once;
`tests/test_check_order.py` does the same here, and `tests/test_torch_errors.py` compares the texts. Where torch's text
depends on the backend it picks, the text is that of its native one. Unlike torch, the last checks (kernel size,
dilation, output_padding) apply to an empty batch too: whether a geometry is valid does not depend on N.

What is checked is a *call*: shapes and arguments as `refconv.arguments` leaves them. `check` reads as a list; each
check is a function further down, in the same order. `refconv.gradient_checks` has another list, for the gradients.
"""

from collections.abc import Sequence
from typing import NamedTuple

from refconv.arguments import Padding
from refconv.errors import ConvError
from refconv.geometry import extent, same_padding, transposed_output_size

__all__ = ["Call", "Resolved", "check"]

INT64_MAX = 2**63 - 1
LARGEST_PADDING = INT64_MAX // 2  # twice as much is still an int64


class Call(NamedTuple):
    """One call of a convolution, by shapes. Tuples are as long as the caller made them."""

    spatial_ndim: int
    transposed: bool
    input_shape: tuple[int, ...]
    weight_shape: tuple[int, ...]
    bias_shape: tuple[int, ...] | None
    stride: tuple[int, ...]
    padding: Padding
    output_padding: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int
    grad_output_shape: tuple[int, ...] | None = None  # of a call for one of the gradients

    @property
    def name(self) -> str:
        return f"conv{'_transpose' * self.transposed}{self.spatial_ndim}d"

    @property
    def batched_shape(self) -> tuple[int, ...]:
        """The input's shape with a batch axis, as torch shows it in most messages. Gradients always have one."""
        batched = len(self.input_shape) == self.spatial_ndim + 2 or self.grad_output_shape is not None
        return self.input_shape if batched else (1, *self.input_shape)


class Resolved(NamedTuple):
    """What the arguments come to: one value per spatial axis, padding as (begin, end) pairs."""

    stride: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]
    output_padding: tuple[int, ...]
    dilation: tuple[int, ...]


def check(call: Call) -> Resolved:
    """Raise `ConvError` for the first thing that is wrong with a call, or return its arguments resolved.

    Parameters
    ----------
    call : Call
        Shapes and arguments, in exact ints.

    Returns
    -------
    Resolved

    Raises
    ------
    ConvError
        ``Given groups=1, weight of size [16, 3, 5, 5], expected input[1, 1, 28, 28] to have 3 channels, ...`` and more,
        one text for each of the functions below.
    """
    check_spatial_ndim(call)
    check_int64(call)
    check_no_negative_size(call)
    check_input_ndim(call)
    check_padding_string(call)
    check_weight_ndim(call)
    check_groups(call)
    if call.padding == "same":
        check_same(call)
    resolved = resolve(call)
    check_signs(call, resolved)
    check_equal_ndim(call)
    check_weight_divides(call)
    if call.transposed:
        check_largest_padding(resolved)
        check_transposed_channels(call)
        check_empty_input(call)
        if call.spatial_ndim < 3:  # in three dimensions torch finds an empty kernel later, with the weight
            check_kernel_size(call, resolved)
        check_dilation(call, resolved)
        check_output_padding(resolved)
        check_transposed_weight(call)
        check_transposed_output(call, resolved)
    else:
        check_channels(call, resolved)
        check_largest_padding(resolved)
        check_kernel_fits(call, resolved)
        check_empty_input(call)
        check_kernel_size(call, resolved)
        check_dilation(call, resolved)
    return resolved


# ---- The arguments by themselves ----


def check_spatial_ndim(call: Call) -> None:
    if call.spatial_ndim not in (1, 2, 3):
        raise ConvError(f"spatial_ndim must be 1, 2 or 3, but got {call.spatial_ndim}")


def check_int64(call: Call) -> None:
    values = [*call.input_shape, *call.weight_shape, *(call.bias_shape or ())]
    values += [*call.stride, *call.output_padding, *call.dilation, call.groups, *(call.grad_output_shape or ())]
    if not isinstance(call.padding, str):
        for item in call.padding:
            values += item if isinstance(item, tuple) else (item,)
    if min(values) < -INT64_MAX - 1 or max(values) > INT64_MAX:
        raise ConvError("Overflow when unpacking long long")


def check_no_negative_size(call: Call) -> None:
    # No array has a negative size, but a shape written by hand may.
    for shape in (call.input_shape, call.weight_shape, call.bias_shape or ()):
        if any(size < 0 for size in shape):
            raise ConvError(f"Trying to create tensor with negative dimension {min(shape)}: {list(shape)}")


def check_input_ndim(call: Call) -> None:
    unbatched = call.spatial_ndim + 1
    if len(call.input_shape) not in (unbatched, unbatched + 1):
        raise ConvError(
            f"Expected {unbatched}D (unbatched) or {unbatched + 1}D (batched) input to {call.name}, "
            f"but got input of size: {list(call.input_shape)}"
        )


def check_padding_string(call: Call) -> None:
    if isinstance(call.padding, str) and call.padding not in ("same", "valid"):
        raise ConvError(f"Invalid padding string: '{call.padding}'")


def check_weight_ndim(call: Call) -> None:
    if len(call.weight_shape) < 3:
        raise ConvError("weight should have at least three dimensions")


def check_groups(call: Call) -> None:
    if call.groups <= 0:
        raise ConvError("non-positive groups is not supported")


def check_same(call: Call) -> None:
    # 'same' is computed from the other arguments, so torch checks their lengths here, in other words than below.
    weight, input_ = list(call.weight_shape), list(call.batched_shape)
    if len(weight) != len(input_):
        raise ConvError(
            f"Expected {len(weight)}-dimensional input for {len(weight)}-dimensional weight{weight}, "
            f"but got {len(input_)}-dimensional input of size {input_} instead"
        )
    n = call.spatial_ndim
    for argument, values in (("stride", call.stride), ("dilation", call.dilation)):
        if len(values) not in (1, n):
            raise ConvError(f"{argument} cannot broadcast to {n} dimensions")
    if any(s != 1 for s in call.stride):
        raise ConvError("padding='same' is not supported for strided convolutions")


def resolve(call: Call) -> Resolved:
    """Expand every argument to one value per axis of the weight, as torch does; the n of conv{n}d does not count."""
    n = len(call.weight_shape) - 2
    stride = _expand("stride", call.stride, n)
    padding = ((0, 0),) * n
    if not isinstance(call.padding, str):
        padding = tuple(p if isinstance(p, tuple) else (p, p) for p in _expand("padding", call.padding, n))
    dilation = _expand("dilation", call.dilation, n)
    output_padding = _expand("output_padding", call.output_padding, n)
    if call.padding == "same":
        padding = tuple(same_padding(k, d) for k, d in zip(call.weight_shape[2:], dilation, strict=True))
    return Resolved(stride, padding, output_padding, dilation)


def _expand(argument: str, values: tuple, n: int) -> tuple:
    if len(values) == n:
        return values
    if len(values) == 1 and isinstance(values[0], int):
        return values * n
    raise ConvError(
        f"expected {argument} to be a single integer value or a list of {n} values "
        f"to match the convolution dimensions, but got {argument}={list(values)}"
    )


def check_signs(call: Call, resolved: Resolved) -> None:
    # 'same' for an empty kernel ends in -1, but the empty kernel has a message of its own further on.
    sides = 1 if call.padding == "same" else 2
    if any(side < 0 for pair in resolved.padding for side in pair[:sides]):
        raise ConvError("negative padding is not supported")
    if any(p < 0 for p in resolved.output_padding):
        raise ConvError("negative output_padding is not supported")
    if any(s <= 0 for s in resolved.stride):
        raise ConvError("non-positive stride is not supported")
    if any(d < 0 for d in resolved.dilation):
        raise ConvError("dilation should be greater than zero")


# ---- The shapes against each other ----


def check_equal_ndim(call: Call) -> None:
    weight, input_ = list(call.weight_shape), list(call.batched_shape)
    if len(weight) != len(input_):
        raise ConvError(
            f"Expected {len(weight)}-dimensional input for {len(weight)}-dimensional weight {weight}, "
            f"but got {len(input_)}-dimensional input of size {input_} instead"
        )


def check_weight_divides(call: Call) -> None:
    weight, groups = list(call.weight_shape), call.groups
    if weight[0] < groups:
        raise ConvError(
            f"Given groups={groups}, expected weight to be at least {groups} at dimension 0, "
            f"but got weight of size {weight} instead"
        )
    if weight[0] % groups != 0:
        # The double brackets are torch's.
        raise ConvError(
            f"Given groups={groups}, expected weight to be divisible by {groups} at dimension 0, "
            f"but got weight of size [{weight}] instead"
        )


def check_channels(call: Call, resolved: Resolved) -> None:
    weight, input_ = list(call.weight_shape), list(call.batched_shape)
    C_in = weight[1] * call.groups
    if input_[1] != C_in:
        if call.padding == "same":
            # By now torch has put the odd zero of an even kernel into the input, and shows that one.
            input_[2:] = [s + end - begin for s, (begin, end) in zip(input_[2:], resolved.padding, strict=True)]
        raise ConvError(
            f"Given groups={call.groups}, weight of size {weight}, expected input{input_} "
            f"to have {C_in} channels, but got {input_[1]} channels instead"
        )
    check_bias(call, f"Given weight of size {weight}", C_out=weight[0])


def check_transposed_channels(call: Call) -> None:
    weight, input_ = list(call.weight_shape), list(call.batched_shape)
    if input_[1] != weight[0]:
        raise ConvError(
            f"Given transposed=1, weight of size {weight}, expected input{input_} "
            f"to have {weight[0]} channels, but got {input_[1]} channels instead"
        )
    check_bias(call, f"Given transposed=1, weight of size {weight}", C_out=weight[1] * call.groups)


def check_bias(call: Call, given: str, C_out: int) -> None:
    if call.bias_shape is not None and call.bias_shape != (C_out,):
        raise ConvError(
            f"{given}, expected bias to be 1-dimensional with {C_out} elements, "
            f"but got bias of size {list(call.bias_shape)} instead"
        )


# ---- The sizes along the axes ----


def check_largest_padding(resolved: Resolved) -> None:
    for axis, pair in enumerate(resolved.padding):
        if max(pair) > LARGEST_PADDING:
            # The space before the comma is torch's.
            raise ConvError(
                f"Given padding={max(pair)} at dimension {axis} , expected padding to be at most {LARGEST_PADDING}"
            )


def check_kernel_fits(call: Call, resolved: Resolved) -> None:
    padded = [size + sum(pair) for size, pair in zip(call.batched_shape[2:], resolved.padding, strict=True)]
    extents = [extent(k, d) for k, d in zip(call.weight_shape[2:], resolved.dilation, strict=True)]
    if any(p < e for p, e in zip(padded, extents, strict=True)):
        raise ConvError(
            f"Calculated padded input size per channel: ({_by(padded)}). Kernel size: ({_by(extents)}). "
            "Kernel size can't be greater than actual input size"
        )


def check_empty_input(call: Call) -> None:
    N, C_in, *sizes = call.batched_shape
    if N > 0 and C_in > 0 and 0 in sizes:
        shape = [N, C_in, *as_seen(sizes, 1)]
        raise ConvError(f"Only zero batch or zero channel inputs are supported, but got input shape: {shape}")


def check_kernel_size(call: Call, resolved: Resolved) -> None:
    sizes = as_seen(call.weight_shape[2:], 1)
    if 0 not in sizes:
        return
    problem = "kernel size should be greater than zero, but got"
    # Torch has three native kernels here, with three texts.
    if not call.transposed and any(d != 1 for d in resolved.dilation):
        raise ConvError(f"{problem} {sizes}")
    if call.spatial_ndim == 3:
        raise ConvError(f"{problem}: {_by(sizes)} (TxHxW)")
    raise ConvError(f"{problem} {_named('kernel', sizes)}")


def check_dilation(call: Call, resolved: Resolved) -> None:
    if 0 in resolved.dilation:
        dilation = as_seen(resolved.dilation, 1)
        got = _named("dilation", dilation, separator=", ") if call.transposed else dilation
        raise ConvError(f"dilation should be greater than zero, but got {got}")


def check_output_padding(resolved: Resolved) -> None:
    per_axis = zip(resolved.output_padding, resolved.stride, resolved.dilation, strict=True)
    if any(p >= s and p >= d for p, s, d in per_axis):
        got = (
            _named("output_padding", as_seen(resolved.output_padding, 0)),
            _named("stride", as_seen(resolved.stride, 1)),
            _named("dilation", as_seen(resolved.dilation, 1)),
        )
        raise ConvError(f"output padding must be smaller than either stride or dilation, but got {' '.join(got)}")


def check_transposed_weight(call: Call) -> None:
    if 0 not in call.weight_shape:
        return
    C_in, per_group, *kernel = call.weight_shape
    shape = [C_in // call.groups, per_group, *as_seen(kernel, 1)]  # of one group
    if call.spatial_ndim == 3:
        axes = "n_output_plane x n_input_plane x kernel_depth x kernel_height x kernel_width"
        raise ConvError(f"non-empty 5D ({axes}) tensor expected for weight, but got: {shape}")
    raise ConvError(f"non-empty 2D or 4D weight tensor expected, but got: {shape}")


def check_transposed_output(call: Call, resolved: Resolved) -> None:
    sizes = call.batched_shape[2:]
    stride, padding, output_padding, dilation = resolved
    per_axis = zip(sizes, call.weight_shape[2:], stride, padding, dilation, output_padding, strict=True)
    output_sizes = [transposed_output_size(*axis) for axis in per_axis]
    if min(output_sizes) < 1:
        raise ConvError(
            f"Given input size per channel: ({_by(as_seen(sizes, 1))}). "
            f"Calculated output size per channel: ({_by(as_seen(output_sizes, 1))}). Output size is too small"
        )


# ---- Parts of the texts ----


def as_seen(values: Sequence[int], height: int) -> list[int]:
    """Return values per axis as torch's native kernels see them: one dimension is two, with a height of its own."""
    return [height, *values] if len(values) == 1 else list(values)


def _by(sizes: Sequence[int]) -> str:
    return " x ".join(map(str, sizes))


def _named(what: str, values: Sequence[int], separator: str = " ") -> str:
    axes = ("depth", "height", "width")[-len(values) :]
    return separator.join(f"{what}_{axis}: {value}" for axis, value in zip(axes, values, strict=True))
