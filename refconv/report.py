"""What `print(problem)` shows: the shapes, the size of the output worked out, and what the problem costs."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from refconv import geometry

if TYPE_CHECKING:
    from refconv.problem import ConvProblem

__all__ = ["html_report", "report"]


def report(problem: ConvProblem) -> str:
    """Return a description of a problem in about ten aligned lines.

    Parameters
    ----------
    problem : ConvProblem

    Returns
    -------
    str
        Without a newline at the end.

    Examples
    --------
    >>> from refconv.problem import ConvProblem
    >>> print(report(ConvProblem.from_shapes((1, 3, 28, 28), (16, 3, 5, 5), (16,), padding=1)))
    conv2d        g1n1ic3ih28iw28oc16kh5kw5sh1sw1ph1pw1dh1dw1b1
    input         (1, 3, 28, 28)  N, C_in, H, W
    weight        (16, 3, 5, 5)   C_out, C_in/groups, kH, kW
    bias          (16,)           C_out
    output        (1, 16, 26, 26) N, C_out, oH, oW
    oH            floor((28 + 1 + 1 - 1*(5 - 1) - 1) / 1) + 1 = 26
    oW            floor((28 + 1 + 1 - 1*(5 - 1) - 1) / 1) + 1 = 26
    arguments     stride (1, 1), padding (1, 1), dilation (1, 1), groups 1
    multiply-adds 811,200 (811.2 k), at most 75 in one element
    memory        57,536 bytes (57.5 kB) as float32
    """
    rows = _rows(problem)
    width = max(len(label) for label, _ in rows)
    return "\n".join(f"{label:<{width}} {value}" for label, value in rows)


def html_report(problem: ConvProblem) -> str:
    """Return the same as `report` as an HTML table, which notebooks show.

    Parameters
    ----------
    problem : ConvProblem

    Returns
    -------
    str

    Examples
    --------
    >>> from refconv.problem import ConvProblem
    >>> html_report(ConvProblem.from_shapes((1, 3, 28, 28), (16, 3, 5, 5)))[:60]
    '<table class="refconv-problem"><caption>conv2d</caption><tr>'
    """
    (name, descriptor), *rows = _rows(problem)
    rows.append(("descriptor", descriptor))
    cells = "".join(
        f'<tr><th style="text-align: left">{escape(label)}</th>'
        f'<td style="text-align: left; white-space: pre"><code>{escape(value)}</code></td></tr>'
        for label, value in rows
    )
    return f'<table class="refconv-problem"><caption>{escape(name)}</caption>{cells}</table>'


def _rows(problem: ConvProblem) -> list[tuple[str, str]]:
    memory = problem.memory(4)
    return [
        (problem.name, problem.descriptor),
        *_shapes(problem),
        *_equations(problem),
        ("arguments", _arguments(problem)),
        ("multiply-adds", f"{problem.macs:,}{_rounded(problem.macs, '')}, at most {problem.terms:,} in one element"),
        ("memory", f"{memory:,} bytes{_rounded(memory, 'B')} as float32"),
    ]


def _axes(problem: ConvProblem) -> str:
    return "DHW"[-problem.spatial_ndim :]


def _shapes(problem: ConvProblem) -> list[tuple[str, str]]:
    axes = _axes(problem)
    batch = ["N"] * problem.batched
    channels = ["C_in", "C_out/groups"] if problem.transposed else ["C_out", "C_in/groups"]
    rows = [
        ("input", problem.input_shape, [*batch, "C_in", *axes]),
        ("weight", problem.weight_shape, [*channels, *(f"k{axis}" for axis in axes)]),
        ("bias", problem.bias_shape, ["C_out"] * problem.bias),
        ("output", problem.output_shape, [*batch, "C_out", *(f"o{axis}" for axis in axes)]),
    ]
    width = max(len(str(shape)) for _, shape, _ in rows)
    return [(label, f"{shape!s:<{width}} {', '.join(names)}".rstrip()) for label, shape, names in rows]


def _equations(problem: ConvProblem) -> list[tuple[str, str]]:
    per_axis = zip(
        problem.input_size, problem.kernel_size, problem.stride, problem.padding, problem.dilation, strict=True
    )
    if problem.transposed:
        by_axis = zip(per_axis, problem.output_padding, strict=True)
        equations = [geometry.transposed_equation(*axis, output_padding) for axis, output_padding in by_axis]
    else:
        equations = [geometry.equation(*axis) for axis in per_axis]
    return [(f"o{axis}", equation) for axis, equation in zip(_axes(problem), equations, strict=True)]


def _arguments(problem: ConvProblem) -> str:
    symmetric = all(begin == end for begin, end in problem.padding)
    padding = tuple(begin for begin, _ in problem.padding) if symmetric else problem.padding
    arguments = [f"stride {problem.stride}", f"padding {padding}"]
    if problem.transposed:
        arguments.append(f"output_padding {problem.output_padding}")
    return ", ".join([*arguments, f"dilation {problem.dilation}", f"groups {problem.groups}"])


def _rounded(number: int, unit: str) -> str:
    """Return number with an SI prefix, in brackets, or nothing if it is short anyway."""
    if number < 1000:
        return ""
    power = min((len(str(number)) - 1) // 3, 6)
    return f" ({number / 1000**power:.1f} {' kMGTPE'[power]}{unit})"
