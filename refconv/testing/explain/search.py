"""Tries what every known mistake would have given, alone and in pairs."""

import itertools
from dataclasses import replace
from functools import cached_property

import numpy as np

from refconv.arrays import as_operand
from refconv.testing import fingerprint
from refconv.testing.bounds import Magnitudes, allowed_error
from refconv.testing.claim import Claim
from refconv.testing.complex_parts import real_and_imaginary
from refconv.testing.explain.clues import clues_from_terms, probe
from refconv.testing.explain.experiments import answers
from refconv.testing.explain.explanation import Explanation, Hypothesis
from refconv.testing.formats import format_of
from refconv.testing.mistakes import MISTAKES, WHOLE_CALLS
from refconv.testing.operation import Operation
from refconv.testing.statistics import applies, usual_error

__all__ = ["explain", "explain_verdict"]

# A right result is this many usual errors off at most: see refconv.testing.statistics.
_DEVIATIONS = 12.0
# So many multiply-adds are spent on pairs of mistakes, where a call costs as much as some by itself.
_WORK_ON_PAIRS, _WORK_PER_CALL = 2e9, 2e5
# Of a hypothesis that is not complete, the share of the wrong elements that it must explain to be worth a word.
_WORTH_SAYING = 0.25


def explain(
    actual,
    input=None,
    weight=None,
    bias=None,
    *,
    stride=1,
    padding=0,
    dilation=1,
    groups=1,
    op="conv2d",
    output_padding=0,
    grad_output=None,
    claim=None,
    function=None,
):
    """Say which bug a wrong result looks like.

    Every mistake in the catalogue, `refconv.testing.mistakes`, is made on the same operands, alone and in pairs, and
    what comes out is compared with the result, element by element. If its shape is wrong, so are whole calls with
    another stride, padding or dilation: axes swapped, the first or the last number for all of them, or the default.

    Parameters
    ----------
    actual, input, weight, bias, stride, padding, dilation, groups, op, output_padding, grad_output, claim
        As for `refconv.testing.judge`.
    function : callable, optional
        What gave the result, for calls that show more. Its arguments are those of the function that `op` names, in
        torch's order: ``(input, weight, bias, stride, padding, dilation, groups)`` for a forward convolution. If
        several mistakes explain the result equally well, other calls tell them apart. A mistake that explains none of
        the wrong results of other calls is not named. If none is left, a forward convolution is called on images of a
        single one, to see what becomes of each.

    Returns
    -------
    Explanation

    Raises
    ------
    ConvError, TypeError, ValueError
        As for `refconv.testing.judge`.

    Examples
    --------
    >>> import numpy as np
    >>> from refconv.testing import explain
    >>> x = np.array([[[[1, 2, 3]]]], np.float32)
    >>> w = np.array([[[[1, 10]]]], np.float32)
    >>> print(explain(np.float32([[[[12, 23]]]]), x, w))
    kernel flipped: explains all 2 elements
        The kernel is turned by 180 degrees: a mathematical convolution instead of a cross-correlation.
        (seen in FluxML/Flux.jl, hidden by onnx/onnx#1178)
        On these data the same as: kernel flipped along its last axis.
    """
    operation = Operation.of(
        op,
        input,
        weight,
        bias,
        stride=stride,
        padding=padding,
        dilation=dilation,
        groups=groups,
        output_padding=output_padding,
        grad_output=grad_output,
    )
    actual = as_operand(actual, "explain", "actual")
    claim = claim or (Claim() if operation.is_integer else Claim.of(operation.dtype))
    explanation = explained(actual, operation, claim, function)
    if function is not None and (not explanation.hypotheses or not explanation.hypotheses[0].complete):
        found = probe(function, operation, (stride, padding, dilation, groups))
        explanation = replace(explanation, clues=(*explanation.clues, *found))
    return explanation


def explain_verdict(verdict, function=None) -> Explanation:
    """As `explain`, of a result that has been judged; without images of a single one."""
    return explained(verdict.actual, verdict.operation, verdict.claim, function)


def explained(actual, operation: Operation, claim: Claim, function=None) -> Explanation:
    """As `explain_verdict`."""
    explanation = _Search(actual, operation, claim).explanation()
    if function is None or explanation.name is None or not explanation.hypotheses[0].complete:
        return explanation
    search = _Search(actual, operation, claim)
    others = [_Search(result, called, claim) for called, result in answers(function, operation)]
    return _kept(_tested(explanation, others), search, others)


def _tested(explanation: Explanation, others: list["_Search"]) -> Explanation:
    """Drop those of the equally good hypotheses that explain less of other results than the best of them."""
    candidates = explanation.equally_good
    shares, most = np.zeros(len(candidates)), len(others)
    for search in others:
        shares += [search.share(hypothesis.mistakes) for hypothesis in candidates]
    best = shares == shares.max()
    left, refuted = ([h for h, is_best in zip(candidates, best, strict=True) if is_best == kept] for kept in (1, 0))
    clues = []
    if refuted:
        clues.append(f"other calls tell it from: {'; '.join(hypothesis.name for hypothesis in refuted[:3])}")
    if shares.max() < most:
        clues.append(f"other calls are not explained by it: {shares.max() / most:.0%} of {most} results")
    rest = explanation.hypotheses[len(candidates) :]
    return replace(explanation, hypotheses=(*left, *rest), clues=(*clues, *explanation.clues))


def _kept(explanation: Explanation, search: "_Search", others: list["_Search"]) -> Explanation:
    """Drop the hypotheses that other calls refute, if they refute the first: wrong results, of which it explains none.

    Right results do not refute it: there are bugs that show in some calls only. What is looked for instead is what
    explains other results, and something of this one.
    """
    wrong = [other for other in others if other.share(()) < 1]

    def holds(hypothesis):
        return any(other.is_worth_saying(hypothesis.mistakes) for other in wrong)

    if not wrong or any(map(holds, explanation.equally_good)):
        return explanation
    elsewhere = wrong[0].explanation().hypotheses
    found = [search.hypothesis(other.mistakes) for other in elsewhere if other.complete]
    found = [hypothesis for hypothesis in found if search.is_worth_saying(hypothesis.mistakes)]
    found += [h for h in explanation.hypotheses if holds(h) and h.name not in {other.name for other in found}]
    found.sort(key=lambda hypothesis: (-hypothesis.explained, len(hypothesis.mistakes)))
    clues = []
    if elsewhere and elsewhere[0].complete and not found:
        clues.append(f"a larger call, {wrong[0].operation.problem.descriptor}, looks like: {elsewhere[0].name}")
    return replace(explanation, hypotheses=tuple(found), clues=tuple(clues), refuted=explanation.equally_good)


class _Search:
    """One result, and what might have given it."""

    def __init__(self, actual: np.ndarray, operation: Operation, claim: Claim):
        self.actual, self.operation, self.claim = actual, operation, claim
        self.wide_dtype = np.complex128 if actual.dtype.kind == "c" else np.float64
        self.wide = actual.astype(self.wide_dtype)
        self.found: list[Hypothesis] = []

    def explanation(self) -> Explanation:
        total = self.actual.size
        right = self._explained(())
        if right == total:
            return Explanation((), right, total)
        usual = [mistake for mistake in MISTAKES.values() if mistake.accumulate is None]
        for mistake in usual:
            self._try((mistake,), right)
        # The size goes with these, so that one that keeps the right size is in the catalogue already.
        named = {hypothesis.name for hypothesis in self.found}
        whole_calls = [mistake for name, mistake in WHOLE_CALLS.items() if name not in named]
        for mistake in whole_calls:
            self._try((mistake,), right)
        if self.actual.shape != self.operation.result_shape:
            usual += whole_calls
        arithmetic = self._arithmetic() if self._best() < total else None
        if arithmetic is None and self._best() < total:
            self._try_pairs(usual, right)
        self.found.sort(key=lambda hypothesis: (-hypothesis.explained, len(hypothesis.mistakes)))
        worth = [h for h in self.found if h.explained - right >= _WORTH_SAYING * (total - right)]
        clues = ()
        if arithmetic is not None:
            worth.insert(0, Hypothesis((arithmetic,), total, total))
        elif (not worth or not worth[0].complete) and self.actual.shape == self.operation.result_shape:
            clues = clues_from_terms(self.operation, self.wide, self._mask(()))
        return Explanation(tuple(worth), right, total, tuple(clues))

    def _best(self) -> int:
        return max((hypothesis.explained for hypothesis in self.found), default=0)

    def _try(self, mistakes, right: int):
        explained = self._explained(mistakes, more_than=right)
        if explained > right:
            self.found.append(Hypothesis(mistakes, explained, self.actual.size))

    def _try_pairs(self, mistakes, right: int):
        """All pairs, those of mistakes that explain something by themselves first."""
        alone = {hypothesis.mistakes[0].name: hypothesis.explained for hypothesis in self.found}
        concerned = [mistake for mistake in mistakes if mistake.changed(self.operation) is not None]
        ranked = sorted(concerned, key=lambda mistake: -alone.get(mistake.name, 0))
        pairs = sorted(itertools.combinations(range(len(ranked)), 2), key=sum)
        macs = int(np.prod(self.operation.shape)) * int(np.prod(self.operation.w.shape[1:]))
        for i, j in pairs[: int(_WORK_ON_PAIRS / (macs + _WORK_PER_CALL))]:
            if self._best() == self.actual.size:
                return
            self._try((ranked[i], ranked[j]), max(right, self._best()))

    def _arithmetic(self):
        """The mistake in the precision that the fingerprint shows, if any."""
        if not self.operation.is_float or self.actual.shape != self.operation.result_shape:
            return None
        return MISTAKES.get(fingerprint.of(self.wide, self.operation, self.claim).mistake or "")

    # ---- One hypothesis ----

    def share(self, mistakes) -> float:
        """How much of the result they explain; where they make no difference, a right result does.

        A mistake that gave a result of the right size may have given this one a size of its own.
        """
        forms = {mistakes, tuple(WHOLE_CALLS.get(mistake.name, mistake) for mistake in mistakes)}
        return max(map(self._share, forms))

    def _share(self, mistakes) -> float:
        changed = self.operation
        for mistake in mistakes:
            changed = changed and mistake.changed(changed)
        return self._explained(mistakes if changed is not None else ()) / max(self.actual.size, 1)

    def is_worth_saying(self, mistakes) -> bool:
        """Whether they explain enough of what is wrong."""
        right = self.share(())
        return self.share(mistakes) - right >= _WORTH_SAYING * (1 - right)

    def hypothesis(self, mistakes) -> Hypothesis:
        """These mistakes as a hypothesis about the result."""
        return Hypothesis(mistakes, round(self.share(mistakes) * self.actual.size), self.actual.size)

    def _explained(self, mistakes, more_than=-1) -> int:
        mask = self._mask(mistakes, more_than)
        return 0 if mask is None else int(mask.sum())

    def _mask(self, mistakes, more_than=-1) -> np.ndarray | None:
        """Which elements are what the mistakes give; None if these do not even concern the operation.

        If no more than so many can be, those that are for certain.
        """
        operation = self.operation
        if operation.is_complex != (self.actual.dtype.kind == "c"):
            return None
        for mistake in mistakes:
            operation = mistake.changed(operation)
            if operation is None:
                return None
        if operation.result_shape != self.actual.shape:
            return None
        overflow = "raise" if operation.is_float else "wrap"
        result = operation.exact(self.actual.dtype if self._same_kind() else None, overflow=overflow)
        result = result.reshape(operation.result_shape)
        for mistake in mistakes:
            result = mistake.finished(result, operation)
        expected = result.astype(self.wide_dtype)
        same = (self.wide == expected) | (np.isnan(self.wide) & np.isnan(expected))
        if same.all() or operation.is_integer:
            return same
        if operation.is_complex:
            near = [
                self._near(part, actual, exact)
                for part, actual, exact in zip(
                    real_and_imaginary(operation),
                    (self.wide.real, self.wide.imag),
                    (expected.real, expected.imag),
                    strict=True,
                )
            ]
            return same | (near[0] & near[1])
        with np.errstate(all="ignore"):
            possible = np.abs(self.wide - expected) <= self._coarse(expected)
        if np.count_nonzero(same | possible) <= more_than:
            return same
        return same | self._near(operation, self.wide, expected)

    def _near(self, operation, actual, expected) -> np.ndarray:
        """Whether elements are off by no more than the claimed arithmetic may cost, and is likely to."""
        with np.errstate(all="ignore"):
            return np.abs(actual - expected) <= self._tolerance(operation, expected)

    def _coarse(self, expected: np.ndarray) -> np.ndarray:
        """A tolerance that costs nothing, and is large enough for sums of much larger terms than those of the call."""
        with np.errstate(all="ignore"):
            return self._largest_tolerance + 2.0**-6 * np.abs(expected)

    @cached_property
    def _largest_tolerance(self) -> float:
        return 64.0 * float(self._tolerance(self.operation, np.zeros(self.operation.result_shape)).max(initial=0.0))

    def _same_kind(self) -> bool:
        return (self.actual.dtype.kind in "iu") == (self.operation.dtype.kind in "iu")

    def _tolerance(self, operation: Operation, expected: np.ndarray) -> np.ndarray:
        """What the claimed arithmetic may cost, and is likely to."""
        magnitudes = Magnitudes.for_claim(operation, self.claim)
        out = format_of(self.actual.real.dtype)
        size = np.abs(np.nan_to_num(expected, nan=0.0, posinf=0.0, neginf=0.0)).reshape(operation.shape)
        try:
            allowed = allowed_error(magnitudes, self.claim, size, out)
        except ValueError:  # a claim of Winograd's algorithm, and a changed stride
            allowed = allowed_error(magnitudes, Claim(self.claim.accumulate), size, out)
        if applies(self.claim):
            likely = _DEVIATIONS * usual_error(magnitudes, size, self.claim, out)
            allowed = np.minimum(allowed, likely) + out.unit_roundoff * size
        return np.broadcast_to(allowed, operation.shape).reshape(operation.result_shape)
