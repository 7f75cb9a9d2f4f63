"""Every mistake of the catalogue, what it is and how it shows. Writes docs/mistakes.md.

    python tools/mistakes_table.py

Names and sentences are those of `refconv.testing.mistakes`. How a mistake shows is what `refconv.testing` finds when it
is made: in the first of the calls below whose result it spoils.
"""

import importlib
import pkgutil
import sys
from pathlib import Path

import numpy as np

from refconv.testing import mistakes
from refconv.testing.mutants import MUTANTS
from refconv.testing.operation import Operation
from refconv.testing.pattern import pattern
from refconv.testing.verdict import judge_operation

PAGE = Path(__file__).parent.parent / "docs" / "mistakes.md"


def calls() -> dict[str, Operation]:
    """The calls, by a letter; the first are the most ordinary ones."""
    rng = np.random.default_rng(0)

    def numbers(*shape, dtype=np.float32):
        return rng.standard_normal(shape).astype(dtype)

    image, filters, bias = numbers(2, 4, 8, 9), numbers(6, 4, 3, 3), numbers(6)
    spoilt = image.copy()
    spoilt[0, 0, 2, 3], spoilt[1, 1, 4, 5] = np.nan, np.inf
    layer = {"stride": (2, 1), "padding": (1, 2), "dilation": (1, 2)}
    wide = numbers(1, 512, 4, 4), numbers(4, 512, 1, 1)
    images, gradients = numbers(3, 4, 8, 8), numbers(3, 6, 6, 6)
    tiny = np.float32(2.0**-140)
    return {
        "A": Operation.of("conv2d", image, filters, bias, padding=1),
        "B": Operation.of("conv2d", image, numbers(6, 2, 3, 2), bias, groups=2, **layer),
        "C": Operation.of("conv2d", numbers(1, 3, 9, 9), numbers(2, 3, 2, 4), padding="same", dilation=2),
        "D": Operation.of("conv2d", numbers(1, 19, 6, 21), numbers(19, 19, 1, 1), numbers(19), stride=2),
        "E": Operation.of("conv2d", numbers(1, 2, 3, 3), numbers(2, 2, 2, 2), numbers(2), padding=4),
        "F": Operation.of("conv2d", np.ascontiguousarray(image.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)[..., ::2],
                          filters[:, ::-1].transpose(0, 1, 3, 2), bias[::-1]),
        "G": Operation.of("conv2d", np.broadcast_to(image[:1], image.shape), filters, bias, padding=((0, 1), (2, 0))),
        "H": Operation.of("conv2d", spoilt, filters, bias, padding=1),
        "I": Operation.of("conv2d", tiny * image, filters, padding=1),
        "J": Operation.of("conv2d", *wide),
        "K": Operation.of("conv2d", *(numbers(*a.shape, dtype=np.float64) for a in wide)),
        "L": Operation.of("conv_transpose2d", image, numbers(4, 3, 3, 3), numbers(3), stride=2, output_padding=1),
        "M": Operation.of("conv2d_weight", images, (6, 4, 3, 3), grad_output=gradients),
        "N": Operation.of("conv2d", image * (np.arange(8) > 4)[:, None].astype(np.float32), filters),
    }  # fmt: skip


def described(operation: Operation) -> str:
    """A call in a few words."""
    x_name, w_name = operation.names
    parts = [f"{x_name} {operation.x.shape}, {w_name} {operation.w.shape}, {operation.dtype.name}"]
    if operation.problem is not None:
        parts.append(f"`{operation.problem.descriptor}`")
    return f"{operation.op} of {'; '.join(parts)}"


PECULIAR = {
    "C": "padded to the same size",
    "E": "windows in the padding altogether",
    "F": "all operands are views",
    "G": "a stride of zero, and padding that differs from side to side",
    "H": "a NaN and an infinity in the input",
    "I": "subnormal numbers",
    "N": "the first rows of the input are zero",
}


def how_it_shows(mutant, operations: dict[str, Operation]) -> str:
    """Where the first result that it spoils is wrong."""
    for letter, operation in operations.items():
        if not mutant.differs(operation):
            continue
        verdict = judge_operation(mutant.compute(operation), operation)
        if verdict.right:
            continue
        if verdict.fault:
            return f"{letter}: {verdict.fault}"
        if verdict.grade == "SUSPICIOUS":
            return f"{letter}: nothing is wrong beyond doubt, but errors are larger than they can be in practice"
        not_numbers = np.isnan(verdict.actual) & ~np.isnan(verdict.exact)
        kind = "NaN in" if not_numbers.any() else "wrong in"
        return f"{letter}: {kind} {verdict.wrong.sum()} of {verdict.wrong.size}; {pattern(verdict.wrong, operation)}"
    raise ValueError(f"none of the calls shows the mistake {mutant.name!r}")


def areas():
    """Yield (title, names) for every module of the catalogue."""
    for found in pkgutil.iter_modules(mistakes.__path__):
        module = importlib.import_module(f"{mistakes.__name__}.{found.name}")
        names = [name for name, mistake in mistakes.MISTAKES.items() if _home(mistake) == module.__name__]
        if names:
            yield module.__doc__.splitlines()[0].rstrip("."), names


def _home(mistake):
    function = mistake.change or mistake.finish
    return function.__module__ if function else f"{mistakes.__name__}.precision"


@np.errstate(all="ignore")
def page() -> str:
    """The whole page."""
    operations = calls()
    count, reported = len(MUTANTS), sum(mutant.reference is not None for mutant in MUTANTS.values())
    lines = [
        "# What goes wrong in convolutions",
        "",
        f"{count} mistakes, {reported} of them with a report of somebody who made it: the catalogue of",
        "`refconv.testing.mistakes`. Each is a wrong implementation that a test has to reject,",
        "`refconv.testing.mutants`, and an answer of `refconv.testing.explain`.",
        "",
        "Made by `python tools/mistakes_table.py` from the catalogue; do not edit. How a mistake shows is what",
        "`refconv.testing.judge` finds in the first of these calls that it spoils:",
        "",
    ]
    for letter, operation in operations.items():
        peculiar = f"; {PECULIAR[letter]}" if letter in PECULIAR else ""
        lines.append(f"- {letter}: {described(operation)}{peculiar}")
    for title, names in areas():
        lines += ["", f"## {title}", "", "| mistake | what it is | how it shows | seen in |", "|---|---|---|---|"]
        for name in names:
            mutant = MUTANTS[name]
            row = (name, mutant.sentence, how_it_shows(mutant, operations), mutant.reference or "")
            lines.append("| " + " | ".join(cell.replace("|", "\\|").replace("*", "\\*") for cell in row) + " |")
    return "\n".join(lines) + "\n"


def main():
    """Write the page."""
    PAGE.write_text(page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
