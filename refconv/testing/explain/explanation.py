"""What is known about a wrong result."""

import textwrap
from dataclasses import dataclass

from refconv.testing.mistakes import Mistake

__all__ = ["Explanation", "Hypothesis"]


@dataclass(frozen=True)
class Hypothesis:
    """One or two mistakes that may have been made, and how much of the result they account for.

    Parameters
    ----------
    mistakes : tuple of Mistake
    explained : int
        Elements that are what these mistakes give, within the claimed arithmetic.
    total : int
        Elements of the result.
    """

    mistakes: tuple[Mistake, ...]
    explained: int
    total: int

    @property
    def name(self) -> str:
        return " and ".join(mistake.name for mistake in self.mistakes)

    @property
    def complete(self) -> bool:
        """Whether it explains every element."""
        return self.explained == self.total

    def __str__(self):
        count = f"all {self.total}" if self.complete else f"{self.explained} of {self.total}"
        lines = [f"{self.name}: explains {count} elements"]
        for mistake in self.mistakes:
            lines += textwrap.wrap(
                mistake.sentence, 104, initial_indent="    ", subsequent_indent="    ", break_on_hyphens=False
            )
            if mistake.reference:
                lines.append(f"    (seen in {mistake.reference})")
        return "\n".join(lines)


@dataclass(frozen=True)
class Explanation:
    """What a wrong result looks like.

    Parameters
    ----------
    hypotheses : tuple of Hypothesis
        The most likely first; none if no known mistake explains more than a right convolution does.
    right : int
        Elements that are right, within the claimed arithmetic and as far as is likely.
    total : int
        Elements of the result.
    clues : tuple of str
        What is known besides: the arithmetic, taps or channels that the errors go with.
    refuted : tuple of Hypothesis
        What would give this result, but none of the wrong results of other calls of the same function.
    """

    hypotheses: tuple[Hypothesis, ...]
    right: int
    total: int
    clues: tuple[str, ...] = ()
    refuted: tuple[Hypothesis, ...] = ()

    @property
    def name(self) -> str | None:
        """The first hypothesis in a few words, or None."""
        return self.hypotheses[0].name if self.hypotheses else None

    @property
    def equally_good(self) -> tuple[Hypothesis, ...]:
        """The hypotheses that nothing in these data tells from the first."""
        if not self.hypotheses:
            return ()
        first = self.hypotheses[0]
        return tuple(
            other
            for other in self.hypotheses
            if (other.explained, len(other.mistakes)) == (first.explained, len(first.mistakes))
        )

    def __repr__(self):
        return f"<Explanation: {self.name or 'nothing known'}>"

    def __str__(self):
        if not self.hypotheses:
            lines = ["no known mistake gives this result" + " and those of other calls" * bool(self.refuted)]
        else:
            lines = [str(self.hypotheses[0])]
            others = [other.name for other in self.equally_good[1:4]]
            if others:
                lines.append(f"    On these data the same as: {'; '.join(others)}.")
        if self.refuted:
            names = "; ".join(hypothesis.name for hypothesis in self.refuted[:3])
            lines.append(f"    other calls contradict: {names}")
        return "\n".join([*lines, *self.clues])
