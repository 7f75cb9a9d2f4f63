"""What is told of a failure: a script, a case that is small, what it looks like, and whether it comes again."""

import re
import sys
from dataclasses import replace

import numpy as np
import pytest
import wrong_convolutions
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from suite_helpers import WRONG_FILE, case_of, in_file, only, target_of

import refconv
from refconv.conformance import judges
from refconv.conformance.judges import Mismatch
from refconv.conformance.profile import Profile
from refconv.conformance.report.from_run import finding_of
from refconv.conformance.repro import script
from refconv.conformance.runner import run
from refconv.conformance.simplify import MOST_PRINTED
from refconv.conformance.targets.function import FunctionTarget
from refconv.conformance.targets.load import load_target
from refconv.testing import assert_conv_close
from refconv.testing.calls import ConvCall
from refconv.testing.exactness import exact_in_any_order
from refconv.testing.operation import Operation


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
    assert len(repr(case)) < 500
    assert case.recipe in repr(case)
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


def test_a_search_that_fails_hides_neither_a_failure_nor_the_report(monkeypatch):
    def broken(*_):
        raise ZeroDivisionError("planted")

    # As a module: `refconv.testing.explain` is the function.
    monkeypatch.setattr(sys.modules["refconv.testing.explain"], "explain_verdict", broken)
    x, w = np.ones((1, 1, 3, 3), np.float32), np.arange(4, dtype=np.float32).reshape(1, 1, 2, 2)
    said = "failed, a bug of refconv: ZeroDivisionError: planted"
    with pytest.raises(AssertionError, match=said):
        assert_conv_close(refconv.conv2d(x, w) + 1, x, w)

    target = target_of(lambda input, weight, *rest: refconv.conv2d(input, weight[..., ::-1, ::-1], *rest))
    (row,) = run(target, seed=1, cases=20, clauses=only("kernel")).failures
    assert said in finding_of(row.failing, target).explanation


def test_where_no_case_has_a_result_there_is_nothing_to_explain():
    (row,) = run(load_target(in_file("raises")), seed=1, cases=5, clauses=only("bias")).failures[:1]
    assert not any("another case" in line for line in row.failing[1].details)
    assert row.failing[1].diagnosis == ""


def test_an_exception_is_reported_with_its_place():
    (row,) = run(load_target(in_file("raises")), seed=1, cases=5, clauses=only("bias")).failures[:1]
    assert row.failing[1].headline == "raised ZeroDivisionError: at a place of its own"
    assert row.failing[1].details[0].startswith(f"in raises, {WRONG_FILE}:")


def test_negative_zeros_are_printed_as_what_they_are():
    case = case_of([[[[-0.0, -0.0]]]], [[[[0.0]]]])
    names = {}
    exec(script(target_of(refconv.conv2d), case, Mismatch("", code=[])), names)
    assert np.signbit(names["input"]).tolist() == [[[[True, True]]]]
    assert np.signbit(names["weight"]).tolist() == [[[[False]]]]
