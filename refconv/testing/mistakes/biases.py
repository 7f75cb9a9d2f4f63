"""The bias: missing, twice, or another one's."""

import numpy as np

from refconv.testing.mistakes.mistake import mistake


@mistake("bias missing")
def missing(operation):
    """The bias is not added."""
    return operation.replace(bias=None) if operation.bias is not None else None


def _bias(operation, change):
    if operation.bias is None:
        return None
    with np.errstate(all="ignore"):
        return operation.replace(bias=change(operation.bias).astype(operation.bias.dtype))


@mistake("bias added twice", "LeelaChessZero/lc0#130")
def twice(operation):
    """The bias is in the sum already when it is added."""
    return _bias(operation, lambda b: b * b.dtype.type(2))


@mistake("bias subtracted")
def subtracted(operation):
    """The bias has the wrong sign."""
    return _bias(operation, np.negative)


@mistake("first bias for all channels")
def first(operation):
    """Every output channel gets the bias of the first."""
    return _bias(operation, lambda b: np.repeat(b[:1], len(b)))


@mistake("biases in reverse order")
def reversed_(operation):
    """The biases are assigned to the output channels from the end."""
    return _bias(operation, lambda b: b[::-1])


@mistake("bias of the next channel")
def shifted(operation):
    """Output channel k gets the bias of channel k + 1."""
    return _bias(operation, lambda b: np.roll(b, -1))


def _as_channels(operation, biases):
    """The operation with a bias for each item of the batch: as one more input channel for every group.

    biases has shape (N, K). The channel is the item's bias of every output in turn, so that it takes K of them.
    """
    x, w, groups = operation.x, operation.w, operation.groups
    # Another mistake may have made the padding negative: it cuts off.
    if operation.kind != "forward" or any(begin < 0 for begin, _ in operation.padding):
        return None
    K = len(w)
    per_group = K // groups
    N, C, *size = x.shape
    # A constant image for every output channel, outside of the padding's reach: as large as all windows together.
    taps = [d * (k - 1) + 1 for k, d in zip(w.shape[2:], operation.dilation, strict=True)]
    spread = [
        (begin, max(0, s * (o - 1) + t - length - begin))
        for (begin, _), s, o, t, length in zip(
            operation.padding, operation.stride, operation.shape[2:], taps, size, strict=True
        )
    ]
    padded = np.pad(x, [(0, 0), (0, 0), *spread]).reshape(
        N, groups, C // groups, *(a + sum(p) for a, p in zip(size, spread, strict=True))
    )
    images = np.zeros((N, groups, per_group, *padded.shape[3:]), x.dtype)
    images[...] = biases.reshape(N, groups, per_group, *(1,) * len(size))
    x = np.concatenate([padded, images], axis=2).reshape(N, -1, *padded.shape[3:])
    one = np.zeros((K, per_group, *w.shape[2:]), w.dtype)
    one[(np.arange(K), np.arange(K) % per_group, *(0,) * len(size))] = 1
    return operation.replace(
        x=x, w=np.concatenate([w, one], axis=1), bias=None, padding=((0, 0),) * len(size)
    )  # fmt: skip


@mistake("bias taken by batch index", "kraiskil/onnx2c#7")
def by_batch(operation):
    """Item n of the batch gets bias[n] in all its channels."""
    if operation.bias is None or operation.bias.size == 0 or operation.kind != "forward":
        return None
    N, K = len(operation.x), len(operation.bias)
    return _as_channels(operation, np.repeat(operation.bias[np.arange(N) % K][:, None], K, axis=1))


@mistake("bias in the first item of the batch only")
def first_item(operation):
    """The bias is added to the first item of the batch, not to the others."""
    if operation.bias is None or operation.kind != "forward" or len(operation.x) < 2:
        return None
    biases = np.zeros((len(operation.x), len(operation.bias)), operation.bias.dtype)
    biases[:1] = operation.bias
    return _as_channels(operation, biases)
