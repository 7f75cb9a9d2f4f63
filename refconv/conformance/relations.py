"""Laws that tie several calls of one function together, and need no reference for it.

Each takes a `Call` and returns two arrays which are equal if the function obeys the law: "the convolution of a batch is
that of its images". The suite passes them calls that a target makes; scripts in reports pass the function itself.

    x, w     the two arrays that products are made of, whatever the function calls them: see `ConvCall.factors`

>>> import numpy as np
>>> import refconv
>>> from refconv.conformance.relations import Call, batch_apart
>>> x, w = np.float32([[[1, 2, 3]], [[4, 5, 6]]]), np.float32([[[1, 10]]])
>>> one, other = batch_apart(Call(refconv.conv1d, "conv1d", x, w, None, 1, 0, 1, 1))
>>> one.tolist(), other.tolist()
([[[21.0, 32.0]], [[54.0, 65.0]]], [[[21.0, 32.0]], [[54.0, 65.0]]])
"""

import numpy as np

import refconv
from refconv import geometry
from refconv.testing.calls import SIGNATURES, ConvCall
from refconv.testing.claim import Claim
from refconv.testing.verdict import assert_conv_close

__all__ = [
    "Call",
    "additive_in_input",
    "additive_in_weight",
    "adjoint",
    "batch_apart",
    "batch_rolled",
    "channels_rolled",
    "dilation_as_zeros",
    "groups_as_blocks",
    "padding_as_zeros",
    "shifted",
    "stride_as_subsampling",
]


class Call:
    """A call of a function that can be made again with some arguments changed.

    Parameters
    ----------
    function : callable
        With the plain signature of `op`.
    op : str
    *values
        Its arguments, in order.
    claim : Claim, optional
        The arithmetic that every single result is held to, by `refconv.testing.assert_conv_close`. For arithmetics
        that are inexact even where all sums are small integers, so that laws hold only about.
    """

    def __init__(self, function, op: str, *values, claim: Claim | None = None):
        self.function, self.op, self.claim = function, op, claim
        self.arguments = dict(zip(SIGNATURES[op], values, strict=True))
        self.spelled = ConvCall.of(op, values)

    @property
    def problem(self):
        """The convolution behind it, with all arguments per axis."""
        return self.spelled.problem

    @property
    def kind(self) -> str:
        """As `ConvCall.kind`."""
        return self.spelled.kind

    @property
    def factors(self) -> tuple[str | None, str]:
        """The names of x and w."""
        return self.spelled.factors

    def __getitem__(self, name):
        return self.arguments[name]

    def __call__(self, **changes) -> np.ndarray:
        """Call the function."""
        arguments = {**self.arguments, **changes}
        result = np.asarray(self.function(*arguments.values()))
        if self.claim is not None:
            judged = {name.removesuffix("_size"): value for name, value in arguments.items()}
            assert_conv_close(result, op=self.op, **judged, claim=self.claim)
        return result


# ---- Linear ----


def additive_in_input(call: Call):
    """The result for a sum of two x is the sum of their results, and that for -x is the negative one; without bias."""
    return _additive(call, call.factors[0] or call.factors[1])


def additive_in_weight(call: Call):
    """The result for a sum of two w is the sum of their results, and that for -w is the negative one; without bias."""
    return _additive(call, call.factors[1])


def _additive(call, name):
    whole = call[name]
    even = (np.arange(whole.size) % 2 == 0).reshape(whole.shape)
    zero = whole.dtype.type(0)
    parts = [call(**{name: np.where(chosen, whole, zero)}) for chosen in (even, ~even)]
    one, other = [call()], [parts[0] + parts[1]]
    if whole.dtype.kind != "u":
        one.append(call(**{name: -whole}))
        other.append(-one[0])
    return np.stack(one), np.stack(other)


# ---- The same numbers elsewhere ----


def shifted(call: Call):
    """An image moved by a stride gives a result moved by one; and the other way round for the transposed one.

    Without padding and bias.
    """
    p, n = call.problem, call.spelled.spatial_ndim
    front = _around([(1, 0)] * n)
    strides = _around([(s, 0) for s in p.stride])
    if call.kind == "forward":
        moves = [o > 1 for o in p.output_size]
        image = tuple(slice(s if move else 0, None) for s, move in zip(p.stride, moves, strict=True))
        result = tuple(slice(int(move), None) for move in moves)
        return call(input=call["input"][(..., *image)]), call()[(..., *result)]
    if call.kind == "transposed":
        return call(input=front(call["input"])), strides(call())
    grad_output = front(call["grad_output"])
    if call.kind == "by input":
        size = (*p.input_shape[:2], *(i + s for i, s in zip(p.input_size, p.stride, strict=True)))
        return call(input_size=size, grad_output=grad_output), strides(call())
    # What the new zeros of grad_output meet does not matter, so it may be anything.
    image = _around([(s, 0) for s in p.stride], mode="edge")(call["input"])
    return call(input=image, grad_output=grad_output), call()


def batch_apart(call: Call):
    """A batch gives what its images give one by one; gradients by weight and bias are the sums of theirs."""
    whole = call()
    names = [name for name in ("input", "grad_output") if name in call.arguments]
    images = range(len(call[names[0]]))
    parts = [call(**_one_image(call, names, n)) for n in images]
    if call.kind in ("by weight", "by bias"):
        return whole, np.sum(np.stack(parts), axis=0, dtype=whole.dtype)
    return whole, np.concatenate(parts)


def _one_image(call, names, n):
    changes = {name: call[name][n : n + 1] for name in names}
    if "input_size" in call.arguments:
        changes["input_size"] = (1, *call["input_size"][1:])
    return changes


def batch_rolled(call: Call):
    """Images in another order give their results in that order; the same gradients by weight and bias."""
    names = [name for name in ("input", "grad_output") if name in call.arguments]
    result = call(**{name: np.roll(call[name], 1, axis=0) for name in names})
    return result, call() if call.kind in ("by weight", "by bias") else np.roll(call(), 1, axis=0)


def channels_rolled(call: Call):
    """The order of the channels that are summed over does not matter, and that of the others is the result's.

    With one group.
    """
    n = call.spelled.spatial_ndim
    image_axis = (call["input"].ndim if call.kind in ("forward", "transposed") else n + 2) - n - 1

    def rolled(name, *axes):
        return np.roll(call[name], (1,) * len(axes), axes)

    changes = {}
    if "input" in call.arguments:
        changes["input"] = rolled("input", image_axis)
    if "grad_output" in call.arguments:
        changes["grad_output"] = rolled("grad_output", 1)
    if "weight" in call.arguments:
        changes["weight"] = rolled("weight", 0, 1)
    if call.arguments.get("bias") is not None:
        changes["bias"] = rolled("bias", 0)
    axes = {"by weight": (0, 1), "by bias": (0,)}.get(call.kind, (image_axis,))
    return call(**changes), np.roll(call(), (1,) * len(axes), axes)


# ---- One argument as another ----


def groups_as_blocks(call: Call):
    """Groups are the blocks of a weight that is zero elsewhere."""
    if call.kind == "by weight":
        size = call["weight_size"]
        return call(), _blocks(call(weight_size=(size[0], size[1] * call["groups"], *size[2:]), groups=1), call)
    return call(), call(weight=_block_diagonal(call["weight"], call["groups"]), groups=1)


def _block_diagonal(weight, groups):
    first, second, *size = weight.shape
    diagonal = np.zeros((groups, first // groups, groups, second, *size), weight.dtype)
    of_group = np.arange(groups)
    diagonal[of_group, :, of_group] = weight.reshape(groups, first // groups, second, *size)
    return diagonal.reshape(first, groups * second, *size)


def _blocks(weight, call):
    groups = call["groups"]
    first, second, *size = weight.shape
    of_group = np.arange(groups)
    blocks = weight.reshape(groups, first // groups, groups, second // groups, *size)[of_group, :, of_group]
    return blocks.reshape(first, second // groups, *size)


def stride_as_subsampling(call: Call):
    """A stride leaves out windows of stride 1; for the others, it puts zeros between the numbers of one operand."""
    p = call.problem
    if call.kind == "forward":
        return call(), call(stride=1)[(..., *(slice(None, None, s) for s in p.stride))]
    if call.kind == "transposed":
        stuffed = _zeros_between(call["input"], p.stride)
        return call(output_padding=0), call(output_padding=0, input=stuffed, stride=1)
    # As many windows of stride 1 as there are: zeros also for those that the stride leaves out at the end.
    windows = [
        geometry.output_size(size, k, 1, pads, d)
        for size, k, pads, d in zip(p.input_size, p.kernel_size, p.padding, p.dilation, strict=True)
    ]
    stuffed = _zeros_between(call["grad_output"], p.stride)
    missing = [(0, o - size) for o, size in zip(windows, stuffed.shape[2:], strict=True)]
    return call(), call(grad_output=_around(missing)(stuffed), stride=1)


def dilation_as_zeros(call: Call):
    """A dilation puts zeros between the numbers of the kernel."""
    p = call.problem
    plain = {"output_padding": 0} if call.kind == "transposed" else {}
    if call.kind == "by weight":
        extents = [geometry.extent(k, d) for k, d in zip(p.kernel_size, p.dilation, strict=True)]
        whole = call(weight_size=(*call["weight_size"][:2], *extents), dilation=1)
        return call(), whole[(..., *(slice(None, None, d) for d in p.dilation))]
    return call(**plain), call(**plain, weight=_zeros_between(call["weight"], p.dilation), dilation=1)


def padding_as_zeros(call: Call):
    """Padding is zeros around the image; or what is cut off from a result that is an image."""
    p = call.problem
    if call.kind in ("forward", "by weight"):
        return call(), call(input=_around(p.padding)(call["input"]), padding=0)
    if call.kind == "transposed":
        result, whole = call(), call(padding=0)
    else:
        size = (*p.input_shape[:2], *(i + sum(pads) for i, pads in zip(p.input_size, p.padding, strict=True)))
        result, whole = call(), call(input_size=size, padding=0)
    axes = zip(p.padding, whole.shape[-len(p.padding) :], strict=True)
    return result, whole[(..., *(slice(begin, size - end) for (begin, end), size in axes))]


# ---- Pairs of functions ----


def adjoint(call: Call):
    """<f(x), y> = <x, f*(y)>: the transposed convolution and the gradients are the adjoints of refconv's convolution.

    Inner products, correctly rounded, of the results with numbers that make no difference to the law.
    """
    convolve = getattr(refconv, f"conv{call.spelled.spatial_ndim}d")
    arguments = tuple(call[name] for name in ("stride", "padding", "dilation", "groups"))

    def forward(x, w):
        return convolve(_wide(x), _wide(w), None, *arguments)

    result = call()
    if call.kind == "transposed":
        y = _some_numbers(result.shape)
        # With an output_padding of a stride or more there are windows beyond those of the input's numbers.
        there = tuple(slice(size) for size in call["input"].shape[-call.spelled.spatial_ndim :])
        return _inner(result, y), _inner(call["input"], forward(y, call["weight"])[(..., *there)])
    if call.kind == "by input":
        x = _some_numbers(call["input_size"])
        return _inner(result, x), _inner(call["grad_output"], forward(x, call["weight"]))
    w = _some_numbers(call["weight_size"])
    return _inner(result, w), _inner(call["grad_output"], forward(call["input"], w))


def _some_numbers(shape):
    return (np.arange(int(np.prod(shape))) * 5 % 7 % 4).reshape(shape)


def _wide(array):
    # Complex throughout, as operands have to share one dtype.
    return array.astype(np.complex128)


def _inner(a, b):
    return refconv.conv1d(_wide(a).reshape(1, 1, -1), _wide(b).reshape(1, 1, -1))


# ---- Arrays ----


def _around(pads, mode="constant"):
    """Return a function that puts numbers around the last axes of an array."""
    return lambda array: np.pad(array, [(0, 0)] * (array.ndim - len(pads)) + list(pads), mode=mode)


def _zeros_between(array, steps):
    """Put steps - 1 zeros between neighbours along the last axes."""
    sizes = [geometry.extent(size, step) for size, step in zip(array.shape[-len(steps) :], steps, strict=True)]
    stuffed = np.zeros((*array.shape[: -len(steps)], *sizes), array.dtype)
    stuffed[(..., *(slice(None, None, step) for step in steps))] = array
    return stuffed
