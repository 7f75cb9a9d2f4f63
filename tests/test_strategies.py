"""The strategies draw what they say, reach the corners, and shrink to the simplest call."""

import math
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis import strategies as st

import refconv
from refconv.geometry import extent
from refconv.testing.bad_calls import FAULTS, bad_calls
from refconv.testing.calls import ConvCall
from refconv.testing.operation import OPS
from refconv.testing.strategies import FEATURES, conv_calls, conv_problems, long_sums

SIMPLEST = ConvCall(input_shape=(1, 1, 1, 1), weight_shape=(1, 1, 1, 1))


# The same examples every time, and none from earlier runs. No explanations: `find` would return the last variation
# tried.
FIXED = settings(
    max_examples=1000,
    database=None,
    derandomize=True,
    phases=[Phase.generate, Phase.shrink],
    suppress_health_check=list(HealthCheck),
)


def simplest(strategy, condition):
    """The example that Hypothesis shrinks to."""
    return find(strategy, condition, settings=FIXED)


def drawn(strategy):
    """What Hypothesis draws in a thousand cases."""
    examples = []

    @FIXED
    @given(strategy)
    def draw(example):
        examples.append(example)

    draw()
    return examples


# ---- Geometry ----


@given(call=conv_calls(max_macs=5000))
def test_calls_fit_together_and_are_small(call):
    problem = call.problem
    # The budget is met except by the least that there can be: one channel per group, or a large kernel.
    assert problem.macs <= 5000 or problem.C_in == problem.C_out == problem.groups


DEFAULTS = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1, "bias_shape": None}


@pytest.mark.parametrize("feature", ["stride", "padding", "dilation", "groups", "bias"])
@given(data=st.data())
@settings(max_examples=50)
def test_only_the_features_asked_for_vary(feature, data):
    call = data.draw(conv_calls(vary=[feature]))
    own = "bias_shape" if feature == "bias" else feature
    assert all(getattr(call, name) == default for name, default in DEFAULTS.items() if name != own)
    assert call.weight_shape[1:] == (1, 1, 1)
    assert call.input_shape[0] == 1
    assert call.input_shape[1] == call.weight_shape[0] == call.groups


@given(call=conv_calls(vary=[], always=["bias", "unbatched", "named_padding"]))
def test_some_features_can_be_asked_for_always(call):
    assert call.bias_shape is not None
    assert len(call.input_shape) == 3
    assert call.padding in ("same", "valid")


def test_an_unknown_feature_is_refused():
    with pytest.raises(ValueError, match=r"unknown features \['strides'\]; known are kernel, channels"):
        simplest(conv_calls(vary=["strides"]), lambda _: True)


def pairs(call):
    """stride, dilation, kernel, input size and (begin, end) padding per axis."""
    problem = call.problem
    return list(
        zip(problem.stride, problem.dilation, problem.kernel_size, problem.input_size, problem.padding, strict=True)
    )


CORNERS = {
    "even kernel": lambda call: call.weight_shape[2] % 2 == 0,
    "kernel larger than the image": lambda call: any(k > i for _, _, k, i, _ in pairs(call)),
    "window wholly in the padding": lambda call: any(p[0] >= extent(k, d) >= 3 for _, d, k, _, p in pairs(call)),
    "1x1 kernel with a stride": lambda call: call.weight_shape[2:] == (1, 1) and call.stride != 1,
    "1x1 kernel with padding": lambda call: call.weight_shape[2:] == (1, 1) and call.pads,
    "axis of size 1": lambda call: call.input_shape[-1] == 1 and call.weight_shape[-1] > 1,
    "stride larger than the kernel": lambda call: any(s > k for s, _, k, _, _ in pairs(call)),
    "columns left over": lambda call: any((i - extent(k, d)) % s for s, d, k, i, _ in pairs(call)) and not call.pads,
    "no images": lambda call: call.input_shape[0] == 0 and len(call.input_shape) == 4,
    "several images": lambda call: call.input_shape[0] > 1 and len(call.input_shape) == 4,
    "no batch axis": lambda call: len(call.input_shape) == 3,
    "depthwise": lambda call: call.problem.groups == call.problem.C_in == call.problem.C_out > 1,
    "depthwise with a multiplier": lambda call: 1 < call.problem.groups == call.problem.C_in < call.problem.C_out,
    "groups with several channels": lambda call: call.groups > 1 and call.weight_shape[1] > 1,
    "more than 16 channels": lambda call: call.weight_shape[1] > 16,
    "'same' with an odd number of zeros": lambda call: (
        call.padding == "same" and any(b != e for *_, (b, e) in pairs(call))
    ),
    "'valid' with a stride": lambda call: call.padding == "valid" and call.stride != 1,
    "different strides": lambda call: isinstance(call.stride, tuple) and call.stride[0] != call.stride[1],
    "different dilations": lambda call: isinstance(call.dilation, tuple) and call.dilation[0] != call.dilation[1],
    "different paddings": lambda call: isinstance(call.padding, tuple) and call.padding[0] != call.padding[1],
    "an int for two equal numbers": lambda call: call.stride == call.dilation == 2,
    "a bias": lambda call: call.bias_shape is not None,
    "everything": lambda call: 1 not in (call.stride, call.dilation, call.groups, call.input_shape[0]) and call.pads,
}


@pytest.fixture(scope="module")
def thousand_calls():
    return drawn(conv_calls())


@pytest.mark.parametrize("corner", CORNERS)
def test_corners_are_reached_again_and_again(corner, thousand_calls):
    assert sum(map(CORNERS[corner], thousand_calls)) >= 5


def test_calls_shrink_to_one_pixel_and_default_arguments():
    assert simplest(conv_calls(), lambda _: True) == SIMPLEST
    wide = simplest(conv_calls(), lambda call: call.stride != 1)
    assert wide == replace(SIMPLEST, stride=2)
    grouped = simplest(conv_calls(), lambda call: call.groups > 1 and call.padding == "same")
    assert grouped == ConvCall((1, 2, 1, 1), (2, 1, 1, 1), padding="same", groups=2)


def test_problems_are_calls_without_their_spelling():
    problem = simplest(conv_problems(), lambda problem: problem.dilation == (2, 2))
    assert problem == replace(SIMPLEST, dilation=2).problem


def test_asymmetric_padding_has_to_be_asked_for():
    def asymmetric(call):
        return isinstance(call.padding, tuple) and isinstance(call.padding[0], tuple)

    assert simplest(conv_calls(vary=["asymmetric_padding"]), asymmetric).padding == ((0, 0), (0, 0))
    assert "asymmetric_padding" not in FEATURES


@given(call=long_sums())
def test_long_sums_are_long_and_few(call):
    assert 16 <= call.problem.terms <= 4608
    assert math.prod(call.problem.output_shape) <= 6


# ---- Calls that are wrong ----


@pytest.mark.parametrize("op", OPS[:6])
@given(data=st.data())
@settings(max_examples=50, deadline=None)
def test_bad_calls_are_refused_by_the_reference(op, data):
    bad = data.draw(bad_calls(op))
    with pytest.raises(refconv.ConvError):
        _ = bad.call.problem


@pytest.mark.parametrize("op", ["conv1d", "conv2d"])
def test_every_fault_is_drawn_and_has_a_complaint_of_its_own(op):
    complaints = {}
    for bad in drawn(bad_calls(op)):
        with pytest.raises(refconv.ConvError) as error:
            _ = bad.call.problem
        # The words, without the numbers and what is in brackets.
        words = "".join(character for character in str(error.value).split("[")[0] if not character.isdigit())
        complaints.setdefault(bad.fault, set()).add(words)
    kind = ConvCall((), (), op=op).kind
    assert complaints.keys() == {fault for fault, (kinds, _) in FAULTS.items() if kind in kinds}
    own = [
        words - set().union(*(other for name, other in complaints.items() if name != fault))
        for fault, words in complaints.items()
    ]
    assert all(own), complaints
