"""A convolution as one line of text, such as g1n2ic3ih28iw28oc16kh5kw5sh1sw1ph1pw1dh1dw1.

After benchdnn, the test driver of oneDNN: a line that fits in a test's name, a log or a bug report, and can be pasted
back. The grammar:

    problem = (key number)...                in any order, each key at most once
    number  = 1 to 19 decimal digits
    ph      = number | number "-" number     begin and end, if they differ

    key         is                           if left out
    n           batch size N                 no batch axis (not the same as n1)
    g           groups                       1
    ic, oc      C_in, C_out                  must be there
    ih  iw      input size                   must be there; the axes used here are the axes of the problem
    kh  kw      kernel size                  must be there
    sh  sw      stride                       1
    ph  pw      padding                      0
    dh  dw      dilation, 1 is dense         1
    oph opw     output_padding               0
    t           1 if transposed              0
    b           1 if there is a bias         0

Two axes are h and w, as above; one axis is w alone; three are d, h and w, with the keys id kd sd pd dd opd. Note that
benchdnn counts dilation from 0 and torch, like this package, from 1.

Printed, a problem has all keys of its axes, in the order of the example; n only with a batch axis, t, opd, oph and opw
only if transposed, b only with a bias.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from refconv.checks import Call
from refconv.errors import ConvError

if TYPE_CHECKING:
    from refconv.problem import ConvProblem

__all__ = ["describe", "parse"]

_EXAMPLE = "g1n2ic3ih28iw28oc16kh5kw5sh1sw1ph1pw1dh1dw1"
_FIELD = re.compile(r"([a-z]+)([0-9]{1,19})(?:-([0-9]{1,19}))?(?![0-9])")
_AXES = {1: "w", 2: "hw", 3: "dhw"}


def describe(problem: ConvProblem) -> str:
    """Return the line of text for a problem.

    Examples
    --------
    >>> from refconv.problem import ConvProblem
    >>> describe(ConvProblem.from_shapes((2, 3, 28), (16, 3, 5), padding=((1, 2),), spatial_ndim=1))
    'g1n2ic3iw28oc16kw5sw1pw1-2dw1'
    """
    axes = _AXES[problem.spatial_ndim]

    def per_axis(prefix: str, values: tuple) -> str:
        return "".join(f"{prefix}{axis}{value}" for axis, value in zip(axes, values, strict=True))

    padding = tuple(str(begin) if begin == end else f"{begin}-{end}" for begin, end in problem.padding)
    parts = [
        "t1" * problem.transposed,
        f"g{problem.groups}",
        f"n{problem.N}" * problem.batched,
        f"ic{problem.C_in}",
        per_axis("i", problem.input_size),
        f"oc{problem.C_out}",
        per_axis("k", problem.kernel_size),
        per_axis("s", problem.stride),
        per_axis("p", padding),
        per_axis("d", problem.dilation),
        per_axis("op", problem.output_padding) if problem.transposed else "",
        "b1" * problem.bias,
    ]
    return "".join(parts)


def parse(text: str) -> Call:
    """Return the call that a line of text stands for; whether its numbers make a convolution is not checked.

    Parameters
    ----------
    text : str

    Returns
    -------
    Call

    Raises
    ------
    ConvError
        ``cannot read 'g1x' as a convolution: expected ..., but ...``

    Examples
    --------
    >>> parse("n1ic3ih8iw8oc4kh3kw3").weight_shape
    (4, 3, 3, 3)
    """
    fields = _Fields(text)
    axes = _AXES[fields.count_axes()]
    groups = fields.take("g", 1)
    C_in, C_out = fields.take("ic"), fields.take("oc")
    if groups < 1 or C_in % groups or C_out % groups:
        raise fields.error("groups of at least 1 that divide both channels", f"has g{groups}, ic{C_in} and oc{C_out}")
    batch = (fields.take("n"),) if fields.has("n") else ()
    transposed = bool(fields.take_flag("t"))
    first, second = (C_in, C_out) if transposed else (C_out, C_in)
    call = Call(
        spatial_ndim=len(axes),
        transposed=transposed,
        input_shape=(*batch, C_in, *(fields.take(f"i{axis}") for axis in axes)),
        weight_shape=(first, second // groups, *(fields.take(f"k{axis}") for axis in axes)),
        bias_shape=(C_out,) if fields.take_flag("b") else None,
        stride=tuple(fields.take(f"s{axis}", 1) for axis in axes),
        padding=tuple(fields.take_pair(f"p{axis}") for axis in axes),
        output_padding=tuple(fields.take(f"op{axis}", 0) for axis in axes) if transposed else (0,) * len(axes),
        dilation=tuple(fields.take(f"d{axis}", 1) for axis in axes),
        groups=groups,
    )
    fields.check_all_taken()
    return call


class _Fields:
    """The keys of a text with their numbers, taken out one by one, so that in the end none may be left."""

    def __init__(self, text: str) -> None:
        if not isinstance(text, str):
            raise TypeError(f"a convolution is read from a str, not {type(text).__name__}")
        self.text = text
        self.fields: dict[str, tuple[int, int | None]] = {}
        position = 0
        while position < len(text):
            match = _FIELD.match(text, position)
            if match is None:
                raise self.error(f"keys and numbers such as {_EXAMPLE}", f"found {_shortened(text[position:])!r}")
            key, number, end = match.groups()
            if key in self.fields:
                raise self.error("each key once", f"found {key!r} again")
            self.fields[key] = (int(number), None if end is None else int(end))
            position = match.end()

    def error(self, expected: str, found: str) -> ConvError:
        return ConvError(f"cannot read {_shortened(self.text)!r} as a convolution: expected {expected}, but {found}")

    def has(self, key: str) -> bool:
        return key in self.fields

    def count_axes(self) -> int:
        """Return 1, 2 or 3 by the input sizes that are there."""
        if self.has("id"):
            return 3
        return 2 if self.has("ih") else 1

    def take(self, key: str, default: int | None = None) -> int:
        if not self.has(key):
            if default is None:
                raise self.error(f"the key {key!r}, as in {_EXAMPLE}", "it is missing")
            return default
        number, end = self.fields.pop(key)
        if end is not None:
            raise self.error(f"one number for {key!r}", f"found {number}-{end}")
        return number

    def take_flag(self, key: str) -> int:
        number = self.take(key, 0)
        if number > 1:
            raise self.error(f"{key}0 or {key}1", f"found {key}{number}")
        return number

    def take_pair(self, key: str) -> tuple[int, int]:
        begin, end = self.fields.pop(key, (0, None))
        return (begin, begin) if end is None else (begin, end)

    def check_all_taken(self) -> None:
        if self.fields:
            left = ", ".join(map(repr, self.fields))
            raise self.error("only keys for the axes that the input sizes name", f"found {left} as well")


def _shortened(text: str) -> str:
    return text if len(text) <= 200 else f"{text[:200]}..."
