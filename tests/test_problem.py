"""ConvProblem: its fields, the sizes that follow from them, and errors beyond torch's."""

import dataclasses
import pickle

import pytest
import torch
from conv_problems import problems, torch_result
from hypothesis import given, settings

from refconv.errors import ConvError
from refconv.problem import ConvProblem, _problem

from_shapes = ConvProblem.from_shapes
transposed_from_shapes = ConvProblem.transposed_from_shapes


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


@settings(deadline=None)
@given(problems())
def test_output_shape_is_torchs(problem):
    input, weight = (torch.empty(shape, device="meta") for shape in (problem.input_shape, problem.weight_shape))
    assert problem.output_shape == tuple(torch_result(problem, input, weight).shape)


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
