"""ConvProblem: sizes, the index map, the one-line descriptor and the report."""

import dataclasses
import itertools
import math
import pickle
import re

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from refconv import geometry
from refconv.errors import ConvError
from refconv.problem import ConvProblem, _problem

from_shapes = ConvProblem.from_shapes
transposed_from_shapes = ConvProblem.transposed_from_shapes
no_deadline = settings(deadline=None)


@st.composite
def problems(draw, largest=8, transposed=None):
    """Problems over one to three axes, with everything that they can have; all are valid."""
    if transposed is None:
        transposed = draw(st.booleans())
    n = draw(st.integers(1, 3))
    N = draw(st.none() | st.integers(0, 3))
    groups, in_channels, out_channels = (draw(st.integers(1, 3)) for _ in range(3))
    axes = []
    for _ in range(n):
        kernel, stride, dilation = draw(st.integers(1, 4)), draw(st.integers(1, 4)), draw(st.integers(1, 3))
        begin, end = draw(st.integers(0, 4)), draw(st.integers(0, 4))
        output_padding = draw(st.integers(0, max(stride, dilation) - 1)) if transposed else 0
        if transposed:
            # The smallest input for which something is left after cropping.
            missing = begin + end + 1 - geometry.extent(kernel, dilation) - output_padding
            least = max(1, 1 + -(-missing // stride))
        else:
            least = max(1, geometry.extent(kernel, dilation) - begin - end)
        size = draw(st.integers(least, max(least, largest)))
        axes.append((size, kernel, stride, (begin, end), dilation, output_padding))
    size, kernel, stride, padding, dilation, output_padding = map(list, zip(*axes, strict=True))
    batch = [] if N is None else [N]
    bias_shape = draw(st.sampled_from([None, (groups * out_channels,)]))
    arguments = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups, "spatial_ndim": n}
    input_shape = [*batch, groups * in_channels, *size]
    if transposed:
        weight_shape = [groups * in_channels, out_channels, *kernel]
        return transposed_from_shapes(input_shape, weight_shape, bias_shape, output_padding=output_padding, **arguments)
    return from_shapes(input_shape, [groups * out_channels, in_channels, *kernel], bias_shape, **arguments)


def torch_result(problem, input, weight):
    """Run a problem in torch, which pads and crops both ends alike: uneven ends are done by hand."""
    arguments = {"stride": problem.stride, "dilation": problem.dilation, "groups": problem.groups}
    function = getattr(F, problem.name)
    if not problem.transposed:
        ends = list(itertools.chain.from_iterable(reversed(problem.padding)))
        return function(F.pad(input, ends), weight, **arguments)
    whole = function(input, weight, output_padding=problem.output_padding, **arguments)
    for axis, (begin, end) in enumerate(problem.padding):
        axis += whole.ndim - problem.spatial_ndim
        whole = whole.narrow(axis, begin, whole.shape[axis] - begin - end)
    return whole


# ---- Sizes ----


@pytest.mark.parametrize(("stride", "padding", "size"), [(1, 0, 26), (1, 1, 28), (2, 1, 14)])
def test_three_3x3_kernels_on_a_28x28_image(stride, padding, size):
    problem = from_shapes((1, 1, 28, 28), (3, 1, 3, 3), stride=stride, padding=padding)
    assert problem.output_shape == (1, 3, size, size)


@pytest.mark.parametrize(
    ("input_shape", "weight_shape", "arguments", "output_shape"),
    [
        ((1, 3, 28, 28), (16, 3, 5, 5), {"padding": 1}, (1, 16, 26, 26)),
        ((1, 3, 28, 28), (16, 3, 5, 5), {"stride": 2, "padding": 2}, (1, 16, 14, 14)),
        ((7, 3, 28, 28), (16, 3, 3, 3), {"padding": 1}, (7, 16, 28, 28)),
        ((7, 3, 28, 28), (16, 3, 4, 4), {"padding": "same", "dilation": (1, 3)}, (7, 16, 28, 28)),
        ((3, 28, 28), (16, 3, 5, 5), {"padding": "valid"}, (16, 24, 24)),
        ((1, 3, 28, 28), (16, 3, 5, 5), {"padding": ((0, 1), (2, 3))}, (1, 16, 25, 29)),
        ((1, 3, 8, 8), (4, 3, 3, 3), {"padding": (1,), "stride": [2]}, (1, 4, 4, 4)),
        ((0, 3, 8, 8), (4, 3, 3, 3), {}, (0, 4, 6, 6)),
        ((2, 0, 8, 8), (4, 0, 3, 3), {}, (2, 4, 6, 6)),
        ((5, 2, 100), (4, 2, 3), {"spatial_ndim": 1, "dilation": 2}, (5, 4, 96)),
        ((2, 4, 5, 6), (4, 1, 3, 3, 3), {"spatial_ndim": 3, "groups": 2, "padding": 1}, (4, 4, 5, 6)),
    ],
)
def test_worked_examples(input_shape, weight_shape, arguments, output_shape):
    problem = from_shapes(input_shape, weight_shape, **arguments)
    assert problem.output_shape == output_shape
    assert problem.input_shape == input_shape
    assert problem.weight_shape == weight_shape
    assert problem.bias_shape is None


def test_every_field_and_property():
    problem = from_shapes((2, 6, 9, 8), (4, 3, 3, 2), (4,), (2, 1), ((1, 0), (0, 2)), (1, 3), groups=2)
    assert dataclasses.asdict(problem) == {
        "N": 2,
        "C_in": 6,
        "C_out": 4,
        "groups": 2,
        "input_size": (9, 8),
        "kernel_size": (3, 2),
        "stride": (2, 1),
        "padding": ((1, 0), (0, 2)),
        "dilation": (1, 3),
        "output_padding": (0, 0),
        "bias": True,
        "batched": True,
        "transposed": False,
    }
    assert (problem.name, problem.spatial_ndim) == ("conv2d", 2)
    assert problem.output_size == (4, 7)
    assert problem.bias_shape == (4,)
    assert problem.terms == 3 * 3 * 2
    assert problem.macs == 2 * 4 * (4 * 7) * 18
    assert problem.memory(4) == 4 * (2 * 6 * 9 * 8 + 4 * 3 * 3 * 2 + 4 + 2 * 4 * 4 * 7)


def test_every_property_of_a_transposed_problem():
    problem = transposed_from_shapes((4, 5, 6), (4, 3, 3, 2), (6,), 2, 1, 1, groups=2)
    assert (problem.name, problem.batched, problem.N) == ("conv_transpose2d", False, 1)
    assert (problem.C_in, problem.C_out) == (4, 6)
    assert problem.input_shape == (4, 5, 6)
    assert problem.weight_shape == (4, 3, 3, 2)
    assert problem.bias_shape == (6,)
    assert problem.output_shape == (6, 10, 11)
    assert problem.terms == 2 * 2 * 1  # with stride 2, two of three rows and one of two columns reach the same element
    assert problem.macs == (5 * 6) * 4 * 3 * (3 * 2)


def test_a_problem_is_a_value():
    problem = from_shapes((1, 3, 8, 8), (4, 3, 3, 3))
    same = dataclasses.replace(problem)
    assert same == problem
    assert hash(same) == hash(problem)
    assert pickle.loads(pickle.dumps(problem)) == problem
    with pytest.raises(dataclasses.FrozenInstanceError):
        problem.N = 2


@no_deadline
@given(problems())
def test_output_shape_is_torchs(problem):
    input, weight = (torch.empty(shape, device="meta") for shape in (problem.input_shape, problem.weight_shape))
    assert problem.output_shape == tuple(torch_result(problem, input, weight).shape)


@no_deadline
@given(problems(transposed=False))
def test_a_transposed_size_is_the_inverse(problem):
    axes = zip(problem.output_size, problem.kernel_size, problem.stride, problem.padding, problem.dilation, strict=True)
    for oH, kernel, stride, padding, dilation in axes:
        for output_padding in range(stride):
            H = geometry.transposed_output_size(oH, kernel, stride, padding, dilation, output_padding)
            assert geometry.output_size(H, kernel, stride, padding, dilation) == oH


@no_deadline
@given(kernel=st.integers(1, 9), dilation=st.integers(1, 5), size=st.integers(1, 50))
def test_same_padding_keeps_the_size_with_the_odd_zero_at_the_end(kernel, dilation, size):
    begin, end = geometry.same_padding(kernel, dilation)
    assert geometry.output_size(size, kernel, 1, (begin, end), dilation) == size
    assert end - begin in (0, 1)


# ---- The index map ----


@no_deadline
@given(st.data())
def test_taps_are_all_pairs_of_indices_that_the_index_map_allows(data):
    problem = data.draw(problems(largest=5))
    position = data.draw(st.tuples(*(st.integers(0, size - 1) for size in problem.output_size)), label="position")
    expected = []
    for kernel in itertools.product(*map(range, problem.kernel_size)):
        for input in itertools.product(*map(range, problem.input_size)):
            # Transposed, input and output change places.
            window, tap = (input, position) if problem.transposed else (position, input)
            per_axis = zip(window, tap, kernel, problem.stride, problem.padding, problem.dilation, strict=True)
            if all(t == w * s - begin + k * d for w, t, k, s, (begin, _), d in per_axis):
                expected.append((kernel, input))
    assert problem.taps(*position) == expected


@no_deadline
@given(problems(largest=5), st.integers(0, 2**32 - 1))
def test_summing_over_the_taps_is_the_convolution(problem, seed):
    rng = np.random.default_rng(seed)
    input = rng.integers(-9, 10, problem.input_shape).astype(float)
    weight = rng.integers(-9, 10, problem.weight_shape).astype(float)
    expected = torch_result(problem, torch.from_numpy(input), torch.from_numpy(weight)).numpy()
    input = input.reshape(problem.N, problem.groups, problem.C_in // problem.groups, *problem.input_size)
    # weight[g, oc, ic, kh, kw], with oc and ic counted within the group
    weight = weight.reshape(problem.groups, -1, *problem.weight_shape[1:])
    if problem.transposed:
        weight = weight.swapaxes(1, 2)
    output = np.zeros((problem.N, problem.groups, problem.C_out // problem.groups, *problem.output_size))
    for position in itertools.product(*map(range, problem.output_size)):
        for kernel, at in problem.taps(*position):
            output[(..., *position)] += np.einsum("ngi,goi->ngo", input[(..., *at)], weight[(..., *kernel)])
    np.testing.assert_array_equal(output.reshape(problem.output_shape), expected)


@no_deadline
@given(problems(largest=12))
def test_terms_is_the_largest_number_of_taps(problem):
    positions = itertools.product(*map(range, problem.output_size))
    most = max(len(problem.taps(*position)) for position in positions)
    assert most * (problem.C_in // problem.groups) <= problem.terms
    # In an input that is large enough, with nothing cropped, some position has them all.
    large = dataclasses.replace(
        problem, input_size=(20,) * problem.spatial_ndim, padding=((0, 0),) * problem.spatial_ndim
    )
    middle = [range(size // 2 - 4, size // 2 + 4) for size in large.output_size]
    if all(along.start >= 0 and along.stop <= size for along, size in zip(middle, large.output_size, strict=True)):
        most = max(len(large.taps(*position)) for position in itertools.product(*middle))
        assert most * (problem.C_in // problem.groups) == large.terms


@pytest.mark.parametrize("position", [(6, 0), (-1, 0), (0, 6), (0,), (0, 0, 0)])
def test_taps_outside_of_the_output_are_an_index_error(position):
    problem = from_shapes((1, 1, 8, 8), (1, 1, 3, 3))
    with pytest.raises(IndexError, match=r"^output position \(.*\) is outside of the output size \(6, 6\)$"):
        problem.taps(*position)


# ---- Errors (their texts and order are in test_torch_errors.py and test_check_order.py) ----


def test_the_text_for_wrong_channels():
    with pytest.raises(ConvError) as error:
        from_shapes((1, 1, 28, 28), (16, 3, 5, 5))
    assert str(error.value) == (
        "Given groups=1, weight of size [16, 3, 5, 5], expected input[1, 1, 28, 28] to have 3 channels, "
        "but got 1 channels instead"
    )
    assert isinstance(error.value, ValueError)
    assert isinstance(error.value, RuntimeError)


@pytest.mark.parametrize("empty", [{"N": 0}, {"C_in": 0}], ids=str)
@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"kernel": (0, 3)}, "kernel size should be greater than zero, but got kernel_height: 0 kernel_width: 3"),
        ({"dilation": 0}, "dilation should be greater than zero, but got [0, 0]"),
    ],
    ids=str,
)
def test_no_data_does_not_excuse_a_wrong_geometry(empty, wrong, text):
    """A deliberate difference: torch lets these pass, or fails for another reason."""
    N, C_in = empty.get("N", 1), empty.get("C_in", 3)
    with pytest.raises(ConvError) as error:
        from_shapes((N, C_in, 8, 8), (4, C_in, *wrong.get("kernel", (3, 3))), dilation=wrong.get("dilation", 1))
    assert str(error.value) == text


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"output_padding": 1}, "output padding must be smaller than either stride or dilation, but got "),
        ({"dilation": 0}, "dilation should be greater than zero, but got dilation_height: 0, dilation_width: 0"),
        ({"padding": 5}, "Given input size per channel: (8 x 8). Calculated output size per channel: (0 x 0). "),
    ],
    ids=str,
)
def test_no_data_does_not_excuse_a_wrong_transposed_geometry(arguments, text):
    with pytest.raises(ConvError) as error:
        transposed_from_shapes((0, 3, 8, 8), (3, 4, 3, 3), **arguments)
    assert str(error.value).startswith(text)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (
            lambda: from_shapes((1, 3, 8, 8), (4, 3, 3, 3), padding=2**62 - 1),
            "conv2d(): the padded input has size 9223372036854775814 x 9223372036854775814 per channel, "
            "which does not fit in int64",
        ),
        (
            lambda: from_shapes((1, 3, 8, 8), (4, 3, 3, 3), padding=2**31),
            "conv2d(): the output of shape [1, 4, 4294967302, 4294967302] has 73786976500996636816 elements, "
            "whose bytes at 8 each do not fit in int64",
        ),
        (
            lambda: from_shapes((0, 3, 8, 8), (4, 3, 3, 3), padding=2**31),
            "conv2d(): the output of shape [0, 4, 4294967302, 4294967302] has 73786976500996636816 elements, "
            "whose bytes at 8 each do not fit in int64",
        ),
        (
            lambda: from_shapes((1, 3, 8, 8), (2**58, 3, 3, 3)),
            "conv2d(): the weight of shape [288230376151711744, 3, 3, 3] has 7782220156096217088 elements, "
            "whose bytes at 8 each do not fit in int64",
        ),
        (
            lambda: from_shapes((1, 2**21, 2**19, 2**19), (2**20, 2**21, 1, 1)),
            "conv2d(): input of shape [1, 2097152, 524288, 524288] and weight of shape [1048576, 2097152, 1, 1] "
            "take 604462909807314587353088 multiply-adds, a number that does not fit in int64",
        ),
        (
            lambda: transposed_from_shapes((1, 3, 5), (3, 4, 3), stride=2**61, padding=2**60, spatial_ndim=1),
            "conv_transpose1d(): the output before cropping has size 9223372036854775811 per channel, "
            "which does not fit in int64",
        ),
        (
            lambda: from_shapes((1, 3, 8, 8), (4, 3, 3, 3), dilation=2**62),
            "Calculated padded input size per channel: (8 x 8). Kernel size: (9223372036854775809 x "
            "9223372036854775809). Kernel size can't be greater than actual input size",
        ),
        (lambda: from_shapes((1, -3, 8, 8), (4, 3, 3, 3)), "Trying to create tensor with negative dimension -3: "),
        (lambda: from_shapes((1, 3), (4, 3), spatial_ndim=0), "spatial_ndim must be 1, 2 or 3, but got 0"),
        (
            lambda: from_shapes((1, 3, 8, 8), (4, 3, 3, 3), padding=((1, 1), (0, -1))),
            "negative padding is not supported",
        ),
        (
            lambda: from_shapes((1, 3, 8, 8), (4, 3, 3, 3), padding=((1, 1),)),
            "expected padding to be a single integer value or a list of 2 values to match the convolution dimensions, "
            "but got padding=[(1, 1)]",
        ),
    ],
)
def test_texts_that_torch_does_not_have(call, text):
    with pytest.raises(ConvError) as error:
        call()
    assert str(error.value).startswith(text)


def test_a_description_is_made_once_and_an_error_every_time():
    shapes = (1, 3, 8, 8), (4, 3, 3, 3)
    assert from_shapes(*shapes, stride=2) is from_shapes(*shapes, stride=[2, 2])
    remembered = _problem.cache_info().currsize
    errors = []
    for _ in range(2):
        with pytest.raises(ConvError) as error:
            from_shapes(*shapes, stride=0)
        errors.append(error.value)
    assert errors[0] is not errors[1]
    assert _problem.cache_info().currsize == remembered


# ---- One line of text ----


@no_deadline
@given(problems())
def test_a_descriptor_is_read_back_as_the_same_problem(problem):
    assert ConvProblem.parse(problem.descriptor) == problem


@no_deadline
@given(problems(), st.randoms(use_true_random=False))
def test_keys_come_in_any_order(problem, random):
    fields = re.findall(r"[a-z]+[0-9-]+", problem.descriptor)
    random.shuffle(fields)
    assert ConvProblem.parse("".join(fields)) == problem


@pytest.mark.parametrize(
    ("problem", "text"),
    [
        (
            from_shapes((2, 3, 28, 28), (16, 3, 5, 5), padding=1),
            "g1n2ic3ih28iw28oc16kh5kw5sh1sw1ph1pw1dh1dw1",
        ),
        (
            from_shapes((4, 9, 8), (2, 2, 3, 2), (2,), (2, 1), ((1, 2), (0, 0)), (1, 3), groups=2),
            "g2ic4ih9iw8oc2kh3kw2sh2sw1ph1-2pw0dh1dw3b1",
        ),
        (from_shapes((0, 1, 9), (1, 1, 3), spatial_ndim=1), "g1n0ic1iw9oc1kw3sw1pw0dw1"),
        (
            transposed_from_shapes((1, 2, 3, 4, 5), (2, 3, 1, 2, 3), stride=2, output_padding=1, spatial_ndim=3),
            "t1g1n1ic2id3ih4iw5oc3kd1kh2kw3sd2sh2sw2pd0ph0pw0dd1dh1dw1opd1oph1opw1",
        ),
    ],
)
def test_descriptors(problem, text):
    assert problem.descriptor == text
    assert ConvProblem.parse(text) == problem


def test_what_is_left_out_of_a_descriptor_has_torchs_default():
    assert ConvProblem.parse("n1ic3ih8iw8oc4kh3kw3") == from_shapes((1, 3, 8, 8), (4, 3, 3, 3))
    assert ConvProblem.parse("ic3iw8oc4kw3") == from_shapes((3, 8), (4, 3, 3), spatial_ndim=1)
    assert ConvProblem.parse("t1n1ic3iw8oc4kw3") == transposed_from_shapes((1, 3, 8), (3, 4, 3), spatial_ndim=1)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "expected the key 'ic', as in g1n2ic3ih28iw28oc16kh5kw5sh1sw1ph1pw1dh1dw1, but it is missing"),
        ("n1ic3ih8iw8oc4kh3", "expected the key 'kw', as in"),
        (
            "n1ic3 ih8",
            "expected keys and numbers such as g1n2ic3ih28iw28oc16kh5kw5sh1sw1ph1pw1dh1dw1, but found ' ih8'",
        ),
        ("n1ic3ih", "but found 'ih'"),
        ("n1ic-3", "but found 'ic-3'"),
        ("n1ic3.5", "but found '.5'"),
        ("n1ic3ih8iw8oc4kh3kw3ic3", "expected each key once, but found 'ic' again"),
        ("n1ic3iw8oc4kh3kw3", "expected only keys for the axes that the input sizes name, but found 'kh' as well"),
        ("n1ic3ih8iw8oc4kh3kw3xx1", "but found 'xx' as well"),
        ("n1ic3ih8iw8oc4kh3kw3oph1", "but found 'oph' as well"),
        ("n1ic3ih8iw8oc4kh3kw3sh1-2", "expected one number for 'sh', but found 1-2"),
        ("n1ic3ih8iw8oc4kh3kw3b2", "expected b0 or b1, but found b2"),
        ("g2n1ic3ih8iw8oc4kh3kw3", "expected groups of at least 1 that divide both channels, but has g2, ic3 and oc4"),
        ("g0n1ic3ih8iw8oc4kh3kw3", "but has g0, ic3 and oc4"),
        ("n1ic3ih8iw8oc4kh3kw" + "3" * 5000, "but found 'kw3333"),
    ],
)
def test_what_is_no_descriptor(text, complaint):
    with pytest.raises(ConvError) as error:
        ConvProblem.parse(text)
    assert str(error.value).startswith(f"cannot read {text[:200]!r}"[:-1])
    assert " as a convolution: expected " in str(error.value)
    assert complaint in str(error.value)
    assert len(str(error.value)) < 600


def test_a_descriptor_of_an_impossible_convolution_gets_the_usual_text():
    with pytest.raises(
        ConvError, match=r"^Calculated padded input size per channel: \(2 x 8\). Kernel size: \(3 x 3\)"
    ):
        ConvProblem.parse("n1ic3ih2iw8oc4kh3kw3")
    with pytest.raises(TypeError, match=r"^a convolution is read from a str, not bytes$"):
        ConvProblem.parse(b"n1ic3ih2iw8oc4kh3kw3")


# ---- The report ----


def test_the_report_of_an_unbatched_transposed_problem():
    problem = transposed_from_shapes((4, 14), (4, 6, 3), None, 2, ((1, 0),), 1, groups=2, spatial_ndim=1)
    assert str(problem).splitlines() == [
        "conv_transpose1d t1g2ic4iw14oc12kw3sw2pw1-0dw1opw1",
        "input            (4, 14)   C_in, W",
        "weight           (4, 6, 3) C_in, C_out/groups, kW",
        "bias             None",
        "output           (12, 29)  C_out, oW",
        "oW               (14 - 1)*2 - 1 - 0 + 1*(3 - 1) + 1 + 1 = 29",
        "arguments        stride (2,), padding ((1, 0),), output_padding (1,), dilation (1,), groups 2",
        "multiply-adds    1,008 (1.0 k), at most 4 in one element",
        "memory           1,904 bytes (1.9 kB) as float32",
    ]


@no_deadline
@given(problems())
def test_the_equations_in_the_report_are_true(problem):
    equations = [line for line in str(problem).splitlines() if " = " in line]
    assert len(equations) == problem.spatial_ndim
    for line, size in zip(equations, problem.output_size, strict=True):
        left, right = line.split(maxsplit=1)[1].split(" = ")
        assert eval(left, {"floor": math.floor}) == int(right) == size
