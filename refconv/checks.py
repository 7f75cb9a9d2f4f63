"""The checks of shapes and geometry, in torch's order and with torch's words.

When several things are wrong at once, the first check that fails decides the message, so the order below is part of the
behaviour. It is the order of torch 2.13 on the CPU, measured by injecting every pair of faults; `tests/test_torch_errors.py`
replays the measurements. Where torch's text depends on the backend it picks, the text is that of its native one. Checks at the
end that torch does not have are marked "ours".

What is checked is a *call*: shapes and arguments as `refconv.arguments` leaves them, that is exact ints and tuples of them.
"""

import math
from typing import NamedTuple

from refconv.arguments import Padding
from refconv.errors import ConvError
from refconv.geometry import extent, output_size, same_padding, transposed_output_size

__all__ = ["Call", "Resolved", "check"]

INT64_MAX = 2**63 - 1
LARGEST_PADDING = INT64_MAX // 2  # so that twice the padding is still an int64


class Call(NamedTuple):
    """One call of a convolution, by shapes. Lengths of tuples are as the caller gave them: right or wrong, 1 or n."""

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

    @property
    def name(self) -> str:
        return f"conv{'_transpose' * self.transposed}{self.spatial_ndim}d"


class Resolved(NamedTuple):
    """What the checks leave: one value per spatial axis, padding as (begin, end) pairs, the input with a batch axis."""

    input_shape: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]
    output_padding: tuple[int, ...]
    dilation: tuple[int, ...]


def check(call: Call) -> Resolved:
    """Raise `ConvError` for the first thing that is wrong with a call, or return its resolved geometry.

    Parameters
    ----------
    call : Call
        Shapes and arguments, in exact ints.

    Returns
    -------
    Resolved
        The geometry with one value per axis.

    Raises
    ------
    ConvError
        The texts are in this module, one function per check.
    """
    _check_int64(call)
    _check_no_negative_size(call)
    _check_input_ndim(call)
    if call.padding not in ("same", "valid") and isinstance(call.padding, str):
        raise ConvError(f"Invalid padding string: '{call.padding}'")
    if len(call.weight_shape) < 3:
        raise ConvError("weight should have at least three dimensions")
    if call.groups <= 0:
        raise ConvError("non-positive groups is not supported")
    if call.padding == "same":
        _check_same(call)
    resolved = _resolve(call)
    _check_signs(call, resolved)
    _check_weight(call, resolved)
    if call.transposed:
        _check_largest_padding(resolved)
        _check_transposed_channels(call, resolved)
        _check_empty_input(call, resolved)
        _check_transposed_geometry(call, resolved)
    else:
        _check_channels(call, resolved)
        _check_largest_padding(resolved)
        _check_kernel_fits(call, resolved)
        _check_empty_input(call, resolved)
        _check_kernel_size(call, resolved)
        _check_dilation(call, resolved)
    _check_sizes_fit(call, resolved)
    return resolved


# ---- Before the geometry is known ----


def _check_int64(call: Call) -> None:
    values = [*call.stride, *call.output_padding, *call.dilation, call.groups]
    if not isinstance(call.padding, str):
        for item in call.padding:
            values += item if isinstance(item, tuple) else [item]
    if any(not -INT64_MAX - 1 <= value <= INT64_MAX for value in values):
        raise ConvError("Overflow when unpacking long long")


def _check_no_negative_size(call: Call) -> None:
    # No array has a negative size; a shape written by hand may.
    for shape in (call.input_shape, call.weight_shape, call.bias_shape or ()):
        if any(size < 0 for size in shape):
            raise ConvError(f"Trying to create tensor with negative dimension {min(shape)}: {list(shape)}")


def _check_input_ndim(call: Call) -> None:
    n = call.spatial_ndim
    if len(call.input_shape) not in (n + 1, n + 2):
        raise ConvError(
            f"Expected {n + 1}D (unbatched) or {n + 2}D (batched) input to {call.name}, "
            f"but got input of size: {list(call.input_shape)}"
        )


def _check_same(call: Call) -> None:
    # padding='same' needs sizes per axis earlier than the rest, so its own checks of ranks and lengths come first.
    weight = list(call.weight_shape)
    input_ = list(_batched(call))
    if len(weight) != len(input_):
        raise ConvError(
            f"Expected {len(weight)}-dimensional input for {len(weight)}-dimensional weight{weight}, "
            f"but got {len(input_)}-dimensional input of size {input_} instead"
        )
    n = call.spatial_ndim
    for argument in ("stride", "dilation"):
        if len(getattr(call, argument)) not in (1, n):
            raise ConvError(f"{argument} cannot broadcast to {n} dimensions")
    if any(s != 1 for s in call.stride):
        raise ConvError("padding='same' is not supported for strided convolutions")


def _batched(call: Call) -> tuple[int, ...]:
    """Return the input's shape with a batch axis, as torch shows it in messages."""
    unbatched = len(call.input_shape) == call.spatial_ndim + 1
    return (1, *call.input_shape) if unbatched else call.input_shape


# ---- One value per axis ----


def _resolve(call: Call) -> Resolved:
    """Expand every argument to one value per axis of the *weight*, which is what torch goes by."""
    n = len(call.weight_shape) - 2
    stride = _expand("stride", call.stride, n)
    if isinstance(call.padding, str):
        padding = ((0, 0),) * n
    else:
        given = _expand("padding", call.padding, n)
        padding = tuple(p if isinstance(p, tuple) else (p, p) for p in given)
    dilation = _expand("dilation", call.dilation, n)
    output_padding = _expand("output_padding", call.output_padding, n)
    input_shape = _batched(call)
    if call.padding == "same":
        padding = tuple(same_padding(k, d) for k, d in zip(call.weight_shape[2:], dilation, strict=True))
    return Resolved(input_shape, stride, padding, output_padding, dilation)


def _expand(argument: str, values: tuple, n: int) -> tuple:
    if len(values) == n:
        return values
    if len(values) == 1 and not isinstance(values[0], tuple):
        return values * n
    shown = [list(value) if isinstance(value, tuple) else value for value in values]
    raise ConvError(
        f"expected {argument} to be a single integer value or a list of {n} values "
        f"to match the convolution dimensions, but got {argument}={shown}"
    )


def _check_signs(call: Call, resolved: Resolved) -> None:
    # The end of 'same' is -1 for an empty kernel, which has a message of its own further on.
    sides = 1 if call.padding == "same" else 2
    if any(side < 0 for pair in resolved.padding for side in pair[:sides]):
        raise ConvError("negative padding is not supported")
    if any(p < 0 for p in resolved.output_padding):
        raise ConvError("negative output_padding is not supported")
    if any(s <= 0 for s in resolved.stride):
        raise ConvError("non-positive stride is not supported")
    if any(d < 0 for d in resolved.dilation):
        raise ConvError("dilation should be greater than zero")


# ---- Channels ----


def _check_weight(call: Call, resolved: Resolved) -> None:
    weight = list(call.weight_shape)
    input_ = list(resolved.input_shape)
    groups = call.groups
    if len(weight) != len(input_):
        raise ConvError(
            f"Expected {len(weight)}-dimensional input for {len(weight)}-dimensional weight {weight}, "
            f"but got {len(input_)}-dimensional input of size {input_} instead"
        )
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


def _check_channels(call: Call, resolved: Resolved) -> None:
    weight = list(call.weight_shape)
    C_in = weight[1] * call.groups
    if resolved.input_shape[1] != C_in:
        raise ConvError(
            f"Given groups={call.groups}, weight of size {weight}, expected input{_shown_input(call, resolved)} "
            f"to have {C_in} channels, but got {resolved.input_shape[1]} channels instead"
        )
    _check_bias(call, f"Given weight of size {weight}", C_out=weight[0])


def _shown_input(call: Call, resolved: Resolved) -> list[int]:
    """Return the input's shape as torch shows it: an odd 'same' padding has put its extra zero into the input by then."""
    shape = list(resolved.input_shape)
    if call.padding == "same":
        for axis, (begin, end) in enumerate(resolved.padding):
            shape[2 + axis] += end - begin
    return shape


def _check_transposed_channels(call: Call, resolved: Resolved) -> None:
    weight = list(call.weight_shape)
    if resolved.input_shape[1] != weight[0]:
        raise ConvError(
            f"Given transposed=1, weight of size {weight}, expected input{list(resolved.input_shape)} "
            f"to have {weight[0]} channels, but got {resolved.input_shape[1]} channels instead"
        )
    _check_bias(call, f"Given transposed=1, weight of size {weight}", C_out=weight[1] * call.groups)


def _check_bias(call: Call, given: str, C_out: int) -> None:
    if call.bias_shape is not None and call.bias_shape != (C_out,):
        raise ConvError(
            f"{given}, expected bias to be 1-dimensional with {C_out} elements, "
            f"but got bias of size {list(call.bias_shape)} instead"
        )


# ---- Sizes along the axes ----


def _check_largest_padding(resolved: Resolved) -> None:
    for axis, pair in enumerate(resolved.padding):
        if max(pair) > LARGEST_PADDING:
            # The space before the comma is torch's.
            raise ConvError(
                f"Given padding={max(pair)} at dimension {axis} , expected padding to be at most {LARGEST_PADDING}"
            )


def _check_kernel_fits(call: Call, resolved: Resolved) -> None:
    padded = _padded_sizes(resolved)
    extents = _extents(call, resolved)
    if any(p < e for p, e in zip(padded, extents, strict=True)):
        raise ConvError(
            f"Calculated padded input size per channel: ({_by(padded)}). Kernel size: ({_by(extents)}). "
            "Kernel size can't be greater than actual input size"
        )


def _check_empty_input(call: Call, resolved: Resolved) -> None:
    N, C_in, *sizes = resolved.input_shape
    if N > 0 and C_in > 0 and 0 in sizes:
        shape = [N, C_in, *_at_least_two(sizes, 1)]
        raise ConvError(f"Only zero batch or zero channel inputs are supported, but got input shape: {shape}")


def _check_kernel_size(call: Call, resolved: Resolved) -> None:
    kernel = call.weight_shape[2:]
    if 0 not in kernel:
        return
    shown = _at_least_two(kernel, 1)
    if not call.transposed and any(d != 1 for d in resolved.dilation):
        got = f"{shown}"
    elif len(kernel) == 3:
        got = f": {_by(kernel)} (TxHxW)"
    else:
        got = f"{_named('kernel', shown)}"
    raise ConvError(f"kernel size should be greater than zero, but got{'' if got.startswith(':') else ' '}{got}")


def _check_dilation(call: Call, resolved: Resolved) -> None:
    if 0 in resolved.dilation:
        shown = _at_least_two(resolved.dilation, 1)
        got = _named("dilation", shown, separator=", ") if call.transposed else shown
        raise ConvError(f"dilation should be greater than zero, but got {got}")


def _check_transposed_geometry(call: Call, resolved: Resolved) -> None:
    # Torch's kernel in three dimensions is another function than that for one and two, and looks at the kernel size later.
    if call.spatial_ndim < 3:
        _check_kernel_size(call, resolved)
    _check_dilation(call, resolved)
    _check_output_padding(call, resolved)
    _check_weight_not_empty(call)
    _check_output_not_empty(call, resolved)


def _check_output_padding(call: Call, resolved: Resolved) -> None:
    by_axis = zip(resolved.output_padding, resolved.stride, resolved.dilation, strict=True)
    if any(p >= s and p >= d for p, s, d in by_axis):
        named = [
            _named("output_padding", _at_least_two(resolved.output_padding, 0)),
            _named("stride", _at_least_two(resolved.stride, 1)),
            _named("dilation", _at_least_two(resolved.dilation, 1)),
        ]
        raise ConvError(f"output padding must be smaller than either stride or dilation, but got {' '.join(named)}")


def _check_weight_not_empty(call: Call) -> None:
    if 0 not in call.weight_shape:
        return
    if call.spatial_ndim == 3:
        raise ConvError(
            "non-empty 5D (n_output_plane x n_input_plane x kernel_depth x kernel_height x kernel_width) tensor expected "
            f"for weight, but got: {list(call.weight_shape)}"
        )
    shape = [*call.weight_shape[:2], *_at_least_two(call.weight_shape[2:], 1)]
    raise ConvError(f"non-empty 2D or 4D weight tensor expected, but got: {shape}")


def _check_output_not_empty(call: Call, resolved: Resolved) -> None:
    sizes = _output_sizes(call, resolved)
    if min(sizes) < 1:
        given, calculated = (_by(_at_least_two(s, 1)) for s in (resolved.input_shape[2:], sizes))
        raise ConvError(
            f"Given input size per channel: ({given}). Calculated output size per channel: ({calculated}). "
            "Output size is too small"
        )


# ---- Ours: sizes that torch lets wrap around ----


def _check_sizes_fit(call: Call, resolved: Resolved) -> None:
    """Raise if a size, an array's bytes at 8 per element, or the number of multiply-adds is beyond int64."""
    sizes = _output_sizes(call, resolved)
    # The padded input, or for a transposed convolution the output before its padding is cropped: the range of the index map.
    padded = _padded_sizes(resolved)
    full = [size + sum(pair) for size, pair in zip(sizes, resolved.padding, strict=True)] if call.transposed else padded
    if max(full) > INT64_MAX:
        raise ConvError(
            f"{call.name}(): the {'output before cropping' if call.transposed else 'padded input'} "
            f"has size ({_by(full)}) per channel, which does not fit in int64"
        )
    N, C_in = resolved.input_shape[:2]
    C_out = call.weight_shape[1] * call.groups if call.transposed else call.weight_shape[0]
    shapes = {
        "input": resolved.input_shape,
        "weight": call.weight_shape,
        "output": (N, C_out, *sizes),
    }
    for what, shape in shapes.items():
        # An empty array must have countable strides too, so axes of size 0 do not excuse the others.
        elements = math.prod(max(size, 1) for size in shape)
        if 8 * elements > INT64_MAX:
            raise ConvError(
                f"{call.name}(): the {what} of shape {list(shape)} has {elements} elements, "
                "whose bytes at 8 per element do not fit in int64"
            )
    taps_per_channel = math.prod(call.weight_shape[2:])
    positions = math.prod(resolved.input_shape[2:]) if call.transposed else math.prod(sizes)
    macs = N * positions * C_in * C_out // call.groups * taps_per_channel
    if macs > INT64_MAX:
        raise ConvError(
            f"{call.name}(): input of shape {list(resolved.input_shape)} and weight of shape {list(call.weight_shape)} "
            f"need {macs} multiply-adds, which do not fit in int64"
        )


# ---- Parts of the texts ----


def _output_sizes(call: Call, resolved: Resolved) -> list[int]:
    axes = zip(
        resolved.input_shape[2:],
        call.weight_shape[2:],
        resolved.stride,
        resolved.padding,
        resolved.dilation,
        strict=True,
    )
    if call.transposed:
        return [transposed_output_size(*axis, op) for axis, op in zip(axes, resolved.output_padding, strict=True)]
    return [output_size(*axis) for axis in axes]


def _padded_sizes(resolved: Resolved) -> list[int]:
    return [size + sum(pair) for size, pair in zip(resolved.input_shape[2:], resolved.padding, strict=True)]


def _extents(call: Call, resolved: Resolved) -> list[int]:
    return [extent(k, d) for k, d in zip(call.weight_shape[2:], resolved.dilation, strict=True)]


def _by(sizes) -> str:
    return " x ".join(map(str, sizes))


def _at_least_two(values, fill: int) -> list[int]:
    """Torch computes in one dimension as in two, with a height of 1, and its texts show it."""
    return [fill, *values] if len(values) == 1 else list(values)


def _named(what: str, values: list[int], separator: str = " ") -> str:
    names = ("depth", "height", "width")[-len(values) :]
    return separator.join(f"{what}_{name}: {value}" for name, value in zip(names, values, strict=True))
