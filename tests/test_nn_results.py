"""What the layers compute, and how they pad, next to torch.

Values are compared on small integers, on which torch is exact too, so every comparison is ``==``.
"""

import re

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch_layers import (
    CONVS,
    PADDED_MODES,
    TRANSPOSED,
    assert_same_result,
    every_conv,
    every_layer,
    every_padded_mode,
    every_transposed,
    integers,
    outcome,
    spatial_ndim,
    twins,
)

import refconv
from refconv import functional, nn
from refconv.nn.padding import pad

# ---- The convolution ----


@every_conv
@pytest.mark.parametrize("batch", [(2,), ()])
@pytest.mark.parametrize(
    "keywords",
    [
        {},
        {"stride": 2, "padding": 1},
        {"padding": "same", "dilation": 2},
        {"padding": "valid"},
        {"groups": 2, "bias": False},
    ],
    ids=str,
)
def test_layers_compute_what_torch_computes(name, batch, keywords):
    ours, theirs = twins(name, 4, 6, 3, **keywords)
    assert_same_result(ours, theirs, integers((*batch, 4, *[7, 6, 5][: spatial_ndim(name)])))


@every_transposed
@pytest.mark.parametrize("batch", [(2,), ()])
@pytest.mark.parametrize(
    "keywords",
    [{}, {"stride": 2, "padding": 1, "output_padding": 1}, {"groups": 2, "bias": False, "dilation": 2}],
    ids=str,
)
def test_transposed_layers_compute_what_torch_computes(name, batch, keywords):
    ours, theirs = twins(name, 4, 6, 3, **keywords)
    assert_same_result(ours, theirs, integers((*batch, 4, *[4, 3, 2][: spatial_ndim(name)])))


@every_conv
@every_padded_mode
@pytest.mark.parametrize(
    ("kernel_size", "padding", "dilation"), [(3, 1, 1), (3, 2, 1), (2, "same", 1), (4, "same", 1), (2, "same", 3)]
)
def test_padded_layers_compute_what_torch_computes(name, mode, kernel_size, padding, dilation):
    ours, theirs = twins(name, 2, 3, kernel_size, padding=padding, dilation=dilation, padding_mode=mode)
    assert_same_result(ours, theirs, integers((2, 2, *[5, 4, 6][: spatial_ndim(name)])))


def test_the_axes_have_paddings_of_their_own():
    ours, theirs = twins("Conv2d", 1, 1, 1, padding=(2, 0), padding_mode="circular")
    assert_same_result(ours, theirs, integers((1, 1, 3, 4)))


@every_padded_mode
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_layers_work_in_every_format(mode, dtype):
    ours, theirs = twins("Conv2d", 2, 3, 3, padding=1, padding_mode=mode, dtype=dtype)
    x = torch.from_numpy(integers((2, 2, 5, 4))).to(dtype)
    y = ours(x)
    assert y.dtype == ours.weight.dtype
    assert np.array_equal(y.astype(float), theirs(x).detach().double().numpy())


def test_every_mode_takes_the_two_ends_apart():
    for mode, numpys in ({"zeros": "constant"} | PADDED_MODES).items():
        layer = nn.Conv2d(1, 1, 1, bias=False, padding=((1, 0), (0, 2)), padding_mode=mode)
        layer.weight[:] = 1
        x = integers((1, 3, 3))
        assert np.array_equal(layer(x), np.pad(x, ((0, 0), (1, 0), (0, 2)), numpys))


@every_layer
def test_layers_hand_on_how_to_compute(name):
    calls = []

    class Recorded(getattr(nn, name)):
        function = staticmethod(lambda *_, **keywords: calls.append(keywords))

    Recorded(2, 2, 1, algorithm="direct", threads=1)(integers((1, 2, *[2] * spatial_ndim(name))))
    assert calls == [{"algorithm": "direct", "threads": 1}]


def test_layers_call_the_function_of_their_name():
    names = {"Conv": "conv", "ConvTranspose": "conv_transpose"}
    for name in CONVS + TRANSPOSED:
        assert getattr(nn, name).function is getattr(functional, names[name[:-2]] + name[-2:])


# ---- Padding ----


@every_padded_mode
@given(
    sizes=st.lists(st.integers(1, 5), min_size=1, max_size=3),
    batch=st.sampled_from([(), (2,)]),
    data=st.data(),
)
def test_padding_is_numpys(mode, sizes, batch, data):
    largest = {"reflect": -1, "circular": 0, "replicate": 3}[mode]
    pairs = [data.draw(st.tuples(*[st.integers(0, size + largest)] * 2), label=f"padding of {size}") for size in sizes]
    x = integers((*batch, 2, *sizes))
    before = x.copy()
    padded = pad(x, pairs, mode)
    np.testing.assert_array_equal(padded, np.pad(x, [(0, 0)] * (x.ndim - len(sizes)) + pairs, PADDED_MODES[mode]))
    assert np.array_equal(x, before)


# Torch leaves memory uninitialised where a circular axis grows at one end and shrinks at the other.
ends = st.tuples(*[st.integers(0, 5)] * 2) | st.tuples(*[st.integers(-4, 0)] * 2)


@every_padded_mode
@settings(deadline=None)
@given(
    sizes_and_pairs=st.lists(st.tuples(st.integers(0, 4), ends), min_size=1, max_size=3),
    channels=st.integers(0, 2),
    batch=st.sampled_from([(), (0,), (2,)]),
)
@example(sizes_and_pairs=[(4, (3, 3))], channels=1, batch=(1,))
@example(sizes_and_pairs=[(3, (-1, -1)), (4, (-1, -2))], channels=1, batch=(1,))
@example(sizes_and_pairs=[(3, (-2, -2)), (4, (-2, -2))], channels=1, batch=(1,))
@example(sizes_and_pairs=[(4, (-2, -2))], channels=1, batch=(1,))
@example(sizes_and_pairs=[(3, (-1, -2)), (4, (-3, -2)), (4, (-2, -2))], channels=1, batch=())
def test_padding_has_torchs_values_limits_and_words(mode, sizes_and_pairs, channels, batch):
    sizes, pairs = zip(*sizes_and_pairs, strict=True)
    x = integers((*batch, channels, *sizes))
    ours = outcome(pad, x, pairs, mode)
    reversed_ends = [end for pair in reversed(pairs) for end in pair]
    theirs = outcome(torch.nn.functional.pad, torch.from_numpy(x), reversed_ends, mode)
    if isinstance(theirs, str) and not re.search("negative dimension|multiplication overflow", theirs):
        assert isinstance(ours, str)
        assert without_separators(ours) == without_separators(theirs)
    elif isinstance(ours, str):
        # Torch lets an axis vanish, or tries to go below, as long as another is left.
        assert "is too small" in ours
        assert min(size + sum(pair) for size, pair in sizes_and_pairs) < 1
    else:
        np.testing.assert_array_equal(ours, theirs.numpy(), strict=True)


def without_separators(text):
    """Torch separates D, H and W in three ways: "(D: 8 H: 8, W: 8)", "(H: 8, W: 8 )"."""
    return re.sub(r"[ ,]", "", text) if "is too small" in text else text


@every_conv
@every_padded_mode
@pytest.mark.parametrize("extra", [-2, -1, 1, 2])
def test_padding_an_input_with_the_wrong_number_of_axes_is_refused_in_torchs_words(name, mode, extra):
    n = spatial_ndim(name)
    ours, theirs = twins(name, 2, 2, 1, padding=1, padding_mode=mode)
    x = np.ones([4] * (n + 1 + extra if extra < 0 else n + 2 + extra), np.float32)
    message = outcome(ours, x)
    assert isinstance(message, str)
    assert message == outcome(theirs, torch.from_numpy(x))


def test_the_padding_comes_before_the_checks_of_the_convolution():
    ours, theirs = twins("Conv2d", 2, 2, 1, padding=1, padding_mode="reflect")
    x = integers((1, 3, 8, 8))
    message = outcome(ours, x)
    assert "expected input[1, 3, 10, 10] to have 2 channels" in message
    assert message == outcome(theirs, torch.from_numpy(x))


# ---- The size of a transposed layer's output ----


@every_transposed
@given(data=st.data())
def test_the_output_size_is_torchs_or_its_refusal(name, data):
    n = spatial_ndim(name)
    per_axis = st.tuples(*[st.integers(1, 3)] * n)
    keywords = {
        "kernel_size": data.draw(per_axis, label="kernel_size"),
        "stride": data.draw(per_axis, label="stride"),
        "padding": data.draw(st.tuples(*[st.integers(0, 1)] * n), label="padding"),
        "dilation": data.draw(per_axis, label="dilation"),
    }
    ours, theirs = twins(name, 1, 2, **keywords)
    x = integers((1, 1, *[3, 4, 3][:n]))
    sizes = theirs(torch.from_numpy(x)).shape[2:]
    wanted = [data.draw(st.integers(size - 1, size + 2), label="output_size") for size in sizes]
    wanted = data.draw(st.sampled_from([[], [1, 2], [1]]), label="leading sizes") + wanted
    got = outcome(ours, x, output_size=wanted)
    expected = outcome(theirs, torch.from_numpy(x), output_size=wanted)
    if isinstance(expected, str):
        assert got == expected
    else:
        np.testing.assert_array_equal(got, expected.detach().numpy())


def test_the_output_size_without_a_batch():
    ours, theirs = twins("ConvTranspose2d", 1, 2, 3, stride=2)
    x = integers((1, 3, 4))
    for size in ((7, 9), (8, 10), (2, 8, 9)):
        assert_same_result(ours, theirs, x, output_size=size)
    # Torch shows the input's sizes without the first one, as if there were a batch.
    with pytest.raises(refconv.ConvError, match=r"range from \[7, 9\] to \[8, 10\] \(for an input of \[3, 4\]\)"):
        ours(x, output_size=(6, 9))


def test_the_output_size_counts_instead_of_the_output_padding():
    ours, theirs = twins("ConvTranspose1d", 1, 1, 3, stride=3, output_padding=2)
    for size in (12, 13, 14):
        assert_same_result(ours, theirs, integers((1, 1, 4)), output_size=[size])


def test_the_output_size_must_be_a_sequence_of_integers():
    with pytest.raises(TypeError, match=r"^ConvTranspose2d\(\): argument 'output_size' must be a tuple of ints"):
        nn.ConvTranspose2d(1, 1, 3)(integers((1, 4, 4)), output_size=6)


def test_an_input_with_the_wrong_number_of_axes_is_the_functions_concern():
    with pytest.raises(
        refconv.ConvError, match=r"^Expected 3D \(unbatched\) or 4D \(batched\) input to conv_transpose2d"
    ):
        nn.ConvTranspose2d(1, 1, 3)(integers((4, 4)), output_size=(6, 6))
