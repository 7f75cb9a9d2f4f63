"""The layers are torch's: how they are printed, set up, refused, saved and taken over.

`test_nn_results.py` is about what they compute.
"""

import itertools
import re

import ml_dtypes
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch_layers import CONVS, PADDED_MODES, both, every_conv, every_layer, every_transposed, outcome, spatial_ndim

import refconv
from refconv import nn

# ---- Printing ----

REPRS = [
    ("Conv2d", (3, 4, 3), {}),
    ("Conv2d", (3, 4, (3, 5)), {}),
    ("Conv2d", (3, 4, 3, 2), {}),
    ("Conv2d", (3, 4, 3), {"padding": 1}),
    ("Conv2d", (3, 4, 3), {"padding": 0}),
    ("Conv2d", (3, 4, 3), {"padding": (0, 1)}),
    ("Conv2d", (3, 4, 3), {"padding": "same"}),
    ("Conv2d", (3, 4, 3), {"padding": "valid"}),
    ("Conv2d", (3, 4, 3), {"padding": ((1, 0), (0, 1))}),
    ("Conv2d", (3, 4, 3), {"dilation": 2}),
    ("Conv2d", (3, 4, 3), {"dilation": (1, 2)}),
    ("Conv2d", (4, 4, 3), {"groups": 4}),
    ("Conv2d", (3, 4, 3), {"bias": False}),
    ("Conv2d", (3, 4, 3), {"padding": 1, "padding_mode": "reflect"}),
    ("Conv2d", (3, 4, 3), {"padding_mode": "zeros"}),
    ("Conv2d", (4, 8, (3, 5), (2, 1), (4, 2), (3, 1), 2, False, "circular"), {}),
    ("Conv2d", (3, 4, [3, 3]), {"padding": [0, 0]}),
    ("Conv2d", (3, 4, 3), {"stride": [1, 2]}),
    ("Conv2d", (3, 4, 3), {"stride": 0, "padding": -1, "dilation": 0}),
    ("Conv1d", (3, 4, 3), {}),
    ("Conv1d", (3, 4, 3), {"padding": 1}),
    ("Conv1d", (3, 4, (3,)), {"padding": "same"}),
    ("Conv3d", (3, 4, 3), {"stride": 2}),
    ("ConvTranspose2d", (3, 4, 3), {}),
    ("ConvTranspose2d", (3, 4, 3, 2, 1, 1, 1, False, 2), {}),
    ("ConvTranspose2d", (4, 4, 3), {"groups": 2, "output_padding": (0, 1)}),
    ("ConvTranspose1d", (3, 4, 3), {"output_padding": 0}),
    ("ConvTranspose3d", (3, 4, (1, 2, 3)), {"output_padding": 5, "bias": None}),
]


@pytest.mark.parametrize(("name", "arguments", "keywords"), REPRS)
def test_layers_print_as_in_torch(name, arguments, keywords):
    ours, theirs = both(name, *arguments, **keywords)
    assert repr(ours) == repr(theirs)


@every_layer
@given(data=st.data())
def test_any_combination_of_arguments_prints_as_in_torch(name, data):
    n = spatial_ndim(name)
    per_axis = st.integers(1, 3) | st.tuples(*[st.integers(1, 3)] * n)
    keywords = {
        "stride": per_axis,
        "padding": st.integers(0, 2) | st.tuples(*[st.integers(0, 2)] * n),
        "dilation": per_axis,
        "groups": st.integers(1, 2),
        "bias": st.booleans(),
    }
    if name in CONVS:
        keywords["padding_mode"] = st.sampled_from(["zeros", *PADDED_MODES])
    else:
        keywords["output_padding"] = st.integers(0, 2) | st.tuples(*[st.integers(0, 2)] * n)
    drawn = data.draw(st.fixed_dictionaries({"kernel_size": per_axis}, optional=keywords), label="arguments")
    ours, theirs = both(name, 4, 6, **drawn)
    assert repr(ours) == repr(theirs)
    for attribute in ("in_channels", "out_channels", "kernel_size", "stride", "padding", "output_padding", "dilation"):
        assert getattr(ours, attribute) == getattr(theirs, attribute)
    assert (ours.groups, ours.padding_mode, ours.transposed) == (theirs.groups, theirs.padding_mode, theirs.transposed)


def test_numpy_integers_are_integers():
    assert repr(nn.Conv2d(3, np.int64(4), np.int64(3))) == "Conv2d(3, 4, kernel_size=(3, 3), stride=(1, 1))"


def test_a_derived_class_prints_its_own_name():
    class Blur(nn.Conv2d):
        pass

    assert repr(Blur(1, 1, 3)) == "Blur(1, 1, kernel_size=(3, 3), stride=(1, 1))"


# ---- Parameters to begin with ----


def bound_of(layer):
    """1 / sqrt(fan_in), fan_in as torch counts it: all sizes of the weight but the first."""
    return 1 / np.sqrt(np.prod(layer.weight.shape[1:]))


@every_layer
@pytest.mark.parametrize("groups", [1, 2])
def test_parameters_fill_the_range_that_torch_gives_them(name, groups):
    ours, theirs = both(name, 64, 128, 3, groups=groups)
    bound = bound_of(ours)
    assert bound == 1 / np.sqrt((64 if name in CONVS else 128) // groups * 3 ** spatial_ndim(name))
    for parameter, torchs in ((ours.weight, theirs.weight), (ours.bias, theirs.bias)):
        assert parameter.shape == torchs.shape
        assert parameter.dtype == np.float32
        assert 0.9 * bound < np.abs(parameter).max() <= bound
        assert 0.9 * bound < torchs.abs().max() <= bound
        assert abs(parameter.mean()) < 5 * bound / np.sqrt(3 * parameter.size)
        # Of uniform numbers about half lie in the middle half; of normal ones, say, more.
        assert abs((np.abs(parameter) < bound / 2).mean() - 0.5) < 2.5 / np.sqrt(parameter.size)


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16, np.float32, np.float64])
@pytest.mark.parametrize("channels", [3, 5, 6, 7, 11])
def test_no_parameter_is_rounded_out_of_the_range(dtype, channels):
    layer = nn.Conv1d(channels, 4096, 1, dtype=dtype, rng=0)
    assert layer.weight.dtype == layer.bias.dtype == dtype
    largest = np.abs(layer.weight.astype(float)).max()
    assert 0.98 / np.sqrt(channels) < largest <= 1 / np.sqrt(channels)


@pytest.mark.parametrize("dtype", [np.complex64, np.complex128, "complex64", torch.complex64])
def test_both_parts_of_complex_parameters_fill_the_range(dtype):
    layer = nn.Conv2d(32, 64, 3, groups=2, dtype=dtype, rng=0)
    assert layer.weight.dtype.kind == layer.bias.dtype.kind == "c"
    theirs = torch.nn.Conv2d(32, 64, 3, groups=2, dtype=torch.complex64).weight.detach().numpy()
    for parameter in (layer.weight, theirs):
        for part in (parameter.real, parameter.imag):
            assert 0.99 * bound_of(layer) < np.abs(part).max() <= bound_of(layer)
    assert abs(np.corrcoef(layer.weight.real.ravel(), layer.weight.imag.ravel())[0, 1]) < 0.1
    x = np.ones((1, 32, 4, 4), layer.weight.dtype)
    assert layer(x).dtype == x.dtype


@pytest.mark.parametrize("dtype", [np.int32, "float8_e5m2", bool, "no dtype"])
def test_parameters_are_floating_point_or_complex_numbers(dtype):
    with pytest.raises(TypeError, match=r"Conv2d\(\): argument 'dtype' must be float16, .* or complex128, not"):
        nn.Conv2d(1, 1, 1, dtype=dtype)


def test_the_weight_is_drawn_before_the_bias():
    with_bias, without = nn.Conv2d(2, 3, 3, rng=5), nn.Conv2d(2, 3, 3, bias=False, rng=5)
    assert np.array_equal(with_bias.weight, without.weight)
    drawn = np.random.default_rng(5).uniform(-1, 1, with_bias.weight.size + 3)
    scaled = np.concatenate([with_bias.weight.ravel(), with_bias.bias]) / bound_of(with_bias)
    np.testing.assert_allclose(scaled, drawn, rtol=0, atol=1e-6)


def test_a_seed_repeats_and_a_generator_goes_on():
    assert np.array_equal(nn.Conv2d(2, 3, 3, rng=5).weight, nn.Conv2d(2, 3, 3, rng=np.random.default_rng(5)).weight)
    rng = np.random.default_rng(5)
    first, second = nn.Conv2d(2, 3, 3, rng=rng), nn.Conv2d(2, 3, 3, rng=rng)
    assert not np.array_equal(first.weight, second.weight)
    assert not np.array_equal(nn.Conv2d(2, 3, 3).weight, nn.Conv2d(2, 3, 3).weight)


def test_dtypes_may_be_names_and_torchs():
    for dtype in ("bfloat16", ml_dtypes.bfloat16, torch.bfloat16):
        assert nn.Conv2d(1, 1, 1, dtype=dtype).weight.dtype == ml_dtypes.bfloat16


@pytest.mark.filterwarnings("ignore:Initializing zero-element tensors")
@pytest.mark.parametrize("arguments", [(0, 4, 3), (3, 0, 3), (3, 4, 0)])
def test_layers_may_be_empty(arguments):
    ours, theirs = both("Conv2d", *arguments)
    assert repr(ours) == repr(theirs)
    assert (ours.weight.shape, ours.bias.shape) == (theirs.weight.shape, theirs.bias.shape)
    assert not ours.weight.any()
    assert bool(ours.bias.any()) == bool(theirs.bias.any())


# ---- Constructor errors ----

WRONG = [
    ("Conv2d", (3, 4, 3), {"groups": 0}),
    ("Conv2d", (3, 4, 3), {"groups": -1}),
    ("Conv2d", (3, 4, 3), {"groups": 2}),
    ("Conv2d", (4, 3, 3), {"groups": 2}),
    ("Conv2d", (3, 5, 3), {"groups": 2}),
    ("Conv2d", (3, 4, 3), {"padding": "SAME"}),
    ("Conv2d", (3, 4, 3), {"padding": "x", "groups": 2}),
    ("Conv2d", (3, 4, 3), {"padding": "x", "padding_mode": "y", "stride": 2}),
    ("Conv2d", (3, 4, 3), {"padding": "same", "stride": 2}),
    ("Conv2d", (3, 4, 3), {"padding": "same", "stride": (1, 2), "padding_mode": "y"}),
    ("Conv2d", (3, 4, 3), {"padding_mode": "constant"}),
    ("Conv2d", (3, 4, 3), {"padding_mode": None}),
    ("Conv2d", (-3, 4, 3), {}),
    ("Conv2d", (3, -4, 3), {}),
    ("Conv2d", (3, 4, -3), {}),
    ("Conv2d", (3, -4, (3, -5)), {}),
    ("Conv2d", (3, -4, 3), {"padding_mode": "y"}),
    ("Conv1d", (3, 4, 3), {"groups": 2}),
    ("Conv3d", (3, 4, 3), {"padding": "x"}),
    ("ConvTranspose2d", (3, 4, 3), {"groups": 0}),
    ("ConvTranspose2d", (3, 4, 3), {"groups": 2}),
    ("ConvTranspose2d", (3, 4, 3), {"padding_mode": "reflect", "groups": 0}),
    ("ConvTranspose1d", (3, 4, 3), {"padding_mode": "x"}),
    ("ConvTranspose3d", (3, -4, 3), {}),
]


@pytest.mark.parametrize(("name", "arguments", "keywords"), WRONG)
def test_constructors_refuse_in_torchs_words_and_order(name, arguments, keywords):
    ours = outcome(getattr(nn, name), *arguments, **keywords)
    assert isinstance(ours, str)
    assert ours == outcome(getattr(torch.nn, name), *arguments, **keywords)


@every_layer
def test_constructor_errors_are_conv_errors(name):
    with pytest.raises(refconv.ConvError, match=r"^groups must be a positive integer$"):
        getattr(nn, name)(3, 4, 3, groups=0)


@pytest.mark.parametrize(
    ("name", "keywords", "message"),
    [
        ("Conv2d", {"kernel_size": 3.0}, "argument 'kernel_size' must be an int or a tuple of 2 ints, not float"),
        ("Conv2d", {"stride": "ab"}, "argument 'stride' must be an int or a tuple of 2 ints, not str"),
        ("Conv2d", {"stride": None}, "argument 'stride' must be an int or a tuple of 2 ints, not None"),
        ("Conv2d", {"in_channels": 2.0}, "argument 'in_channels' must be an int, not float"),
        ("Conv2d", {"groups": True}, "argument 'groups' must be an int, not bool"),
        ("Conv1d", {"padding": 1.5}, "argument 'padding' must be an int, a tuple of 1 int, .* 'same' or 'valid'"),
        ("ConvTranspose2d", {"padding": "same"}, "argument 'padding' must be an int, .* pairs, not str"),
        ("ConvTranspose3d", {"output_padding": [1, 2.0, 3]}, "argument 'output_padding' must be .* but output_pad"),
        ("Conv2d", {"dtype": "int32"}, "argument 'dtype' must be float16, bfloat16, float32, float64, complex64 or"),
    ],
)
def test_wrong_types_are_type_errors(name, keywords, message):
    arguments = {"in_channels": 4, "out_channels": 4, "kernel_size": 3} | keywords
    with pytest.raises(TypeError, match=re.escape(name) + r"\(\): " + message):
        getattr(nn, name)(**arguments)


@pytest.mark.parametrize("argument", ["kernel_size", "stride", "padding", "dilation"])
def test_a_tuple_must_have_a_number_for_each_axis(argument):
    # Torch lets these pass, and the call fails later on.
    with pytest.raises(refconv.ConvError, match=f"'{argument}' must have one value for each of 2 spatial axes"):
        nn.Conv2d(3, 4, **{"kernel_size": 1, argument: (1, 1, 1)})


# ---- State ----


@every_layer
@pytest.mark.parametrize("bias", [True, False])
def test_state_goes_to_torch_and_back(name, bias):
    ours, theirs = both(name, 4, 6, 3, groups=2, bias=bias)
    state = ours.state_dict()
    assert list(state) == list(theirs.state_dict())
    theirs.load_state_dict({key: torch.from_numpy(array) for key, array in state.items()})
    copy = getattr(nn, name)(4, 6, 3, groups=2, bias=bias)
    copy.load_state_dict(theirs.state_dict())
    assert np.array_equal(copy.weight, ours.weight)
    assert (copy.bias is None) if not bias else np.array_equal(copy.bias, ours.bias)


def test_states_are_copies():
    layer = nn.Conv2d(1, 1, 2, rng=0)
    before = layer.state_dict()
    state = {key: array + 1 for key, array in before.items()}
    layer.load_state_dict(state)
    state["weight"][:] = 0
    layer.state_dict()["weight"][:] = 0
    assert np.array_equal(layer.weight, before["weight"] + 1)


def test_loading_converts_to_the_dtype_of_the_layer():
    layer = nn.Conv2d(1, 1, 1, dtype="bfloat16")
    layer.load_state_dict({"weight": torch.full((1, 1, 1, 1), 1 + 2**-9, dtype=torch.float64), "bias": [2.0]})
    assert layer.weight.dtype == layer.bias.dtype == ml_dtypes.bfloat16
    assert (layer.weight.item(), layer.bias.item()) == (1.0, 2.0)


WRONG_STATES = [
    {},
    {"weight": (4, 3, 5, 5), "x": (1,)},
    {"x": (1,), "y": (1,)},
    {"weight": (4, 3, 3, 3), "bias": (5,)},
    {"weight": (4, 3, 3), "bias": (4, 1)},
    {"weight": (4, 3, 3, 3), "bias": (4,), "running_mean": (4,)},
]


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shapes", WRONG_STATES, ids=str)
def test_wrong_states_are_refused_in_torchs_words_and_change_nothing(shapes, bias):
    ours, theirs = both("Conv2d", 3, 4, 3, bias=bias)
    before = ours.state_dict()
    state = {key: np.ones(shape, np.float32) for key, shape in shapes.items()}
    message = outcome(ours.load_state_dict, state)
    assert isinstance(message, str)
    assert message == outcome(theirs.load_state_dict, {key: torch.from_numpy(array) for key, array in state.items()})
    assert all(np.array_equal(before[key], array) for key, array in ours.state_dict().items())


def test_complex_parameters_are_not_loaded_into_a_real_layer():
    layer = nn.Conv2d(1, 1, 1)
    with pytest.raises(
        refconv.ConvError, match="dtype mismatch for bias: complex128 in checkpoint, float32 in current"
    ):
        layer.load_state_dict({"weight": np.ones((1, 1, 1, 1)), "bias": [1j]})


def test_a_state_must_be_a_mapping_of_arrays():
    with pytest.raises(TypeError, match=r"^Expected state_dict to be dict-like, got <class 'int'>\.$"):
        nn.Conv2d(1, 1, 1).load_state_dict(3)
    with pytest.raises(TypeError, match=r"^Conv2d\.load_state_dict\(\): argument 'weight' must be an array, not str"):
        nn.Conv2d(1, 1, 1).load_state_dict({"weight": "x", "bias": [0.0]})


# ---- From torch ----


@every_conv
def test_a_torch_layer_is_taken_over_whole(name):
    modes = ["zeros", *PADDED_MODES]
    for mode, padding, bias in itertools.product(modes, ["same", 1], [True, False]):
        theirs = getattr(torch.nn, name)(
            4, 6, 3, padding=padding, dilation=2, groups=2, bias=bias, padding_mode=mode, dtype=torch.float64
        )
        ours = getattr(nn, name).from_torch(theirs, algorithm="direct", threads=1)
        assert repr(ours) == repr(theirs)
        assert (ours.weight.dtype, ours.algorithm, ours.threads) == (np.float64, "direct", 1)
        assert np.array_equal(ours.weight, theirs.weight.detach().numpy())
        assert not np.shares_memory(ours.weight, theirs.weight.detach().numpy())
        assert (ours.bias is None) == (theirs.bias is None)


@every_transposed
def test_a_transposed_torch_layer_is_taken_over_whole(name):
    theirs = getattr(torch.nn, name)(4, 6, 3, 2, 1, 1, groups=2, bias=False, dilation=2)
    ours = getattr(nn, name).from_torch(theirs)
    assert repr(ours) == repr(theirs)
    assert np.array_equal(ours.weight, theirs.weight.detach().numpy())


def test_a_complex_torch_layer_is_taken_over():
    theirs = torch.nn.Conv2d(2, 3, 3, padding=1, padding_mode="reflect", dtype=torch.complex64)
    ours = nn.Conv2d.from_torch(theirs)
    assert ours.weight.dtype == ours.bias.dtype == np.complex64
    x = torch.randn(1, 2, 5, 5, dtype=torch.complex64)
    np.testing.assert_allclose(ours(x), theirs(x).detach().numpy(), rtol=1e-4, atol=1e-5)
    ours.load_state_dict(theirs.state_dict())


def test_classes_derived_from_torchs_are_taken_and_others_are_not():
    class Blur(torch.nn.Conv2d):
        pass

    assert repr(nn.Conv2d.from_torch(Blur(1, 1, 3))) == "Conv2d(1, 1, kernel_size=(3, 3), stride=(1, 1))"
    for wrong in (torch.nn.Conv1d(1, 1, 3), torch.nn.ConvTranspose2d(1, 1, 3), torch.nn.Linear(1, 1)):
        kind = re.escape(f"{type(wrong).__module__}.{type(wrong).__name__}")
        with pytest.raises(TypeError, match=rf"^Conv2d\.from_torch\(\): expected a torch\.nn\.Conv2d, not {kind}$"):
            nn.Conv2d.from_torch(wrong)
    with pytest.raises(TypeError, match=r"not refconv\.nn\.conv\.Conv2d"):
        nn.Conv2d.from_torch(nn.Conv2d(1, 1, 3))
