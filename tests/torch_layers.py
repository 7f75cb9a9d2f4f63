"""Layers of refconv.nn next to the same layers of torch."""

import re

import numpy as np
import pytest
import torch

from refconv import nn

CONVS = ["Conv1d", "Conv2d", "Conv3d"]
TRANSPOSED = ["ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d"]
PADDED_MODES = {"reflect": "reflect", "replicate": "edge", "circular": "wrap"}
"""Ours and torch's names of the padding modes, and NumPy's."""

every_layer = pytest.mark.parametrize("name", CONVS + TRANSPOSED)
every_conv = pytest.mark.parametrize("name", CONVS)
every_transposed = pytest.mark.parametrize("name", TRANSPOSED)
every_padded_mode = pytest.mark.parametrize("mode", PADDED_MODES)


def both(name, *arguments, **keywords):
    """The same layer here and in torch."""
    return getattr(nn, name)(*arguments, **keywords), getattr(torch.nn, name)(*arguments, **keywords)


def spatial_ndim(name):
    return int(name[-2])


def integers(shape, seed=0, dtype=np.float32):
    return np.random.default_rng(seed).integers(-4, 5, shape).astype(dtype)


def outcome(function, *arguments, **keywords):
    """What a call comes to: a result, or the words of its error, without what depends on the hash seed or on the type
    that torch has for shapes."""
    try:
        return function(*arguments, **keywords)
    except (ValueError, RuntimeError) as error:
        text = re.sub(r"torch\.Size\((.*?)\)", r"\1", str(error))
        return re.sub(r"\{(.*?)\}", lambda braces: str(sorted(braces[1].split(", "))), text)


def twins(name, *arguments, **keywords):
    """A torch layer with small integers for parameters, in one dtype, and ours made from it."""
    theirs = getattr(torch.nn, name)(*arguments, **keywords)
    for seed, parameter in enumerate(theirs.parameters()):
        parameter.data = torch.from_numpy(integers(parameter.shape, seed)).to(parameter.dtype)
    return getattr(nn, name).from_torch(theirs), theirs


def assert_same_result(ours, theirs, x, **keywords):
    y = ours(x, **keywords)
    assert isinstance(y, np.ndarray)
    np.testing.assert_array_equal(y, theirs(torch.from_numpy(x), **keywords).detach().numpy(), strict=True)
