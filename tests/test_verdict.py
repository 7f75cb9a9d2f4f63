"""Verdicts: what they are for every function and dtype, what they say, and what they look like."""

import re
import textwrap

import ml_dtypes
import numpy as np
import pytest
import torch
from test_operation import draw, from_refconv

import refconv
from refconv.testing import Claim, assert_conv_close, conv_bound, judge
from refconv.testing.mutants import MUTANTS
from refconv.testing.operation import OPS

X = np.float32([[[[1, 2, 3]]]])
W = np.float32([[[[1, 10]]]])


def message_of(actual, *operands, **call):
    with pytest.raises(AssertionError) as raised:
        assert_conv_close(actual, *operands, **call)
    assert raised.value.verdict.grade in ("WRONG", "SUSPICIOUS")
    return str(raised.value)


# ---- The grade ----


@pytest.mark.parametrize("op", OPS)
def test_every_function_of_the_family_is_judged(op):
    call = draw(op, np.random.default_rng(0))
    right = from_refconv(op, call)
    assert judge(right, op=op, **call).grade == "EXACT"
    wrong = right.copy()
    wrong.flat[wrong.size // 2] += 1
    verdict = judge(wrong, op=op, **call)
    assert verdict.grade == "WRONG"
    assert np.ravel_multi_index(verdict.worst, wrong.shape) == wrong.size // 2
    assert verdict.wrong.sum() == 1
    message = message_of(wrong, op=op, **call)
    assert f"{op} is wrong in 1 of {wrong.size} elements" in message


def test_shape_and_dtype_count():
    y = refconv.conv2d(X, W)
    assert judge(y[..., :1], X, W).fault == "the shape is (1, 1, 1, 1), but must be (1, 1, 1, 2)"
    assert judge(y.astype(np.float64), X, W).fault == "the dtype is float64, but must be float32"
    assert judge(y.astype(np.float64), X, W, claim=Claim(out="float64")).grade == "EXACT"
    assert judge(y[0], X[0], W).grade == "EXACT"
    assert judge(y, X, W).fault is None


def test_grades_from_best_to_worst():
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((1, 512, 7, 7), np.float32), rng.standard_normal((4, 512, 3, 3), np.float32)
    exact = refconv.conv2d(x, w)
    assert judge(exact, x, w).grade == "EXACT"
    off = np.nextafter(exact, np.float32(np.inf))
    assert judge(off, x, w).grade == "WITHIN"
    tf32 = MUTANTS["inputs rounded to TF32"](x, w)
    assert judge(tf32, x, w).grade == "SUSPICIOUS"
    assert not judge(tf32, x, w)
    assert assert_conv_close(tf32, x, w, strict=False).grade == "SUSPICIOUS"
    assert "impossible in practice" in message_of(tf32, x, w)
    one_off = exact.copy()
    one_off[0, 1, 2, 3] += 0.01
    assert judge(one_off, x, w).grade == "SUSPICIOUS"
    assert judge(1.001 * exact, x.astype(float), w.astype(float)).fault
    assert judge(np.float32(1.01) * exact, x, w).grade == "WRONG"


def test_data_that_are_rounded_the_same_way_every_time_are_not_suspicious():
    from refconv.testing.correct import CORRECT

    x, w = np.full((1, 512, 4, 4), 0.1, np.float32), np.full((2, 512, 3, 3), 0.1, np.float32)
    verdict = judge(CORRECT["sequential"](x, w), x, w)
    assert verdict.grade == "WITHIN"
    assert verdict.statistics.rms > 3  # what the model alone would have called impossible


def test_values_that_are_not_numbers():
    x = np.float32([[[[np.nan, np.inf, 1]]]])
    one = np.ones((1, 1, 1, 1), np.float32)
    assert judge(x, x, one).grade == "EXACT"
    verdict = judge(np.float32([[[[0, np.inf, 1]]]]), x, one)
    assert verdict.worst == (0, 0, 0, 0)
    assert verdict.shares.ravel().tolist() == [np.inf, 0, 0]
    assert "yours     0\n" in str(verdict)
    assert "exact     nan" in str(verdict)


def test_integers_are_exact_or_wrong():
    x, w = X.astype(np.int8), W.astype(np.int8)
    assert judge(np.int32([[[[21, 32]]]]), x, w).grade == "EXACT"
    verdict = judge(np.int32([[[[21, 33]]]]), x, w)
    assert verdict.grade == "WRONG"
    assert "yours     33\n        exact     32" in str(verdict)
    assert "dtype" not in (judge(np.int8([[[[21, 32]]]]), x, w).fault or "")
    big = np.int8([[[[100, 100]]]])
    with pytest.raises(refconv.ConvError, match="200"):
        judge(np.int8([[[[-56]]]]), big, np.int8([[[[1, 1]]]]))
    assert judge(np.int8([[[[-56]]]]), big, np.int8([[[[1, 1]]]]), overflow="wrap").grade == "EXACT"


def test_torch_tensors_and_bfloat16_are_taken():
    rng = np.random.default_rng(0)
    x, w = (torch.from_numpy(rng.standard_normal(shape)).bfloat16() for shape in ((1, 8, 6, 6), (4, 8, 3, 3)))
    y = torch.nn.functional.conv2d(x, w, padding=1)
    assert assert_conv_close(y, x, w, padding=1).actual.dtype == ml_dtypes.bfloat16
    assert not judge(y + 1, x, w, padding=1).right


def test_calls_that_make_no_sense_are_errors_and_no_verdicts():
    with pytest.raises(refconv.ConvError, match="Kernel size can't be greater"):
        judge(X, X, np.ones((1, 1, 5, 5), np.float32))
    with pytest.raises(ValueError, match="fft is for real numbers, not for complex128"):
        judge(X[..., :2].astype(complex), X.astype(complex), W.astype(complex), claim=Claim("float64", algorithm="fft"))


# ---- Complex numbers ----


def drawn_complex(op):
    """A call with the same sizes as `draw`, and numbers with two parts."""

    def two_parts(value):
        if getattr(value, "dtype", None) != np.float32:
            return value
        return (value + 1j * np.roll(value.reshape(-1), 7).reshape(value.shape)).astype(np.complex64)

    return {name: two_parts(value) for name, value in draw(op, np.random.default_rng(0)).items()}


@pytest.mark.parametrize("op", OPS)
def test_complex_results_are_judged_by_their_parts(op):
    call = drawn_complex(op)
    right = from_refconv(op, call)
    verdict = judge(right, op=op, **call)
    assert verdict.grade == "EXACT"
    assert (verdict.exact == right).all()
    for unit, part in ((1000, 0), (1000j, 1)):
        wrong = right.copy()
        wrong.flat[wrong.size // 2] += unit
        verdict = judge(wrong, op=op, **call)
        assert [part.grade for part in verdict.parts] == (["EXACT", "WRONG"] if part else ["WRONG", "EXACT"])
        assert verdict.grade == "WRONG"
        assert verdict.wrong.sum() == 1
        assert np.ravel_multi_index(verdict.worst, wrong.shape) == wrong.size // 2


@pytest.mark.parametrize(("unit", "part"), [(1000, "real"), (1000j, "imaginary")])
def test_the_message_says_which_part_is_wrong(unit, part):
    call = drawn_complex("conv1d")
    wrong = from_refconv("conv1d", call)
    exact = wrong.copy()
    wrong.flat[5] += unit
    message = message_of(wrong, op="conv1d", **call)
    assert f"conv1d is wrong in 1 of {wrong.size} elements" in message
    assert f"in its {part} part" in message
    assert (
        f"yours     {getattr(wrong.flat[5], part[:4]):g}\n        exact     {getattr(exact.flat[5], part[:4]):g}"
        in message
    )


@pytest.mark.parametrize("op", ["conv2d", "conv_transpose2d", "conv2d_weight"])
def test_the_bound_of_a_part_is_that_of_its_own_terms(op):
    """Written out with real arrays: the real part as a sum of two convolutions, term by term."""
    call = drawn_complex(op)
    names = [
        name for name in ("input", "weight", "grad_output") if getattr(call.get(name), "dtype", None) == np.complex64
    ]
    real = {name: value for name, value in call.items() if name not in (*names, "bias")}

    def size(first, second):
        """The sums of the terms' absolute values, for one part of each operand."""
        operands = {names[0]: np.abs(getattr(call[names[0]], first)), names[1]: np.abs(getattr(call[names[1]], second))}
        return from_refconv(op, {**real, **operands}).astype(float)

    bias = call.get("bias", np.zeros(1, np.complex64))
    bias = bias.reshape(1, -1, 1, 1) if "bias" in call else bias
    A = size("real", "real") + size("imag", "imag") + np.abs(bias.real)
    imaginary_A = size("real", "imag") + size("imag", "real") + np.abs(bias.imag)
    bound = conv_bound(op=op, **call)
    # u A is the least that is allowed for more than one term, and m u A the most: here m is 100 at most, twice.
    for part, of_terms in ((bound.real, A), (bound.imag, imaginary_A)):
        share = part / (2.0**-24 * of_terms)
        assert share.min() > 1
        assert share.max() < 2 * 101
    assert bound.shape == from_refconv(op, call).shape


def test_complex_sums_in_single_precision_are_right():
    rng = np.random.default_rng(0)

    def numbers(*shape):
        return (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)).astype(np.complex64)

    x, w, b = numbers(2, 16, 12, 12), numbers(8, 16, 3, 3), numbers(8)
    theirs = torch.nn.functional.conv2d(*(torch.from_numpy(a) for a in (x, w, b)), padding=1).numpy()
    verdict = judge(theirs, x, w, b, padding=1)
    assert verdict.grade == "WITHIN"
    assert repr(verdict).startswith("<Verdict WITHIN: conv2d, 2304 elements, at most 0.")
    assert (
        judge(theirs.astype(np.complex128), x, w, b, padding=1).fault
        == "the dtype is complex128, but must be complex64"
    )
    assert judge(theirs.real, x, w, b, padding=1).fault == "the dtype is float32, but must be complex64"
    # The imaginary parts are an error of about a tenth of a real part here and there, in no place of a real one.
    assert judge(theirs.conj(), x, w, b, padding=1).parts[0].right
    assert not judge(theirs.conj(), x, w, b, padding=1).right
    shifted = judge(np.roll(theirs, 1, axis=-1), x, w, b, padding=1)
    assert shifted.grade == "WRONG"
    shifted.plot()


def test_a_bug_in_complex_convolutions_has_its_name():
    call = drawn_complex("conv2d")
    flipped = {**call, "weight": call["weight"][..., ::-1, ::-1]}
    verdict = judge(from_refconv("conv2d", flipped), **call)
    assert verdict.explanation.name == "kernel flipped"
    assert max(map(len, str(verdict).splitlines())) <= 120


# ---- What it says ----


def test_the_message_of_a_small_problem():
    assert message_of(np.float32([[[[12, 23]]]]), X, W) == textwrap.dedent(
        """\
        conv2d is wrong in 2 of 2 elements, if it sums in float32

            where: every element

            worst at (0, 0, 0, 0)
                yours     12
                exact     21
                error     9, 6.8e+06 ulp; allowed 2.5e-06, so 3.6e+06 times that

            2 terms:
                input[0, 0, 0, 1]         2  *  weight[0, 0, 0, 1]        10  =        20
                input[0, 0, 0, 0]         1  *  weight[0, 0, 0, 0]         1  =         1

            looks like: kernel flipped: explains all 2 elements
                The kernel is turned by 180 degrees: a mathematical convolution instead of a cross-correlation.
                (seen in FluxML/Flux.jl, hidden by onnx/onnx#1178)
                On these data the same as: kernel flipped along its last axis.

            problem: g1n1ic1ih1iw3oc1kh1kw2sh1sw1ph0pw0dh1dw1, float32
            claim: Claim(accumulate='float32')

            to see it again:
                import numpy as np
                import refconv.testing
                input = np.array([[[[1.0, 2.0, 3.0]]]], 'float32')
                weight = np.array([[[[1.0, 10.0]]]], 'float32')
                actual = ...  # yours
                refconv.testing.assert_conv_close(actual, input=input, weight=weight)"""
    )


def test_the_message_of_a_layer_fits_a_terminal_and_says_where():
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((2, 8, 9, 10), np.float32), rng.standard_normal((6, 4, 3, 3), np.float32)
    b = rng.standard_normal(6, np.float32)
    call = {"stride": (2, 1), "padding": (1, 2), "dilation": (1, 2), "groups": 2}
    message = message_of(MUTANTS["last column stale"](x, w, b, **call), x, w, b, **call)
    assert max(map(len, message.splitlines())) <= 120
    assert len(message.splitlines()) <= 54
    assert "where: all in column 9 of 10, only windows that touch the padding" in message
    assert "looks like: last column stale: explains all 600 elements" in message
    assert "16 terms, the largest:" in message
    assert "padding=(1, 2)," in message


def test_the_code_in_a_message_runs_and_fails_the_same_way():
    x, w = np.float32([[[[1, 2], [3, 4]]]]), np.float32([[[[1, 10]]]])
    wrong = np.float32([[[[12]], [[34]]]]).reshape(1, 1, 2, 1)
    claim = Claim(inputs="tf32")
    message = message_of(wrong, x, w, claim=claim)
    code = textwrap.dedent(message.split("to see it again:\n")[1])
    with pytest.raises(AssertionError, match="is wrong in 2 of 2"):
        exec(re.sub("actual = .*", f"actual = np.array({wrong.tolist()}, 'float32')", code), {})


def test_reprs_are_one_line():
    assert repr(judge(np.float32([[[[21, 32]]]]), X, W)) == "<Verdict EXACT: conv2d, 2 elements>"
    assert repr(judge(X, X, W)) == "<Verdict WRONG: conv2d, the shape is (1, 1, 1, 3), but must be (1, 1, 1, 2)>"
    for verdict in (judge(np.float32([[[[21, 33]]]]), X, W), judge(np.float32([[[[21, 32]]]]), X, W)):
        assert "\n" not in repr(verdict)
        assert verdict.grade in verdict._repr_html_()
        assert "<pre>" in verdict._repr_html_()


def test_html_shows_no_markup_of_its_own():
    verdict = judge(np.float32([[[[21, 33]]]]), X, W)
    assert "<Verdict" not in verdict._repr_html_()


@pytest.mark.parametrize("op", ["conv1d", "conv2d", "conv3d_weight", "conv2d_bias"])
def test_plots_are_drawn(op, tmp_path):
    pytest.importorskip("matplotlib")
    call = draw(op, np.random.default_rng(0))
    wrong = from_refconv(op, call)
    wrong.flat[0] = np.nan
    figure = judge(wrong, op=op, **call).plot()
    figure.savefig(tmp_path / "verdict.png")
    assert len(figure.axes) == 3
    with pytest.raises(ValueError, match="no elements that could be drawn"):
        judge(wrong[..., :0], op=op, **call).plot()
