"""A failing case as a script that can be pasted and run, with numbers that can be read."""

import sys

import numpy as np

from refconv.conformance.judges import Mismatch
from refconv.conformance.profile import Profile
from refconv.conformance.simplify import MOST_PRINTED
from refconv.conformance.targets.base import Target
from refconv.testing.calls import SIGNATURES, ConvCase, Operands

__all__ = ["script"]

_CONVENTIONS = ("layout", "weight_layout", "padding", "flip")


def script(target: Target, case: ConvCase, mismatch: Mismatch) -> str:
    """Return Python code that raises for the same reason as the mismatch."""
    op = case.call.op
    layouts = {name: layout for name, layout in case.layouts.items() if getattr(case.operands, name) is not None}
    lines = ["import numpy as np", "import refconv", *target.definition(op), *_convention_lines(target.profile, op)]
    lines += _operand_lines(case)
    if layouts:
        lines += ["from refconv.testing.layouts import LAYOUTS"]
        lines += [f"{name} = LAYOUTS[{layout!r}]({name})" for name, layout in layouts.items()]
    keywords = case.call.keywords
    if keywords:
        lines.append(f"{', '.join(keywords)} = {', '.join(map(repr, keywords.values()))}")
    lines += mismatch.code
    if any("refconv.grad." in line for line in lines):
        lines.insert(0, "import refconv.grad")
    imports = [line for line in lines if line.startswith(("import ", "from "))]
    return "\n".join([*dict.fromkeys(imports), "", *(line for line in lines if line not in imports)])


def _convention_lines(profile: Profile, op: str) -> list[str]:
    """Return code that gives a function with other conventions torch's."""
    other = {name: getattr(profile, name) for name in _CONVENTIONS if getattr(profile, name) != getattr(Profile, name)}
    if not other:
        return []
    arguments = ", ".join(f"{name}={value!r}" for name, value in other.items())
    return [
        "from refconv.conformance.profile import Profile",
        "from refconv.conformance.targets.conventions import with_torch_conventions",
        f"{op} = with_torch_conventions({op}, {op!r}, Profile({arguments}))",
    ]


def _operand_lines(case: ConvCase) -> list[str]:
    # Operands of a wrong call have no recipe, but are all ones.
    if case.operands.size > MOST_PRINTED and case.fault is None:
        names = ", ".join(Operands._fields)
        return [
            "from refconv.testing.calls import ConvCall",
            "from refconv.testing.recipes import build_operands",
            f"call = {case.call!r}",
            f"{names} = {case.recipe}",
        ]
    lines = []
    for name, array in case.operands._asdict().items():
        if array is not None:
            lines += _literal(name, array)
        elif name in SIGNATURES[case.call.op]:
            lines += [f"{name} = None"]
    return lines


def _literal(name: str, array: np.ndarray) -> list[str]:
    """Return an assignment of an array, in one line if it is all zeros or ones."""
    dtype, imports = f"dtype=np.{array.dtype.name}", []
    if not hasattr(np, array.dtype.name):
        dtype, imports = f"dtype=ml_dtypes.{array.dtype.name}", ["import ml_dtypes"]
    for value, make in ((0, "np.zeros"), (1, "np.ones")):
        if array.tobytes() == np.full_like(array, value).tobytes():  # -0 is another number
            return [*imports, f"{name} = {make}({array.shape}, {dtype})"]
    start = f"{name} = np.array("
    # NumPy prints its own formats with as many digits as they need, and does not know the shortest of others.
    shown = array if array.dtype.kind in "fiuc" else array.astype(np.float32)
    with np.printoptions(nanstr="np.nan", infstr="np.inf"):
        text = np.array2string(
            shown, separator=", ", threshold=sys.maxsize, max_line_width=100, floatmode="unique", prefix=start
        )
    return [*imports, f"{start}{text}, {dtype})"]
