"""A failing case as a script that can be pasted and run, with numbers that can be read."""

import sys

import numpy as np

from refconv.conformance.judges import Mismatch
from refconv.conformance.simplify import MOST_PRINTED
from refconv.conformance.targets import FunctionTarget
from refconv.testing.calls import ConvCase, Operands

__all__ = ["script"]


def script(target: FunctionTarget, case: ConvCase, mismatch: Mismatch) -> str:
    """Return Python code that raises for the same reason as the mismatch."""
    layouts = {name: layout for name, layout in case.layouts.items() if getattr(case.operands, name) is not None}
    lines = ["import numpy as np", "import refconv", *target.definition, *_operand_lines(case)]
    if layouts:
        lines += ["from refconv.testing.layouts import LAYOUTS"]
        lines += [f"{name} = LAYOUTS[{layout!r}]({name})" for name, layout in layouts.items()]
    lines += [f"stride, padding, dilation, groups = {', '.join(map(repr, case.call.arguments))}", *mismatch.code]
    imports = [line for line in lines if line.startswith(("import ", "from "))]
    return "\n".join([*imports, "", *(line for line in lines if line not in imports)])


def _operand_lines(case: ConvCase) -> list[str]:
    # Operands of a wrong call have no recipe, but are all ones.
    if case.operands.size > MOST_PRINTED and case.fault is None:
        return [
            "from refconv.testing.calls import ConvCall",
            "from refconv.testing.recipes import build_operands",
            f"call = {case.call!r}",
            f"input, weight, bias = {case.recipe}",
        ]
    lines = []
    for name, array in zip(Operands._fields, case.operands, strict=True):
        lines += [f"{name} = None"] if array is None else _literal(name, array)
    return lines


def _literal(name: str, array: np.ndarray) -> list[str]:
    """Return an assignment of an array, in one line if it is all zeros or ones."""
    dtype = f"dtype=np.{array.dtype.name}"
    for value, make in ((0, "np.zeros"), (1, "np.ones")):
        if (array == value).all():
            return [f"{name} = {make}({array.shape}, {dtype})"]
    start = f"{name} = np.array("
    with np.printoptions(nanstr="np.nan", infstr="np.inf"):
        text = np.array2string(
            array, separator=", ", threshold=sys.maxsize, max_line_width=100, floatmode="unique", prefix=start
        )
    return [f"{start}{text}, {dtype})"]
