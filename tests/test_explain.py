"""`explain` names the bug of implementations that share no code with its catalogue, and of the catalogue itself."""

import numpy as np
import pytest
import wrong_convolutions as wrong

import refconv
from refconv.testing import explain, judge
from refconv.testing.mistakes import MISTAKES
from refconv.testing.mutants import MUTANTS
from refconv.testing.operation import Operation
from refconv.testing.verdict import judge_operation

GEOMETRY = {"stride": (2, 1), "padding": (1, 2), "dilation": (1, 2), "groups": 2}


def operands(seed=0, dtype=np.float32, **sizes):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(sizes.get("x", (2, 12, 9, 10))).astype(dtype)
    w = rng.standard_normal(sizes.get("w", (10, 6, 3, 2))).astype(dtype)
    return x, w, rng.standard_normal(len(w)).astype(dtype)


# Written for the conformance suite, as NumPy loops over the taps, before there was a catalogue.
INDEPENDENT = {
    "kernel_flipped": ("kernel flipped", {}),
    "first_image_only": ("first item of the batch repeated", {}),
    "bias_missing": ("bias missing", {}),
    "stride_axes_swapped": ("stride axes swapped", {}),
    "padding_on_one_side": ("padding all at the end", {}),
    "odd_zero_at_the_beginning": (
        "padding at beginning and end exchanged",
        {"stride": 1, "padding": "same", "dilation": 1},
    ),
    "groups_interleaved": ("groups dealt round-robin", {}),
    "accumulates_in_float16": ("sums in float16", {}),
    "last_channel_dropped": ("last input channel dropped", {"groups": 1}),
}


@pytest.mark.parametrize("name", INDEPENDENT)
def test_bugs_of_independent_implementations_are_named(name):
    expected, changes = INDEPENDENT[name]
    geometry = {**GEOMETRY, **changes}
    x, w, b = operands(w=(10, 12, 3, 2) if geometry["groups"] == 1 else (10, 6, 3, 2))
    if name == "stride_axes_swapped":
        # Rows and columns are as many either way, so that the shape does not tell.
        x, geometry = operands(x=(2, 6, 6, 5))[0], {"stride": (2, 3)}
    arguments = [
        geometry.get(name, default) for name, default in (("stride", 1), ("padding", 0), ("dilation", 1), ("groups", 1))
    ]
    actual = getattr(wrong, name)(x, w, b, *arguments)
    if actual.shape != wrong.right(x, w, b, *arguments).shape:
        pytest.fail("the case shows the bug in the shape already")
    explanation = explain(actual, x, w, b, **geometry)
    assert explanation.name == expected
    assert explanation.hypotheses[0].complete


def first_answer(name):
    """What `explain` makes of a mutant, on the first of some calls on which it is rejected; None if on none."""
    rng = np.random.default_rng(1)
    x, w, b = operands()
    special = x.copy()
    special[rng.random(x.shape) < 0.01] = np.nan
    special[rng.random(x.shape) < 0.01] = np.inf
    tiny = [(a * 2.0**-75).astype(np.float32) for a in (x, w)]
    tiny.append(np.float32(2.0**-149) * np.round(b * 99))
    dense = {"stride": (2, 1), "padding": (1, 2), "dilation": 2, "groups": 2}
    sparse = (x * (rng.random(x.shape) < 0.02)).astype(np.float32)
    calls = [
        ("conv2d", {"input": x, "weight": w, "bias": b, **dense}),
        ("conv2d", {"input": x, "weight": w, "bias": b, **GEOMETRY}),
        ("conv2d", {"input": x, "weight": w, "bias": b, "padding": "same", "dilation": (3, 1), "groups": 2}),
        ("conv2d", {"input": x, "weight": w, "bias": b, "padding": ((4, 5), (7, 3)), "groups": 2, "stride": 2}),
        ("conv2d", {"input": x, "weight": operands(w=(3, 12, 1, 1))[1], "stride": 2}),
        ("conv2d", {"input": operands(x=(2, 21, 7, 9))[0], "weight": operands(w=(5, 21, 3, 2))[1]}),
        ("conv2d", {"input": x[..., ::2], "weight": operands(w=(10, 6, 3, 2))[1][::-1], "bias": b[::-1], "groups": 2}),
        ("conv2d", {"input": np.asfortranarray(x), "weight": np.asfortranarray(w), "bias": b, "groups": 2}),
        ("conv2d", {"input": special, "weight": w, "bias": b, "groups": 2}),
        ("conv2d", {"input": sparse, "weight": w, "groups": 2}),
        ("conv2d", dict(zip(("input", "weight", "bias"), tiny, strict=True), groups=2)),
        ("conv2d", {"input": np.where(rng.random(x.shape) < 0.5, x, x * np.float32(1e-42)), "weight": w, "groups": 2}),
        ("conv2d", {"input": rng.standard_normal(x.shape), "weight": rng.standard_normal(w.shape), "groups": 2}),
        (
            "conv_transpose2d",
            {"input": x, "weight": w[..., :2].repeat(2, 0)[:12], "stride": 3, "output_padding": (1, 2)},
        ),
        ("conv2d_weight", {"input": x, "weight": w.shape, "grad_output": operands(x=(2, 10, 7, 9))[0], "groups": 2}),
    ]
    mutant = MUTANTS[name]
    for op, call in calls:
        operation = Operation.of(op, **call)
        if not mutant.differs(operation):
            continue
        with np.errstate(all="ignore"):
            actual = mutant.compute(operation)
        if not judge_operation(actual, operation).right:
            return explain(actual, op=op, **call)
    return None


def test_nine_of_ten_mutants_are_named_at_once():
    answers = {name: first_answer(name) for name in MUTANTS}
    unseen = [name for name, answer in answers.items() if answer is None]
    named = [name for name, answer in answers.items() if answer is not None and answer.name == name]
    wrongly = {name: answer.name for name, answer in answers.items() if answer is not None and answer.name != name}
    assert not unseen
    assert len(named) >= 0.9 * len(MUTANTS), wrongly


def small_call(rng):
    """A call such as a shrunk one: few small integers, so that many mistakes give the same."""
    groups, C, K, N = (int(rng.integers(1, most)) for most in (3, 6, 4, 3))
    kernel, stride, dilation = (rng.integers(1, most, 2) for most in (4, 3, 3))
    size = dilation * (kernel - 1) + rng.integers(1, 7, 2)
    shapes = (N, C * groups, *size), (K * groups, C, *kernel), (K * groups,)
    x, w, b = (rng.integers(-3, 4, shape).astype(np.float32) for shape in shapes)
    geometry = {"stride": stride, "padding": rng.integers(0, 2, 2), "dilation": dilation}
    return {"input": x, "weight": w, "bias": b, **{name: tuple(map(int, a)) for name, a in geometry.items()}}, groups


def test_nine_of_ten_mutants_are_told_from_all_others_by_calling_them():
    rng = np.random.default_rng(3)
    calls = [{**call, "groups": groups} for call, groups in (small_call(rng) for _ in range(25))]
    seen, alone, told = 0, [], {}
    for name, mutant in MUTANTS.items():
        for call in calls:
            operation = Operation.of("conv2d", **call)
            if not mutant.differs(operation) or judge_operation(actual := mutant.compute(operation), operation).right:
                continue
            seen += 1
            if len(explain(actual, **call).equally_good) == 1:
                alone.append(name)
            told[name] = [h.name for h in explain(actual, **call, function=mutant).equally_good]
            break
    right = [name for name, names in told.items() if names == [name]]
    assert seen > 70
    assert len(alone) < 0.8 * seen
    assert len(right) >= 0.9 * seen, {name: names for name, names in told.items() if names != [name]}


def test_a_function_that_ignores_groups_is_told_from_one_that_reverses_them():
    x, w = np.float32([[[[1]], [[2]]]]), np.float32([[[[0]]], [[[3]]]])

    def mine(input, weight, bias, stride, padding, dilation, _groups):
        return wrong.right(input[:, : weight.shape[1]], weight, bias, stride, padding, dilation, 1)

    actual = mine(x, w, None, 1, 0, 1, 2)
    named = [h.name for h in explain(actual, x, w, groups=2).equally_good]
    assert {"first group used for all", "groups in reverse order"} <= set(named)
    explanation = explain(actual, x, w, groups=2, function=mine)
    assert [h.name for h in explanation.equally_good] == ["first group used for all"]
    assert "other calls tell it from" in str(explanation)


def test_what_other_calls_contradict_is_said():
    """The kernel is flipped, but only if it is small."""
    x, w = np.float32([[[[1, 2, 3]]]]), np.float32([[[[1, 10]]]])

    def mine(input, weight, *rest):
        return wrong.right(input, weight[..., ::-1] if weight.size < 4 else weight, *rest)

    explanation = explain(mine(x, w, None, 1, 0, 1, 1), x, w, function=mine)
    assert explanation.name.startswith("kernel flipped")
    assert "other calls are not explained by it" in str(explanation)


def test_a_function_that_cannot_be_called_otherwise_changes_nothing():
    x, w = np.float32([[[[1, 2, 3]]]]), np.float32([[[[1, 10]]]])

    def mine(*_):
        raise NotImplementedError

    actual = np.float32([[[[12, 23]]]])
    assert explain(actual, x, w, function=mine) == explain(actual, x, w)


def test_two_mistakes_at_once_are_found():
    x, w, b = operands()
    wrong_weight = w[..., ::-1, ::-1]
    actual = wrong.right(x, wrong_weight, None, *GEOMETRY.values())
    explanation = explain(actual, x, w, b, **GEOMETRY)
    assert {mistake.name for mistake in explanation.hypotheses[0].mistakes} == {"kernel flipped", "bias missing"}
    assert explanation.hypotheses[0].complete


def test_a_wrong_size_is_explained():
    x, w, b = operands()
    actual = wrong.right(x, w, b, 2, 0, (1, 2), 2)
    explanation = explain(actual, x, w, b, stride=2, padding=1, dilation=(1, 2), groups=2)
    assert explanation.name == "size of the result without padding"


# What is asked for, what is computed instead, and what that is called.
WHOLE_CALLS = [
    ({"stride": (1, 2)}, {"stride": (2, 1)}, "stride axes swapped"),
    ({"dilation": (1, 2)}, {"dilation": (2, 1)}, "dilation axes swapped"),
    ({"padding": (1, 2)}, {"padding": (2, 1)}, "padding axes swapped"),
    ({"stride": (1, 2)}, {"stride": 1}, "first stride used for all axes"),
    ({"stride": 2}, {"stride": 1}, "stride ignored"),
    ({"padding": (1, 2)}, {"padding": 1}, "first padding used for all axes"),
    ({"padding": (1, 2)}, {"padding": 2}, "last padding used for all axes"),
    ({"padding": (1, 2)}, {"padding": 0}, "size of the result without padding"),
    ({"dilation": 2}, {"dilation": 1}, "dilation ignored"),
    (
        {"stride": (1, 2), "padding": (1, 2)},
        {"stride": (2, 1), "padding": (2, 1)},
        "stride axes swapped and padding axes swapped",
    ),
]


@pytest.mark.parametrize(("asked", "computed", "name"), WHOLE_CALLS)
@pytest.mark.parametrize("op", ["conv2d", "conv_transpose2d"])
def test_a_whole_call_with_other_arguments_is_named(op, asked, computed, name):
    """The size of the result goes with them."""
    x, w, _ = operands(x=(1, 2, 13, 15), w=(3, 2, 3, 2))
    w = w if op == "conv2d" else w.swapaxes(0, 1)
    actual = getattr(refconv, op)(x, w, **computed)
    assert actual.shape != getattr(refconv, op)(x, w, **asked).shape
    explanation = explain(actual, x, w, op=op, **asked)
    assert explanation.name == name
    assert explanation.hypotheses[0].complete


def test_a_size_that_goes_with_the_mistake_shows_in_other_calls_only():
    """In the call itself rows and columns are as many either way."""
    x, w, _ = operands(x=(2, 6, 6, 5), w=(10, 6, 3, 2))

    def mine(input, weight, bias, stride, *rest):
        return refconv.conv2d(input, weight, bias, tuple(stride)[::-1], *rest)

    actual = mine(x, w, None, (2, 3), 0, 1, 1)
    assert actual.shape == refconv.conv2d(x, w, stride=(2, 3)).shape
    explanation = explain(actual, x, w, stride=(2, 3), function=mine)
    assert [h.name for h in explanation.equally_good] == ["stride axes swapped"]
    assert explanation.refuted == ()


def widened(result):
    """A result with one column too many, and no known mistake in the others."""
    wider = np.pad(result, [(0, 0)] * 3 + [(0, 1)])
    return (wider * np.float32(1.37) + np.float32(0.11) * np.sign(wider)).astype(result.dtype)


def test_a_name_that_other_calls_refute_is_not_given():
    x, w = np.zeros((1, 1, 1, 2), np.float32), np.ones((1, 1, 1, 1), np.float32)

    def mine(*call):
        return widened(wrong.right(*call))

    actual = mine(x, w, None, 2, 0, 1, 1)
    assert explain(actual, x, w, stride=2).name == "size of the result rounded up"
    explanation = explain(actual, x, w, stride=2, function=mine)
    assert explanation.hypotheses == ()
    assert explanation.refuted[0].name == "size of the result rounded up"
    first, second, *_ = str(explanation).splitlines()
    assert first == "no known mistake gives this result and those of other calls"
    assert second.startswith("    other calls contradict: size of the result rounded up")


def test_what_other_calls_show_is_named_in_place_of_what_they_refute():
    """Two mistakes; an image of zeros shows one of them, and takes that for another."""
    x, w = np.zeros((1, 1, 1, 2), np.float32), np.ones((1, 1, 1, 1), np.float32)

    def mine(input, weight, bias, _stride, *rest):
        return wrong.right(input, np.abs(weight), bias, 1, *rest)

    actual = mine(x, w, None, 2, 0, 1, 1)
    explanation = explain(actual, x, w, stride=2, function=mine)
    assert {mistake.name for mistake in explanation.hypotheses[0].mistakes} == {"absolute values", "stride ignored"}
    assert "size of the result rounded up" in {hypothesis.name for hypothesis in explanation.refuted}


def test_an_unknown_mistake_is_narrowed_down_to_its_term():
    x, w, b = operands(x=(2, 4, 12, 12), w=(3, 4, 2, 2))
    damaged = w.copy()
    damaged[:, 2, 1, 0] *= -0.5
    explanation = explain(wrong.right(x, damaged, b, 1, 0, 1, 1), x, w, b)
    assert explanation.hypotheses == ()
    assert any("-1.5 times the term of channel and tap (2, 1, 0)" in clue for clue in explanation.clues)


def test_probing_shows_where_a_tap_has_gone():
    x, w, b = operands(x=(1, 2, 6, 6), w=(3, 2, 2, 2))

    def mine(input, weight, *rest):
        weight = weight.copy()
        weight[:, 0, 0, 0], weight[:, 0, 1, 1] = weight[:, 1, 0, 0].copy(), weight[:, 1, 0, 1].copy()
        return wrong.right(input, weight, *rest)

    explanation = explain(mine(x, w, b, 1, 0, 1, 1), x, w, b, function=mine)
    assert any("come out wrong" in clue for clue in explanation.clues)
    assert any("is weight[" in clue for clue in explanation.clues)


def test_of_a_right_result_there_is_nothing_to_explain():
    x, w, b = operands()
    explanation = explain(wrong.right(x, w, b, *GEOMETRY.values()), x, w, b, **GEOMETRY)
    assert explanation.hypotheses == ()
    assert explanation.right == explanation.total
    assert judge(wrong.right(x, w, b, *GEOMETRY.values()), x, w, b, **GEOMETRY).explanation is None


@pytest.mark.parametrize("first", ["windows one element late", "windows one row late"])
def test_every_mistake_can_follow_one_that_makes_the_padding_negative(first):
    """Which no caller can ask for, so that each has to be told that it may happen."""
    x, w, bias = operands(x=(2, 4, 3, 4), w=(4, 2, 2, 2))
    late = MISTAKES[first].changed(Operation.of("conv2d", x, w, bias, groups=2))
    assert min(map(min, late.padding)) < 0
    sizes = {}
    for name, mistake in MISTAKES.items():
        both = mistake.changed(late)
        if both is not None:
            sizes[name] = mistake.finished(both.exact(np.float32).reshape(both.result_shape), both).size
    assert sizes["bias missing"] == late.exact(np.float32).size
