"""What lies around the image, and where."""

import numpy as np

from refconv.testing.mistakes.mistake import mistake
from refconv.testing.terms import term_counts


def _padded_input(operation, **options):
    """The operation on an input that is padded beforehand."""
    spread = [(begin, end) for begin, end in operation.padding]
    # Another mistake may have made the padding negative: it cuts off.
    if operation.kind != "forward" or min(map(min, spread)) < 0 or not any(map(sum, spread)):
        return None
    if options["mode"] != "constant" and (
        0 in operation.x.shape or any(max(pair) >= s for pair, s in zip(spread, operation.x.shape[2:], strict=True))
    ):
        return None
    x = np.pad(operation.x, [(0, 0), (0, 0), *spread], **options)
    return operation.replace(x=x, padding=((0, 0),) * len(spread))


@mistake("padding axes swapped", "pytorch/pytorch#37844 (circular padding)")
def swapped(operation):
    """The padding of the rows is used for the columns, and the other way round."""
    return operation.replace(padding=operation.padding[::-1])


@mistake("padding all at the end")
def at_the_end(operation):
    """All zeros are put after the image, none before it."""
    return operation.replace(padding=tuple((0, begin + end) for begin, end in operation.padding))


@mistake("padding all at the beginning")
def at_the_beginning(operation):
    """All zeros are put before the image, none after it."""
    return operation.replace(padding=tuple((begin + end, 0) for begin, end in operation.padding))


@mistake("padding at beginning and end exchanged", "tracel-ai/burn#2676, microsoft/onnxruntime#4086")
def ends_exchanged(operation):
    """The odd zero of an even kernel under 'same', or any difference between the two ends, is on the wrong side."""
    return operation.replace(padding=tuple((end, begin) for begin, end in operation.padding))


@mistake("first padding used for all axes")
def first_padding(operation):
    """Only the first number of the padding is read."""
    return operation.replace(padding=operation.padding[:1] * operation.spatial_ndim)


@mistake("'same' from the undilated kernel", "microsoft/onnxscript#3037, onnx/tensorflow-onnx#1046, onnx/onnx#2043")
def same_undilated(operation):
    """The zeros for padding='same' are counted as if the dilation were 1."""
    if operation.padding_name != "same":
        return None
    pads = tuple(((k - 1) // 2, k - 1 - (k - 1) // 2) for k in operation.kernel_size)
    return operation.replace(padding=pads)


@mistake("padding replicates the edge")
def edge(operation):
    """The outermost pixels are repeated in the padding."""
    return _padded_input(operation, mode="edge")


@mistake("padding reflects the image")
def reflected(operation):
    """The padding is a mirror image."""
    return _padded_input(operation, mode="reflect")


@mistake("padding wraps around", "pytorch/pytorch#20981")
def circular(operation):
    """The padding is what lies at the opposite end."""
    return _padded_input(operation, mode="wrap")


@mistake("padding with ones")
def ones(operation):
    """The padding is not zero, as if a zero point had been forgotten."""
    return _padded_input(operation, mode="constant", constant_values=1)


def _no_terms(result, operation):
    counts = np.broadcast_to(term_counts(operation.replace(bias=None)), operation.shape)
    return (counts == 0).reshape(result.shape)


@mistake(
    "windows in the padding are not a number",
    "onnx/onnx ReferenceEvaluator, FluxML/NNlib.jl#44",
    finish=True,
    floats_only=True,
)
def empty_windows_nan(result, operation):
    """Windows that lie in the padding altogether give NaN, from memory that was never written."""
    return np.where(_no_terms(result, operation), result.dtype.type(np.nan), result)


@mistake("windows in the padding lose the bias", "Tencent/ncnn#315", finish=True)
def empty_windows_zero(result, operation):
    """Windows that lie in the padding altogether are skipped and stay zero; they should be the bias."""
    return np.where(_no_terms(result, operation), result.dtype.type(0), result)


@mistake("windows that touch the padding are zero", "modular/modular#6461, uxlfoundation/oneDNN#5080", finish=True)
def border_zero(result, operation):
    """Only windows that lie in the image altogether are computed."""
    counts = np.broadcast_to(term_counts(operation.replace(bias=None)), operation.shape).reshape(result.shape)
    return (
        np.where(counts < counts.max(initial=0), result.dtype.type(0), result)
        if operation.kind == "forward"
        else result
    )


@mistake("windows that touch the padding are averaged", finish=True)
def border_average(result, operation):
    """Borders are scaled up by the share of the window that lies in the image, as partial convolutions do."""
    counts = np.broadcast_to(term_counts(operation.replace(bias=None)), operation.shape).reshape(result.shape)
    with np.errstate(all="ignore"):
        scale = np.where(counts > 0, counts.max(initial=0) / counts, 1.0)
        return (result * scale.astype(result.dtype)).astype(result.dtype) if operation.kind == "forward" else result


@mistake("infinite padding lanes leak", "XiaoMi/mace#345", finish=True, floats_only=True)
def lanes_leak(result, operation):
    """Padding is multiplied with what happens to lie in memory there: borders become NaN."""
    if operation.kind != "forward" or not any(map(sum, operation.padding)):
        return result
    counts = np.broadcast_to(term_counts(operation.replace(bias=None)), operation.shape).reshape(result.shape)
    return np.where(counts < counts.max(initial=0), result.dtype.type(np.nan), result)


@mistake("windows one element late")
def windows_late(operation):
    """Every window begins one element too far to the right."""
    *rest, (begin, end) = operation.padding
    return operation.replace(padding=(*rest, (begin - 1, end)))


@mistake("windows one row late")
def rows_late(operation):
    """Every window begins one row too far down."""
    (begin, end), *rest = operation.padding
    return operation.replace(padding=((begin - 1, end), *rest)) if rest else None
