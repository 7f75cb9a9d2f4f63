"""The conformance suite: right convolutions conform, wrong ones fail where they are wrong, with a small case."""

import zlib
from dataclasses import replace

import numpy as np
import pytest
import wrong_convolutions
import wrong_relatives
from suite_helpers import CLAUSE, case_of, in_file, only, target_of

import refconv
from refconv.conformance import judges
from refconv.conformance.clauses import CLAUSES
from refconv.conformance.profile import Profile
from refconv.conformance.relations import Call, padding_as_zeros
from refconv.conformance.repro import script
from refconv.conformance.rows import Progress
from refconv.conformance.runner import run
from refconv.conformance.targets.function import FunctionTarget
from refconv.conformance.targets.load import load_target
from refconv.testing.calls import ConvCall
from refconv.testing.operation import OPS
from refconv.testing.strategies import conv_calls, conv_cases

# Clauses that there are for a function with torch's conventions; the others are about other functions or conventions.
OF_CONV2D = [key for key, clause in CLAUSE.items() if clause.applies_to(Profile(), "conv2d", "float32")]

# ---- Verdicts ----


@pytest.mark.parametrize("name", wrong_convolutions.WRONG)
def test_a_wrong_convolution_fails_the_clause_that_says_so_and_its_script_fails_too(name):
    target = load_target(in_file(name), Profile(dtypes=("float32",), signed_zeros=True))
    clause = wrong_convolutions.WRONG[name]
    (row,) = run(target, seed=1, cases=100, clauses=only(clause)).rows
    case, mismatch = row.failing
    assert case.operands.size <= (400 if clause == "large-extents" else 40)
    code = script(target, case, mismatch)
    # What two of them raise by themselves, and for the others the assertion at the end of the script.
    expected = {"raises": ZeroDivisionError, "fails_with_the_wrong_exception": IndexError}.get(name, AssertionError)
    with pytest.raises(expected):
        exec(code, {})


@pytest.mark.parametrize("name", wrong_relatives.NAMED)
def test_a_wrong_relative_fails_its_clause_and_its_script_fails_too(name):
    """Transposed convolutions, gradients, other libraries' padding."""
    wrong = wrong_relatives.NAMED[name]
    (row,) = run(wrong.target(), seed=1, cases=100, clauses=only(wrong.clause)).rows
    case, mismatch = row.failing
    # What is wrong with large sizes only has no small cases.
    assert case.operands.size <= {"large-extents": np.inf, "vector-widths": 400}.get(wrong.clause, 40)
    with pytest.raises(AssertionError if mismatch.refusal is None else refconv.ConvError):
        exec(script(wrong.target(), case, mismatch), {})


# Faults of one kind, and the clauses about other things, which must not be blamed for them.
INNOCENT = {
    "stride_axes_swapped": ["kernel", "channels", "batch", "bias", "dilation", "padding", "groups"],
    "dilation_ignored": ["kernel", "channels", "batch", "bias", "stride", "padding", "groups"],
    "padding_on_one_side": ["kernel", "channels", "bias", "stride", "dilation", "named-padding", "groups"],
    "groups_interleaved": ["kernel", "channels", "batch", "bias", "stride", "dilation", "padding"],
    "last_channel_dropped": ["kernel", "stride", "dilation", "padding", "named-padding"],
    "bias_missing": ["kernel", "channels", "stride", "dilation", "padding", "named-padding"],
}


@pytest.mark.parametrize("name", INNOCENT)
def test_other_clauses_are_not_blamed(name):
    target = target_of(getattr(wrong_convolutions, name))
    assert run(target, seed=2, cases=40, clauses=only(*INNOCENT[name])).failures == []


def test_a_right_convolution_conforms():
    result = run(target_of(wrong_convolutions.right, ("float32", "float64")), seed=3, cases=15)
    assert [row.clause.key for row in result.failures] == []
    assert {row.clause.key for row in result.rows} == set(OF_CONV2D)
    assert all(row.cases == 15 for row in result.rows if row.status != "unsupported")


def test_refconv_conforms():
    target = target_of(refconv.conv2d, ("float32", "float64"))
    target.profile = replace(target.profile, signed_zeros=True)
    result = run(target, seed=4, cases=25)
    assert result.failures == []
    assert {row.clause.key for row in result.rows} == {*OF_CONV2D, "signed-zeros"}


def test_every_clause_has_a_wrong_convolution_that_breaks_it():
    relatives = {wrong.clause for wrong in wrong_relatives.WRONG}
    assert relatives | set(wrong_convolutions.WRONG.values()) == set(CLAUSE)


def test_errors_allowed_are_measured():
    def float32_sums(input, weight, bias, *arguments):
        return wrong_convolutions.right(input, weight, bias, *arguments)

    (row,) = run(target_of(float32_sums), seed=5, cases=60, clauses=only("rounding")).rows
    assert 0.1 < row.tally.worst_share <= 1
    assert row.tally.worst_ulp > 1
    (exact,) = run(target_of(refconv.conv2d), seed=5, cases=60, clauses=only("rounding")).rows
    assert exact.tally.worst_ulp == 0


def test_a_clause_does_not_pass_on_cases_that_it_cannot_judge():
    def inexact_cases(_profile, _op, dtype):
        return conv_cases(dtype, ["normal"], conv_calls())

    clause = replace(CLAUSE["groups"], cases=inexact_cases)
    with pytest.raises(AssertionError, match="groups: a case was drawn that the clause cannot judge"):
        run(target_of(wrong_convolutions.right), seed=1, cases=20, clauses=[clause])


def test_a_second_dtype_that_fails_is_not_made_small():
    calls = {"float32": 0, "float64": 0}

    def one_more(input, *rest):
        calls[input.dtype.name] += 1
        return refconv.conv2d(input, *rest) + 1

    first, second = run(target_of(one_more, tuple(calls)), seed=1, cases=20, clauses=only("channels")).rows
    assert first.failing is not None
    assert second.failing is not None
    # Hypothesis calls what has failed once more, to be sure.
    assert calls["float64"] == second.cases + 1 < calls["float32"]


# ---- The same seed, the same cases ----


def digest(seed, cases=10, clauses=CLAUSES, dtypes=("float32", "float64")):
    """A checksum of all operands and arguments that a target is called with, per clause and dtype."""
    digests = {}

    def convolve(*call):
        key = current[-1]
        for part in call:
            content = part.tobytes() if isinstance(part, np.ndarray) else repr(part).encode()
            digests[key] = zlib.crc32(content, digests.get(key, 0))
        return refconv.conv2d(*call)

    current = []

    class Remember(Progress):
        def row_begins(self, row):
            current.append((row.clause.key, row.dtype))

    run(target_of(convolve, dtypes), seed=seed, cases=cases, clauses=clauses, progress=Remember())
    return digests


def test_the_same_seed_draws_the_same_cases_whatever_is_selected():
    everything = digest(seed=8)
    selected = digest(seed=8, clauses=only("views", "rounding"))
    assert selected == {key: value for key, value in everything.items() if key[0] in ("views", "rounding")}
    assert len(set(everything.values())) == len(everything)


def test_another_seed_draws_other_cases():
    one, other = (digest(seed, clauses=only("shape", "kernel", "rounding", "views", "errors")) for seed in (8, 9))
    assert all(one[key] != other[key] for key in one)


# ---- Wrong calls, zeros ----


def test_messages_must_be_torchs_for_torch():
    def other_words(*call):
        try:
            return refconv.conv2d(*call)
        except refconv.ConvError as error:
            raise RuntimeError(f"{error}!") from None

    target = target_of(other_words)
    assert run(target, seed=1, cases=20, clauses=only("errors")).failures == []
    target.profile = replace(target.profile, messages="torch")
    (row,) = run(target, seed=1, cases=20, clauses=only("errors")).failures
    assert row.failing[1].details[0].startswith("refconv: ConvError: ")
    assert row.failing[1].details[1].endswith("!")


def negative_zeros(*call):
    """A convolution whose zeros are all negative."""
    out = refconv.conv2d(*call)
    return np.where(out == 0, -np.abs(out), out)


def test_the_sign_of_zeros_is_compared_on_request_only():
    target = target_of(negative_zeros)
    assert run(target, seed=1, cases=20).failures == []
    target.profile = replace(target.profile, signed_zeros=True)
    (row,) = run(target, seed=1, cases=20).failures
    assert row.key == "signed-zeros/conv2d/float32"
    case, mismatch = row.failing
    assert mismatch.headline == "1 of 1 zeros are negative"
    assert mismatch.details == ["at [0, 0, 0, 0]: expected 0.0, got -0.0"]
    assert case.call == ConvCall(input_shape=(1, 1, 1, 1), weight_shape=(1, 1, 1, 1))


def test_the_sign_of_a_result_that_underflows_is_not_judged():
    least = np.finfo(np.float32).smallest_subnormal

    def flushed(*_):
        return np.zeros((1, 1, 1, 1), np.float32)

    for numbers in (flushed, refconv.conv2d):
        judges.expect_positive_zeros(target_of(numbers), case_of([[[[-least]]]], [[[[0.25]]]]))


# ---- Right functions of the whole family, and of other libraries' paddings ----


@pytest.mark.parametrize("op", OPS)
def test_refconv_conforms_in_every_function(op):
    function = ConvCall((), (), op=op).function
    target = FunctionTarget("refconv", {op: function}, Profile(ops=(op,), dtypes=("float32",), signed_zeros=True))
    assert [row.key for row in run(target, seed=6, cases=3).failures] == []


@pytest.mark.parametrize("padding", ["pairs", "onnx", "tensorflow"])
def test_a_right_convolution_conforms_with_the_paddings_of_others(padding):
    def convolve(input, weight, bias, stride, padding, dilation, groups):
        def right(padding):
            return refconv.conv2d(input, weight, bias, stride, padding, dilation, groups)

        return wrong_relatives.same(right, padding, input, weight, stride, dilation)

    target = FunctionTarget("mine", {"conv2d": convolve}, Profile(dtypes=("float32",), padding=padding))
    clauses = only("shape", "padding", "uneven-padding", "deep-padding", "same-with-strides", "anything-goes")
    result = run(target, seed=1, cases=25, clauses=clauses)
    assert [row.key for row in result.failures] == []
    asked = {row.clause.key for row in result.rows if row.cases}
    assert ("same-with-strides" in asked) == (padding != "pairs")
    assert "uneven-padding" in asked


def test_padding_as_zeros_asks_for_no_transposed_convolution_without_a_result():
    """Without its output_padding nothing would be left, and a right function refuses that."""
    input, weight = np.array([[[1, 2]]], np.float32), np.array([[[3, 5]]], np.float32)
    call = Call(refconv.conv_transpose1d, "conv_transpose1d", input, weight, None, 2, 2, 1, 1, 1)
    left, right = padding_as_zeros(call)
    assert left.tolist() == right.tolist() == [[[6]]]
