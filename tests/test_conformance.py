"""The conformance suite: right convolutions conform, wrong ones fail where they are wrong, with a small case."""

import re
import zlib
from dataclasses import replace

import numpy as np
import pytest
import wrong_convolutions
import wrong_relatives
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from suite_helpers import CLAUSE, WRONG_FILE, case_of, in_file, only, target_of

import refconv
from refconv.conformance import judges
from refconv.conformance.clauses import CLAUSES
from refconv.conformance.judges import Mismatch
from refconv.conformance.profile import Profile
from refconv.conformance.report.from_run import finding_of
from refconv.conformance.repro import script
from refconv.conformance.rows import Progress
from refconv.conformance.runner import run
from refconv.conformance.simplify import MOST_PRINTED
from refconv.conformance.targets.function import FunctionTarget
from refconv.conformance.targets.load import load_target
from refconv.testing.calls import ConvCall
from refconv.testing.exactness import exact_in_any_order
from refconv.testing.operation import Operation
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
    with pytest.raises(AssertionError):
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


# ---- Scripts and small cases ----


def test_torch_scripts_call_torch():
    target = load_target("torch")
    case = case_of([[[[1.5, np.nan, -np.inf, 0.1]]]], [[[[2, 3]]]], [0.25], stride=(1, 2), padding=(1, 0))
    mismatch = Mismatch("", code=["got = conv2d(input, weight, bias, stride, padding, dilation, groups)"])
    code = script(target, case, mismatch)
    names = {}
    exec(code, names)
    for name, array in case.operands.given.items():
        assert names[name].dtype == np.float32
        np.testing.assert_array_equal(names[name], array)
    np.testing.assert_array_equal(names["got"], refconv.conv2d(*case.call.values(case.operands)))
    assert "torch.nn.functional.conv2d" in code


@given(bits=arrays(np.uint32, (1, 1, 2, 12)), dtype=st.sampled_from([np.float32, np.float64]))
@settings(max_examples=50, deadline=None)
def test_printed_numbers_are_the_numbers(bits, dtype):
    case = case_of(bits.view(np.float32), [[[[1]]]])
    with np.errstate(invalid="ignore"):
        case = replace(case, operands=case.operands.map(lambda a: a.astype(dtype)))
    names = {}
    exec(script(target_of(refconv.conv2d), case, Mismatch("", code=[])), names)
    np.testing.assert_array_equal(names["input"], case.operands.input)
    assert names["input"].dtype == names["weight"].dtype == dtype
    assert names["bias"] is None


@pytest.mark.parametrize(
    "judge", ["expect_equal", "expect_shape", "expect_dtype", "expect_untouched", "expect_repeatable"]
)
def test_scripts_pass_when_the_target_is_right(judge):
    """The code of every judge, run on a convolution that is right."""

    def calls_fail(*call):
        calls.append(1)
        call[0][...] = -1
        return np.zeros((1, len(calls)), np.float64)

    calls = []
    case = case_of([[[[1, 2]]]], [[[[3]]]])
    with pytest.raises(Mismatch) as mismatch:
        getattr(judges, judge)(target_of(calls_fail), case)
    right = FunctionTarget("right", {"conv2d": None}, definitions={"conv2d": ["from refconv import conv2d"]})
    exec(script(right, case, mismatch.value), {})


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


def test_a_case_that_cannot_be_small_is_built_by_its_recipe(monkeypatch):
    def loses_long_sums(input, weight, *rest):
        out = refconv.conv2d(input, weight, *rest)
        return 0 * out if weight[0].size > 300 else out

    monkeypatch.setattr(wrong_convolutions, "loses_long_sums", loses_long_sums, raising=False)
    definition = ["from wrong_convolutions import loses_long_sums as conv2d"]
    profile = Profile(dtypes=("float32",))
    target = FunctionTarget("mine", {"conv2d": loses_long_sums}, profile, {"conv2d": definition})
    (row,) = run(target, seed=1, cases=60, clauses=only("rounding")).failures
    case, mismatch = row.failing
    assert case.operands.size > MOST_PRINTED
    code = script(target, case, mismatch)
    assert len(code) < 1500
    names = {}
    with pytest.raises(AssertionError, match="is wrong in"):
        exec(code, names)
    np.testing.assert_array_equal(names["input"], case.operands.input)
    np.testing.assert_array_equal(names["weight"], case.operands.weight)


def test_numbers_of_a_small_case_are_simple():
    def off_at_large_inputs(input, *rest):
        return refconv.conv2d(input, *rest) + (np.abs(input).max(initial=0) > 5)

    (row,) = run(target_of(off_at_large_inputs), seed=1, cases=60, clauses=only("groups")).failures
    case = row.failing[0]
    assert case.call == ConvCall(input_shape=(1, 1, 1, 1), weight_shape=(1, 1, 1, 1))
    # The input has to stay above 5, and is rounded to one digit; the weight does not matter.
    assert abs(case.operands.input.item()) >= 6
    assert f"{abs(case.operands.input.item()):.0e}" == f"{abs(case.operands.input.item()):.6e}".replace(".000000", "")
    assert case.operands.weight.item() == 0


def test_simpler_numbers_are_still_exact():
    exact = []

    def wrong_for_pairs_of_tiny_numbers(input, weight, bias, *rest):
        exact.append(exact_in_any_order(Operation.of("conv2d", input, weight, bias)))
        out = refconv.conv2d(input, weight, bias, *rest)
        tiny = (np.abs(input) < 1e-38) & (input != 0)
        return out + 1 if tiny.any() and np.count_nonzero(input) > 1 else out

    (row,) = run(target_of(wrong_for_pairs_of_tiny_numbers), seed=1, cases=40, clauses=only("subnormals")).failures
    assert len(exact) > row.cases
    assert all(exact)


def test_a_failure_that_does_not_come_again_is_reported_all_the_same():
    calls = []

    def fails_once(*call):
        calls.append(1)
        out = refconv.conv2d(*call)
        return out + 1 if len(calls) == 7 else out

    (row,) = run(target_of(fails_once), seed=1, cases=20, clauses=only("kernel")).rows
    assert row.cases + row.vacuous == 7
    assert row.failing is not None
    assert "results wrong" in row.failing[1].headline
    assert row.failing[1].details[-1] == "only now and then: called once more, it did not fail"


def test_where_the_smallest_case_has_no_result_another_one_is_explained():
    def flips_and_does_not_know_single_taps(input, weight, *rest):
        if weight.shape[-2:] == (1, 1):
            raise IndexError("kernel too small")
        return refconv.conv2d(input, weight[..., ::-1, ::-1], *rest)

    target = target_of(flips_and_does_not_know_single_taps)
    (row,) = run(target, seed=1, cases=60, clauses=only("kernel")).failures
    case, mismatch = row.failing
    assert case.call.weight_shape == (1, 1, 1, 1)
    assert mismatch.headline == "raised IndexError: kernel too small"
    assert re.match(r"another case returns an array, \S*k[hw][2-9]\S*: \d+ of \d+ results wrong", mismatch.details[-1])
    finding = finding_of(row.failing, target)
    assert finding.explanation.startswith("kernel flipped")
    assert finding.explanation.endswith("(This is about the other case, which returns an array.)")


def test_where_no_case_has_a_result_there_is_nothing_to_explain():
    (row,) = run(load_target(in_file("raises")), seed=1, cases=5, clauses=only("bias")).failures[:1]
    assert not any("another case" in line for line in row.failing[1].details)
    assert row.failing[1].diagnosis == ""


def test_an_exception_is_reported_with_its_place():
    (row,) = run(load_target(in_file("raises")), seed=1, cases=5, clauses=only("bias")).failures[:1]
    assert row.failing[1].headline == "raised ZeroDivisionError: at a place of its own"
    assert row.failing[1].details[0].startswith(f"in raises, {WRONG_FILE}:")


# ---- The sign of zeros ----


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


def test_negative_zeros_are_printed_as_what_they_are():
    case = case_of([[[[-0.0, -0.0]]]], [[[[0.0]]]])
    names = {}
    exec(script(target_of(refconv.conv2d), case, Mismatch("", code=[])), names)
    assert np.signbit(names["input"]).tolist() == [[[[True, True]]]]
    assert np.signbit(names["weight"]).tolist() == [[[[False]]]]
