"""What is accepted for stride, padding, dilation, groups and output_padding, and what is said about the rest."""

import enum
from collections import deque, namedtuple

import numpy as np
import pytest
import torch

from refconv.arguments import int_tuple, integer, padding_argument, shape_tuple
from refconv.errors import ConvError
from refconv.problem import ConvProblem


class Two(enum.IntEnum):
    VALUE = 2


class HasIndex:
    def __index__(self):
        return 2

    def __repr__(self):
        # Part of a test's id, which must not change from process to process.
        return "HasIndex()"


TWOS = [2, np.int8(2), np.uint64(2), Two.VALUE, HasIndex(), np.array(2), np.array(2, np.uint8), torch.tensor(2)]

NO_INTEGERS = [
    (True, "bool (True)"),
    (np.True_, "numpy.bool"),
    (np.array(True), "numpy.ndarray (array(True))"),
    (torch.tensor(True), "torch.Tensor (tensor(True))"),
    (2.0, "float (2.0)"),
    (np.float32(2), "numpy.float32"),
    (np.array(2.0), "numpy.ndarray (array(2.))"),
    (torch.tensor(2.0), "torch.Tensor (tensor(2.))"),
    (2j, "complex (2j)"),
    (np.timedelta64(2), "numpy.timedelta64"),
    (None, "None"),
    (object, "type (<class 'object'>)"),
]

NO_SEQUENCES = [
    ("11", "str ('11')"),
    (b"11", "bytes (b'11')"),
    ({1}, "set ({1})"),
    ({1: 1}, "dict ({1: 1})"),
    (iter([1, 1]), "list_iterator"),
    (np.array([1, 1]), "numpy.ndarray (array([1, 1]))"),
    (torch.tensor([1, 1]), "torch.Tensor (tensor([1, 1]))"),
    (torch.tensor([1]), "torch.Tensor (tensor([1]))"),
]


@pytest.mark.parametrize("value", TWOS, ids=repr)
def test_whatever_is_one_integer_is_taken_as_int(value):
    for result in (integer("conv2d", "groups", value), *int_tuple("conv2d", "stride", value, 2)):
        assert type(result) is int
        assert result == 2
    assert padding_argument("conv2d", value, 3, strings=True) == (2, 2, 2)


Pair = namedtuple("Pair", "h w")


@pytest.mark.parametrize(
    "value",
    [(1, 2), [1, 2], Pair(1, 2), range(1, 3), deque([1, 2]), torch.Size([1, 2]), (np.int64(1), torch.tensor(2))],
    ids=repr,
)
def test_any_sequence_of_integers_is_taken_as_tuple(value):
    for result in (
        int_tuple("conv2d", "stride", value, 2),
        padding_argument("conv2d", value, 2, strings=True),
        shape_tuple("conv2d", "input_shape", value),
    ):
        assert result == (1, 2)
        assert type(result) is tuple
        assert [type(item) for item in result] == [int, int]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (((1, 2), (3, 4)), ((1, 2), (3, 4))),
        ([[1, 2], [3, 4]], ((1, 2), (3, 4))),
        ([(1, np.int64(2)), torch.Size([3, 4])], ((1, 2), (3, 4))),
        ("same", "same"),
        (np.str_("valid"), "valid"),
        ("anything", "anything"),  # judged with the checks, in their order
    ],
)
def test_padding_is_pairs_or_a_string_too(value, expected):
    result = padding_argument("conv2d", value, 2, strings=True)
    assert result == expected
    assert type(result) is type(expected)


@pytest.mark.parametrize(("value", "found"), NO_INTEGERS, ids=lambda item: str(item)[:20])
def test_a_type_error_says_what_was_expected_and_what_came(value, found):
    with pytest.raises(TypeError) as error:
        integer("conv2d", "groups", value)
    assert str(error.value).startswith(f"conv2d(): argument 'groups' must be an int, not {found}")
    with pytest.raises(TypeError) as error:
        int_tuple("conv3d", "stride", value, 3)
    assert str(error.value).startswith(f"conv3d(): argument 'stride' must be an int or a tuple of 3 ints, not {found}")
    with pytest.raises(TypeError) as error:
        int_tuple("conv1d", "dilation", [1, value], 1)
    assert str(error.value).startswith(
        f"conv1d(): argument 'dilation' must be an int or a tuple of 1 int, but dilation[1] is {found}"
    )


@pytest.mark.parametrize(("value", "found"), NO_SEQUENCES, ids=lambda item: str(item)[:20])
def test_what_only_looks_like_a_sequence_is_a_type_error(value, found):
    with pytest.raises(TypeError) as error:
        int_tuple("conv2d", "stride", value, 2)
    assert str(error.value).startswith(f"conv2d(): argument 'stride' must be an int or a tuple of 2 ints, not {found}")
    with pytest.raises(TypeError) as error:
        integer("conv2d", "groups", value)
    assert str(error.value).startswith(f"conv2d(): argument 'groups' must be an int, not {found}")
    with pytest.raises(TypeError) as error:
        shape_tuple("conv2d", "input_shape", value)
    assert str(error.value).startswith(f"conv2d(): argument 'input_shape' must be a tuple of ints, not {found}")


EXPECTED_PADDING = "conv2d(): argument 'padding' must be an int, a tuple of 2 ints, a tuple of 2 (begin, end) pairs"


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (1.5, "not float (1.5)"),
        (None, "not None"),
        ((1, 1.5), "but padding[1] is float (1.5)"),
        ((1, (1, 1)), "but padding[1] is tuple ((1, 1))"),
        (((1, 1), 1), "but padding[1] is int (1)"),
        (((1, 1), (1, 1, 1)), "but padding[1] is tuple ((1, 1, 1))"),
        (((1, 1), (1, True)), "but padding[1][1] is bool (True)"),
        (("same", "same"), "but padding[0] is str ('same')"),
        ((("a", "b"), (1, 1)), "but padding[0][0] is str ('a')"),
    ],
)
def test_padding_of_a_wrong_type(value, found):
    with pytest.raises(TypeError) as error:
        padding_argument("conv2d", value, 2, strings=True)
    assert str(error.value) == f"{EXPECTED_PADDING}, 'same' or 'valid', {found}"


def test_transposed_convolutions_take_no_padding_string():
    with pytest.raises(
        TypeError, match=r"conv_transpose1d\(\): argument 'padding' must be an int, a tuple of 1 int or a "
    ):
        ConvProblem.transposed_from_shapes((1, 1, 5), (1, 1, 3), padding="same", spatial_ndim=1)


def test_a_message_stays_on_one_line_whatever_came():
    with pytest.raises(TypeError) as error:
        integer("conv2d", "groups", np.ones((100, 100)))
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 200


@pytest.mark.parametrize("argument", ["stride", "padding", "dilation", "groups"])
@pytest.mark.parametrize("value", [2**63, -(2**63) - 1, 10**5000], ids=["2**63", "-2**63-1", "10**5000"])
def test_integers_beyond_int64_overflow(argument, value):
    with pytest.raises(ConvError, match=r"^Overflow when unpacking long long$"):
        ConvProblem.from_shapes((1, 3, 8, 8), (4, 3, 3, 3), **{argument: value})
    with pytest.raises(ConvError, match=r"^Overflow when unpacking long long$"):
        ConvProblem.from_shapes((1, 3, 8, value), (4, 3, 3, 3))


def test_what_equals_an_earlier_argument_is_looked_at_again():
    """True and 1.0 are equal to 1 and hash alike; a description found for 1 must not be handed out for them."""
    for _ in range(2):
        ConvProblem.from_shapes((1, 3, 8, 8), (4, 3, 3, 3), stride=1)
        for value in (True, 1.0, np.float64(1), (1, True), (1, 1.0)):
            with pytest.raises(TypeError):
                ConvProblem.from_shapes((1, 3, 8, 8), (4, 3, 3, 3), stride=value)
    with pytest.raises(TypeError, match=r"input_shape\[0\] is bool"):
        ConvProblem.from_shapes((True, 3, 8, 8), (4, 3, 3, 3))
