"""Channels, groups, the batch, and the order of the axes."""

import numpy as np

from refconv.testing.mistakes.mistake import mistake


def _by_channel(operation, change):
    """Change the order or the numbers of x along its channels; a gradient by the weight sums over the batch."""
    return operation.replace(x=change(operation.x))


@mistake("groups dealt round-robin", "tracel-ai/burn#2286")
def groups_interleaved(operation):
    """Input channel c goes to group c modulo groups, instead of cutting the channels into runs."""
    C, groups = operation.x.shape[1], operation.groups
    if groups == 1 or groups == C:
        return None
    order = np.arange(C).reshape(-1, groups).T.reshape(-1)
    return _by_channel(operation, lambda x: x[:, order])


@mistake("output channels of the groups interleaved", finish=True)
def outputs_interleaved(result, operation):
    """Output channel k comes from group k modulo groups."""
    groups = operation.groups
    axis = 0 if operation.kind == "weight" else result.ndim - operation.spatial_ndim - 1
    K = result.shape[axis]
    if groups == 1 or groups == K:
        return result
    return result.take(np.arange(K).reshape(groups, -1).T.reshape(-1), axis)


@mistake("first group used for all", "pytorch/pytorch#19912, tracel-ai/burn#3415")
def first_group(operation):
    """Every group reads the input channels of the first."""
    C, groups = operation.x.shape[1], operation.groups
    if groups == 1:
        return None
    return _by_channel(operation, lambda x: x[:, np.tile(np.arange(C // groups), groups)])


@mistake("groups in reverse order")
def groups_reversed(operation):
    """Group g reads the input channels of the last group but g."""
    C, groups = operation.x.shape[1], operation.groups
    if groups == 1:
        return None
    order = np.arange(C).reshape(groups, -1)[::-1].reshape(-1)
    return _by_channel(operation, lambda x: x[:, order])


@mistake("first groups only", "modular/modular#6129", finish=True)
def later_groups_zero(result, operation):
    """Only the first group is computed; the output channels of the others are zero."""
    if operation.groups == 1:
        return result
    axis = 0 if operation.kind == "weight" else result.ndim - operation.spatial_ndim - 1
    result = result.copy()
    result[(slice(None),) * axis + (slice(result.shape[axis] // operation.groups, None),)] = 0
    return result


def _kept(operation, keep):
    """Zeros for the channels of every group from some number on."""
    C = operation.x.shape[1] // operation.groups
    number = keep(C)
    if operation.kind == "weight" or number >= C:
        return None
    kept = np.arange(operation.x.shape[1]) % C < number
    kept = kept.reshape(-1, *(1,) * operation.spatial_ndim)
    return operation.replace(x=np.where(kept, operation.x, operation.dtype.type(0)))


@mistake("last input channel dropped")
def last_channel(operation):
    """A loop over the input channels ends one too early."""
    return _kept(operation, lambda C: C - 1 if C > 1 else C)


@mistake("first input channel only", "pytorch/pytorch#105941")
def first_channel(operation):
    """All input channels but the first of each group are lost."""
    return _kept(operation, lambda _: 1)


for _width in (4, 8, 16):

    @mistake(f"channels past a multiple of {_width} dropped", "modular/modular#6248")
    def _tail(operation, width=_width):
        """Input channels that do not fill a SIMD register are lost."""
        return _kept(operation, lambda C: C // width * width or C)


@mistake("input channels reversed")
def channels_reversed(operation):
    """The channels are taken in the reverse order: RGB for BGR."""
    return _by_channel(operation, lambda x: x[:, ::-1]) if operation.groups == 1 else None


@mistake("channel axes of the weight swapped")
def weight_axes(operation):
    """Input and output channels of the weight change places; its numbers are read in the wrong shape."""
    if operation.kind == "weight":
        return None
    w = operation.w
    if w.shape[0] == 1 or w.shape[1] == 1:
        return None
    return operation.replace(w=np.ascontiguousarray(w.swapaxes(0, 1)).reshape(w.shape))


@mistake("input in NHWC order taken for NCHW")
def nhwc(operation):
    """The channels are thought to be the last axis in memory."""
    return _by_channel(operation, lambda x: np.ascontiguousarray(np.moveaxis(x, 1, -1)).reshape(x.shape))


@mistake("input in NCHW order taken for NHWC")
def nchw(operation):
    """The numbers of an NCHW image are read as if the channels ran fastest."""

    def change(x):
        N, C, *size = x.shape
        return np.moveaxis(np.ascontiguousarray(x).reshape(N, *size, C), -1, 1)

    return _by_channel(operation, change)


@mistake("weight in HWIO order taken for OIHW")
def hwio(operation):
    """The kernel's axes are thought to come first in memory."""
    if operation.kind == "weight":
        return None
    w = operation.w
    axes = (*range(2, w.ndim), 1, 0)
    return operation.replace(w=np.ascontiguousarray(w.transpose(axes)).reshape(w.shape))


@mistake("height and width of the input swapped")
def image_axes(operation):
    """The image is transposed, or if it is not square, its numbers are read in the wrong shape."""
    if operation.spatial_ndim < 2:
        return None
    return operation.replace(x=np.ascontiguousarray(operation.x.swapaxes(-1, -2)).reshape(operation.x.shape))


# ---- The batch ----


@mistake("first item of the batch repeated")
def first_item(operation):
    """Every item of the batch is computed from the first."""
    if operation.kind == "weight" or len(operation.x) < 2:
        return None
    return operation.replace(x=np.repeat(operation.x[:1], len(operation.x), axis=0))


@mistake("items of the batch in reverse order")
def items_reversed(operation):
    """The batch comes back to front."""
    return operation.replace(x=operation.x[::-1])


@mistake("later items of the batch are zero", finish=True)
def later_items(result, operation):
    """Only the first item of the batch is computed."""
    if operation.kind == "weight" or len(operation.x) < 2:
        return result
    result = result.copy()
    result[1:] = 0
    return result


@mistake("gradient of the first item only")
def gradient_of_first(operation):
    """The gradient by weight or bias is not summed over the batch."""
    if operation.kind != "weight" or len(operation.x) < 2:
        return None
    return operation.replace(x=operation.x[:1], w=operation.w[:1])


@mistake("gradient averaged over the batch", finish=True)
def gradient_mean(result, operation):
    """The gradient by weight or bias is divided by the size of the batch."""
    if operation.kind != "weight" or len(operation.x) < 2:
        return result
    return (result / result.dtype.type(len(operation.x))).astype(result.dtype)


@mistake("padding lanes of a block of channels counted")
def block_lanes(operation):
    """Channels are processed in blocks of four, and the last channel fills the missing ones."""
    C = operation.x.shape[1] // operation.groups
    missing = -C % 4
    if operation.kind == "weight" or not missing or not C:
        return None
    scale = np.ones(C)
    scale[-1] += missing
    scale = np.tile(scale, operation.groups).reshape(-1, *(1,) * operation.spatial_ndim)
    with np.errstate(all="ignore"):
        return operation.replace(x=(operation.x * scale.astype(operation.dtype)).astype(operation.dtype))
