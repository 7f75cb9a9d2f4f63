"""Clauses about memory and time: views, operands that stay as they are, repeated calls, threads."""

from dataclasses import replace

import numpy as np
from hypothesis import strategies as st

from refconv.conformance import judges
from refconv.conformance.clauses.clause import calls_of, cases_from, cases_of, clause
from refconv.conformance.clauses.everything import any_calls
from refconv.testing.calls import ConvCase
from refconv.testing.layouts import LAYOUTS, NEEDS_NEGATIVE_STRIDES
from refconv.testing.strategies import conv_cases


@st.composite
def _views(draw, profile, op, dtype) -> ConvCase:
    calls = calls_of(profile, op, "kernel", "channels", "batch", "bias", "padding")
    case = draw(conv_cases(dtype, ["small_integers"], calls))
    negative = profile.supports("negative_strides")
    names = [name for name in LAYOUTS if negative or name not in NEEDS_NEGATIVE_STRIDES]
    arrays = case.operands.given
    drawn = {name: draw(st.sampled_from((None, *names)), label=f"layout of {name}") for name in arrays}
    layouts = {name: layout for name, layout in drawn.items() if layout is not None}
    repeated = {
        name: np.repeat(array[:1], len(array), axis=0)
        for name, array in arrays.items()
        if layouts.get(name) == "expanded"
    }
    return replace(case, operands=case.operands._replace(**repeated), layouts=layouts)


@clause("Operands may be views of any layout", _views, needs=("views",), exact=True)
def views(target, case, _):
    """The result depends on the operands' numbers, not on how they lie in memory: slices with and without steps,
    Fortran order, channels last, repeated entries with a stride of zero (such operands are read-only), misaligned ones,
    and, where the array library has them, negative strides."""
    judges.expect_equal(target, case)


@clause("Operands are left alone", cases_of(recipes=frozenset({"normal"})), weight=0.5)
def untouched(target, case, _):
    """The call does not write to its operands."""
    judges.expect_untouched(target, case)


def _identities(profile, op, dtype):
    """Calls whose result is equal to an operand."""

    def with_ones(case: ConvCase) -> ConvCase:
        ones = {"by weight": "grad_output"}.get(case.call.kind, "weight")
        given = case.operands.given
        changed = {ones: np.ones_like(given[ones])} if ones in given else {}
        return replace(case, operands=case.operands._replace(**changed))

    return cases_of("batch", recipes=frozenset({"small_integers"}))(profile, op, dtype).map(with_ones)


@clause("Results have memory of their own", _identities, weight=0.5)
def fresh_results(target, case, _):
    """The result shares no memory with an operand, not even if it is equal to one."""
    judges.expect_fresh_results(target, case)


@clause("The same call gives the same bits", cases_from(any_calls, {"normal"}))
def repeatable(target, case, _):
    """A call with the same operands gives the same bits, whatever was computed in between, and a result does not change
    after it has been returned."""
    judges.expect_repeatable(target, case)


@clause("Nothing is remembered from call to call", cases_of("kernel", "channels", "bias", "stride"), exact=True)
def no_cache(target, case, _):
    """If the numbers in an operand change from one call to the next, though the array is the same object in the same
    memory, the result is that of the new numbers."""
    judges.expect_no_cache(target, case)


@clause(
    "Threads do not disturb each other",
    cases_of("kernel", "channels", "groups", "bias"),
    needs=("threads",),
    exact=True,
    weight=0.5,
)
def threads(target, case, _):
    """Calls that several threads make at the same time, with different numbers, give the same results as one by one."""
    judges.expect_threads(target, case)
