"""ConvProblem as text: the descriptor of one line, and the report that print() shows."""

import math
import re

import pytest
from conv_problems import problems
from hypothesis import given, settings
from hypothesis import strategies as st

from refconv.errors import ConvError
from refconv.problem import ConvProblem

from_shapes = ConvProblem.from_shapes
transposed_from_shapes = ConvProblem.transposed_from_shapes


@settings(deadline=None)
@given(problems())
def test_a_descriptor_is_read_back_as_the_same_problem(problem):
    assert ConvProblem.parse(problem.descriptor) == problem


@settings(deadline=None)
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


@settings(deadline=None)
@given(problems())
def test_the_equations_in_the_report_are_true(problem):
    equations = [line for line in str(problem).splitlines() if " = " in line]
    assert len(equations) == problem.spatial_ndim
    for line, size in zip(equations, problem.output_size, strict=True):
        left, right = line.split(maxsplit=1)[1].split(" = ")
        assert eval(left, {"floor": math.floor}) == int(right) == size
