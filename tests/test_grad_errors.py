"""What is wrong with a gradient's call is said in torch's words and in torch's order, as for the forward convolutions.

`data/torch_grad_errors.json` holds calls and torch's messages. Most of its entries with a wrong grad_output come from
oneDNN, whose text is not imitated; the texts of torch's own kernels are compared on random calls further down, with the
torch that is installed. Nothing here ever gives torch a batch that is not the input's: it would read beyond its end.
"""

import ast
import collections
import itertools
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from test_torch_errors import Ones, Rule, evaluate

import refconv
from refconv.errors import ConvError

CATALOGUE = json.loads((Path(__file__).parent / "data" / "torch_grad_errors.json").read_text(encoding="utf-8"))

RULES = [
    Rule(
        name="dtype",
        why="dtypes are compared first, in words of our own",
        expected=r"ConvError: conv2d_(input|weight)\(\): operands must share one dtype",
        message=r"expected scalar type|itensor_view",
    ),
    Rule(
        name="type",
        why="a TypeError in words of our own: function, argument, what was expected and what came",
        expected=r"TypeError: conv2d_(input|weight)\(\): argument '\w+' must be an? .*, (not|but \w+\[\d\] is) \S",
        message=r"^Overloaded torch operator|^expand\(\)|has no attribute|proper Tensor",
    ),
    Rule(
        name="number",
        why="torch makes a tensor of one axis from a size that is a number, here that is the wrong type",
        expected=r"TypeError: conv2d_(input|weight)\(\): argument '\w+_size' must be a tuple of ints, not int",
        call=r"_input\(8, |\)\), 3, ",
    ),
    Rule(
        name="no axes",
        why="torch's text is about the stretching of a tensor, by which it makes one of the result's shape",
        expected=r"ConvError: Expected 4-dimensional input .* 0-dimensional input of size \[\]",
        message=r"^expand\(torch",
    ),
    Rule(
        name="keyword",
        why="Python's text, which the versions of Python word differently",
        expected=r"TypeError: conv\dd_(input|weight)\(\) (missing|takes|got)",
        message=r"positional argument|unexpected keyword",
    ),
    Rule(
        name="backend",
        why="oneDNN's text, where the backend that torch picks depends on the machine; here it is the native one",
        expected=r"ConvError: (Expected a tensor of dimension|grad_output|kernel size should)",
        message=r"^could not create a primitive",
    ),
    Rule(name="same", why="the rest", expected="the same text"),
]

COUNTS = {"dtype": 4, "type": 23, "number": 2, "no axes": 1, "keyword": 20, "backend": 28, "same": 63}


def rule_of(entry):
    return next(rule for rule in RULES if rule.matches(entry))


def operand(node):
    """An argument of a call in the catalogue; tensors of ones become arrays of the same dtype."""
    value = evaluate(node)
    if not isinstance(value, Ones):
        return value
    wide = any(keyword.arg == "dtype" and keyword.value.attr == "float64" for keyword in node.keywords)
    return np.ones(value.shape, np.float64 if wide else np.float32)


def outcome(call):
    """Return what refconv makes of a call: "accepted", or the exception's type and text."""
    tree = ast.parse(call, mode="eval").body
    try:
        keywords = {keyword.arg: operand(keyword.value) for keyword in tree.keywords}
        getattr(refconv.grad, tree.func.attr)(*map(operand, tree.args), **keywords)
    except (TypeError, ConvError) as error:
        return f"{type(error).__name__}: {error}"
    return "accepted"


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_catalogue(rule):
    wrong = []
    for entry in CATALOGUE:
        if rule_of(entry) is rule:
            got = outcome(entry["call"])
            same = got == f"ConvError: {entry['message']}"
            if not (same if rule is RULES[-1] else re.match(rule.expected, got)):
                wrong.append(f"{entry['call']}\n    torch   {entry['error']}: {entry['message']}\n    refconv {got}")
    assert not wrong, "\n".join([f"{len(wrong)} calls, expected {rule.expected!r}", *wrong])


def test_no_entry_of_the_catalogue_changes_its_rule_unnoticed():
    assert collections.Counter(rule_of(entry).name for entry in CATALOGUE) == COUNTS


# ---- Of two faults the same one as by torch ----

RANKING = (
    "type int64 size weight_ndim stride_len padding_len dilation_len padding_neg stride_0 dilation_neg groups_0"
    " input_ndim groups_big groups_indivisible channels padding_big kernel_big grad_output_ndim size_0 kernel_0"
    " dilation_0 grad_output_channels grad_output_size grad_output_batch"
)

# Of a right call with 8 channels in and out: shapes that are replaced (by a function of the right one), or arguments.
FAULTS = {
    "type": ({"groups": "x"}, r"conv2d_\w+\(\): argument 'groups' must be an int"),
    "int64": ({"stride": 2**63}, r"Overflow when unpacking long long"),
    "size": ({"result": lambda s: (s[0], -1, *s[2:])}, r"The expanded size of the tensor \(-1\) isn't allowed in"),
    "weight_ndim": ({"weight": lambda s: s[:2]}, r"weight should have at least three dimensions"),
    "stride_len": ({"stride": (1,) * 5}, r"expected stride to be a single integer value or a list of 2 values"),
    "padding_len": ({"padding": (1,) * 5}, r"expected padding to be a single integer value or a list of 2 values"),
    "padding_neg": ({"padding": -1}, r"negative padding is not supported"),
    "dilation_len": ({"dilation": (1,) * 5}, r"expected dilation to be a single integer value or a list of 2 values"),
    "stride_0": ({"stride": 0}, r"non-positive stride is not supported"),
    "dilation_neg": ({"dilation": -1}, r"dilation should be greater than zero$"),
    "groups_0": ({"groups": 0}, r"expected groups to be greater than 0, but got groups=0"),
    "input_ndim": ({"input": lambda s: s[1:]}, r"Expected 4-dimensional input for 4-dimensional weight \["),
    "groups_big": ({"groups": 100}, r"Given groups=100, expected weight to be at least 100"),
    "groups_indivisible": ({"groups": 5}, r"Given groups=5, expected weight to be divisible by 5"),
    "channels": ({"input": lambda s: (s[0], 7, *s[2:])}, r"Given groups=\d+, weight of size .* channels instead"),
    "padding_big": ({"padding": 2**62}, r"Given padding=4611686018427387904 at dimension 0 , expected"),
    "kernel_big": ({"weight": lambda s: (*s[:2], 40, 3)}, r"Calculated padded input size per channel: .* Kernel size"),
    "grad_output_ndim": ({"grad_output": lambda s: s[1:]}, r"Expected input and grad_output to have the same number"),
    "size_0": (
        {"input": lambda s: (*s[:2], 0, 8), "padding": 2},
        r"Only zero batch or zero channel inputs are supported",
    ),
    "kernel_0": ({"weight": lambda s: (*s[:2], 0, 3)}, r"kernel size should be greater than zero, but got"),
    "dilation_0": ({"dilation": 0}, r"dilation should be greater than zero, but got"),
    "grad_output_channels": (
        {"grad_output": lambda s: (s[0], 9, *s[2:])},
        r"Expected a tensor of dimension 4 and tensor.size\[1\] == 8 but got: dimension 4 and tensor.size\[1\] = 9",
    ),
    "grad_output_size": (
        {"grad_output": lambda s: (*s[:3], 9)},
        r"Expected a tensor of dimension 4 and tensor.size\[3\] == 6 but got: dimension 4 and tensor.size\[3\] = 9",
    ),
    "grad_output_batch": (
        {"grad_output": lambda s: (3, *s[1:])},
        r"Expected a tensor of dimension 4 and tensor.size\[0\] == 2 but got: dimension 4 and tensor.size\[0\] = 3",
    ),
}

# The kernel's taps all fall on one element, or the same shape is wrong in two ways of which one hides the other.
INCOMPATIBLE = [("kernel_big", "dilation_0")]


def reported(name, faults):
    """Return the text for a call that is right but for some faults, or None if it stands."""
    shapes = {"input": (2, 8, 8, 8), "weight": (8, 8, 3, 3), "grad_output": (2, 8, 6, 6)}
    result = name.partition("_")[2]
    keywords = {}
    for fault in faults:
        for argument, change in FAULTS[fault][0].items():
            if argument in ("stride", "padding", "dilation", "groups"):
                keywords[argument] = change
            else:
                operand = result if argument == "result" else argument
                shapes[operand] = change(shapes[operand])
    operands = [shape if what == result else np.ones(shape, np.float32) for what, shape in shapes.items()]
    try:
        getattr(refconv.grad, name)(*operands, **keywords)
    except (ConvError, TypeError) as error:
        return str(error)
    return None


@pytest.mark.parametrize("name", ["conv2d_input", "conv2d_weight"])
def test_each_fault_alone(name):
    assert reported(name, []) is None
    assert set(RANKING.split()) == set(FAULTS)
    for fault in RANKING.split():
        assert re.match(FAULTS[fault][1], reported(name, [fault])), fault


@pytest.mark.parametrize("name", ["conv2d_input", "conv2d_weight"])
def test_of_two_faults_the_one_ranked_first_is_reported(name):
    result = name.partition("_")[2]
    pairs = 0
    for first, second in itertools.combinations(RANKING.split(), 2):
        changed = [{result if key == "result" else key for key in FAULTS[fault][0]} for fault in (first, second)]
        if changed[0].isdisjoint(changed[1]) and (first, second) not in INCOMPATIBLE:
            got = reported(name, [first, second])
            assert re.match(FAULTS[first][1], got), f"{first} and {second}: {got}"
            pairs += 1
    assert pairs > 150


# ---- Random calls ----


@st.composite
def calls(draw):
    """Calls of which most have something wrong with them, and some nothing; the batches of operands always agree."""
    n = draw(st.integers(1, 3))
    groups = draw(st.sampled_from([1, 1, 1, 2, 0, -1]))
    multiple = max(groups, 1)
    C_in, C_out = (draw(st.integers(1, 2)) * multiple for _ in range(2))
    N = draw(st.integers(1, 2))
    spoilt = st.sampled_from([0, 0, 0, 1])
    size = [draw(st.integers(1, 6)) for _ in range(n)]
    kernel = [draw(st.integers(0 if draw(spoilt) else 1, 3)) for _ in range(n)]
    stride, padding, dilation = (
        [draw(st.integers(low, high)) for _ in range(n)] for low, high in ((1, 3), (0, 2), (1, 2))
    )
    for values in (stride, padding, dilation):
        if draw(spoilt) and draw(spoilt):
            values[0] = draw(st.integers(-1, 0))
    per_axis = zip(size, kernel, stride, padding, dilation, strict=True)
    output = [max((H + 2 * p - d * (k - 1) - 1) // max(s, 1) + 1, 1) for H, k, s, p, d in per_axis]
    if draw(spoilt):
        output[draw(st.integers(0, n - 1))] = draw(st.integers(1, 4))
    # With groups torch does not look at the channels of grad_output either.
    y_channels = C_out + draw(spoilt) if groups == 1 else C_out
    shapes = [[N, C_in + draw(spoilt), *size], [C_out, C_in // multiple, *kernel], [N, y_channels, *output]]
    for shape in shapes:
        if draw(spoilt) and draw(spoilt):
            shape.append(1)
    arguments = {"stride": tuple(stride), "padding": tuple(padding), "dilation": tuple(dilation), "groups": groups}
    if draw(spoilt) and draw(spoilt):
        arguments[draw(st.sampled_from(["stride", "padding", "dilation"]))] = (1,) * draw(st.integers(0, 4))
    return n, shapes, arguments


def attempt(function, *operands, **arguments):
    """Return the shape of the result, or the text of the error."""
    try:
        return tuple(function(*operands, **arguments).shape)
    except (RuntimeError, IndexError) as error:
        return str(error)


@pytest.mark.skipif(not torch.__version__.startswith("2.13."), reason="the texts are those of torch 2.13")
@pytest.mark.parametrize("result", ["input", "weight"])
@settings(max_examples=500, deadline=None)
@given(call=calls())
@example((1, [[1, 2, 1, 1], [2, 1, 1, 1], [1, 2, 1, 1]], {"stride": 1, "padding": 0, "dilation": (1,), "groups": 2}))
def test_random_calls_get_torchs_shape_or_torchs_text(result, call):
    n, shapes, arguments = call
    # An empty kernel and a dilation below 1 together crash some versions of torch.
    assume(not (0 in shapes[1] and min(arguments["dilation"], default=1) < 1))
    name = f"conv{n}d_{result}"
    place = {"input": 0, "weight": 1}[result]
    ours = [tuple(shape) if i == place else np.ones(shape) for i, shape in enumerate(shapes)]
    # float64 always gets torch's native backend, whose texts are imitated.
    theirs = [tuple(s) if i == place else torch.ones(s, dtype=torch.float64) for i, s in enumerate(shapes)]
    assert attempt(getattr(refconv.grad, name), *ours, **arguments) == attempt(
        getattr(torch.nn.grad, name), *theirs, **arguments
    )


# ---- What torch does not look at ----


@pytest.mark.parametrize("N", [0, 1, 3])
@pytest.mark.parametrize("dilation", [1, 2])
def test_a_batch_of_grad_output_that_is_not_the_inputs_is_an_error(N, dilation):
    """Torch reads beyond the end of a batch that is too short, and leaves out the rest of one that is too long."""
    x, w = np.ones((2, 3, 8, 8)), np.ones((4, 3, 3, 3))
    y = np.ones((N, 4, 8 - 2 * dilation, 8 - 2 * dilation))
    text = rf"tensor.size\[0\] == 2 but got: dimension 4 and tensor.size\[0\] = {N}"
    with pytest.raises(ConvError, match=text):
        refconv.grad.conv2d_input(x.shape, w, y, dilation=dilation)
    with pytest.raises(ConvError, match=text):
        refconv.grad.conv2d_weight(x, w.shape, y, dilation=dilation)


@pytest.mark.parametrize("channels", [2, 5, 6])
def test_channels_of_grad_output_that_are_not_the_weights_are_an_error_in_groups_too(channels):
    x, w, y = np.ones((2, 6, 8, 8)), np.ones((4, 3, 3, 3)), np.ones((2, channels, 6, 6))
    with pytest.raises(ConvError, match=rf"tensor.size\[1\] == 4 .* = {channels}"):
        refconv.grad.conv2d_input(x.shape, w, y, groups=2)
    with pytest.raises(ConvError, match=rf"tensor.size\[1\] == 4 .* = {channels}"):
        refconv.grad.conv2d_weight(x, w.shape, y, groups=2)


def test_wrong_channels_and_sizes_are_reported_before_a_wrong_batch():
    """As by torch, which reports the others."""
    w = np.ones((4, 3, 3, 3))
    for y, axis in (((3, 5, 6, 6), 1), ((3, 4, 6, 7), 3)):
        with pytest.raises(ConvError, match=rf"tensor.size\[{axis}\] =="):
            refconv.grad.conv2d_input((2, 3, 8, 8), w, np.ones(y))


def test_an_empty_batch_does_not_excuse_a_wrong_shape():
    with pytest.raises(ConvError, match="Expected a tensor of dimension 4"):
        refconv.grad.conv2d_weight(np.ones((0, 3, 8, 8)), (4, 3, 3, 3), np.ones((0, 4, 7, 6)))


@pytest.mark.parametrize(
    ("n", "shape"), [(1, (2, 3)), (2, (3, 4, 4)), (2, (2, 3, 4, 4, 4)), (3, (2, 3, 4, 4)), (1, ())]
)
def test_a_bias_gradient_needs_a_batch_and_the_right_number_of_axes(n, shape):
    text = rf"Expected {n + 2}-dimensional grad_output for conv{n}d_bias, but got {len(shape)}-dimensional"
    with pytest.raises(ConvError, match=text):
        getattr(refconv.grad, f"conv{n}d_bias")(np.ones(shape))


@pytest.mark.parametrize("name", ["conv1d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d"])
def test_operands_and_options_are_judged_by_the_functions_own_name(name):
    n = int(name[-2])
    x, w = np.ones((1, 1, *(4,) * n)), np.ones((1, 1, *(2,) * n))
    function = getattr(refconv, name)
    with pytest.raises(
        ConvError, match=rf"^{name}\(\): operands must share one dtype, but got input float64, weight f"
    ):
        function(x, w.astype(np.float32))
    with pytest.raises(TypeError, match=rf"^{name}\(\): argument 'weight' must be an array, not NoneType"):
        function(x, None)
    with pytest.raises(ConvError, match=rf"^{name}\(\): argument 'algorithm' must be one of auto"):
        function(x, w, algorithm="fft")
    with pytest.raises(TypeError, match=rf"^{name}\(\): argument 'threads' must be an int"):
        function(x, w, threads=1.5)
    with pytest.raises(TypeError, match=rf"^{name}\(\): argument 'dtype' must be"):
        function(x, w, dtype="float7")
    with pytest.raises(TypeError, match=rf"^{name}\(\): argument 'stride' must be an int or a tuple of {n} int"):
        function(x, w, stride=1.5)


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("what", ["input", "weight", "bias"])
def test_gradients_are_too(n, what):
    name = f"conv{n}d_{what}"
    x, w, y = (np.ones((1, 1, *(size,) * n)) for size in (4, 2, 3))
    operands = {"input": (x.shape, w, y), "weight": (x, w.shape, y), "bias": (y,)}[what]
    function = getattr(refconv.grad, name)
    with pytest.raises(TypeError, match=rf"^{name}\(\): argument 'grad_output' must be an array, not NoneType"):
        function(*operands[:-1], None)
    with pytest.raises(ConvError, match=rf"^{name}\(\): argument 'algorithm' must be one of auto"):
        function(*operands, algorithm="fft")
    with pytest.raises(TypeError, match=rf"^{name}\(\): argument 'threads' must be an int"):
        function(*operands, threads=1.5)
    with pytest.raises(TypeError, match=rf"^{name}\(\): argument 'dtype' must be"):
        function(*operands, dtype="float7")
    if what != "bias":
        with pytest.raises(
            ConvError, match=rf"^{name}\(\): operands must share one dtype, but got .*grad_output float32"
        ):
            function(*operands[:-1], y.astype(np.float32))
        with pytest.raises(TypeError, match=rf"^{name}\(\): argument 'padding' must be an int, .* not str"):
            function(*operands, padding="same")
