"""A convolution from a line of plain words, and what becomes of its sizes, in sentences: ``refconv explain``.

The words are read here and nowhere judged: shapes go to `ConvProblem.from_shapes`, whose checks and messages are those
of a call, and sizes come from `refconv.geometry`.
"""

from __future__ import annotations

import re
import textwrap

from refconv.errors import ConvError
from refconv.geometry import extent
from refconv.problem import ConvProblem

__all__ = ["explanation", "problem_from_words"]

_EXAMPLE = "28x28 kernel 5 stride 2 padding 1"
_SIZE = r"\d{1,19}(?:-\d{1,19})?(?:x\d{1,19}(?:-\d{1,19})?)*"
_WORD = re.compile(rf"\s*(?:({_SIZE})(?![\w-])|([a-z_]+))")
_SYNONYMS = {
    "channels": "channels",
    "dilated": "dilation",
    "filter": "kernel",
    "filters": "kernel",
    "group": "groups",
    "image": "input",
    "pad": "padding",
    "strides": "stride",
    "weight": "kernel",
}
_WITH_SIZE = ("input", "kernel", "stride", "padding", "dilation", "groups", "channels", "batch", "output_padding")
_FLAGS = ("bias", "transposed")


def problem_from_words(text: str) -> ConvProblem:
    """Return the convolution that a line of words or a descriptor stands for.

    Parameters
    ----------
    text : str
        Such as ``28x28 kernel 5 stride 2 padding 1``. The sizes of the input come first, spatial ones alone, or with
        the channels and the batch size before them (``1x3x28x28``). Then, in any order, each a word and its sizes:
        ``kernel`` (``5``, ``5x3``, or the whole weight's shape ``16x3x5x5``), ``stride``, ``padding`` (also ``same``,
        ``valid`` or ``1-2x0-1`` for different ends), ``dilation``, ``groups``, ``channels 3 to 16``, ``batch``, and
        the words ``bias``, ``transposed`` and ``output_padding``. Words like *with* do not count. A descriptor
        (`refconv.descriptor`) is taken as well.

    Returns
    -------
    ConvProblem

    Raises
    ------
    ConvError
        ``cannot read 'kernel 5' as a convolution: ...``; or as `ConvProblem.from_shapes`, for a convolution that is
        none: ``Given groups=1, weight of size [16, 3, 5, 5], expected input[1, 1, 28, 28] to have 3 channels, ...``.

    Examples
    --------
    >>> problem_from_words("3x28x28 kernel 16x3x5x5 stride 2, padding 2").output_shape
    (1, 16, 14, 14)
    >>> problem_from_words("28x28 kernel 3").output_size
    (26, 26)
    """
    if re.fullmatch(r"\s*([a-z]+\d+(-\d+)?)+\s*", text):
        return ConvProblem.parse(text.strip())
    words = _Words(text)
    kernel = words.sizes("kernel")
    if kernel is None:
        raise words.error("a kernel size, as in " + _EXAMPLE, "there is none")
    image = words.sizes("input")
    if image is None:
        raise words.error("the size of an input, as in " + _EXAMPLE, "there is none")
    ndim = {1: min(len(image), 2) if len(image) < 5 else 3, 2: 2, 3: 3, 4: 2, 5: 3}.get(len(kernel))
    if ndim is None or len(image) - ndim not in (0, 1, 2):
        raise words.error("sizes of one to three axes, with or without channels and batch", f"found {text!r}")
    return words.problem(image, kernel, ndim)


class _Words:
    """The words of a text with the sizes behind them."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.values: dict[str, list] = {}
        # (5, 3) is 5x3, key=value is key value, and commas separate.
        line = re.sub(r"\(([\d, ]+)\)", lambda m: "x".join(re.findall(r"\d+", m[1])), text.lower())
        line = re.sub(r"[=,:;]|->|\N{RIGHTWARDS ARROW}", " ", line.replace("\N{MULTIPLICATION SIGN}", "x"))
        line = re.sub(r"(?<=\d)\s+(?:x|by)\s+(?=\d)", "x", line)
        word, position = "input", 0
        while line[position:].strip():
            match = _WORD.match(line, position)
            if match is None:
                raise self.error(f"words and sizes as in {_EXAMPLE}", f"found {line[position:].strip()!r}")
            position = match.end()
            size, name = match.groups()
            if size is not None:
                self.values.setdefault(word, []).append(size)
                continue
            name = _SYNONYMS.get(name, name)
            if name in _WITH_SIZE:
                word = name
            elif name in _FLAGS:
                self.values[name] = [name]
            elif name in ("same", "valid"):
                self.values.setdefault("padding", []).append(name)
            elif name not in ("a", "an", "and", "of", "on", "over", "to", "with", "in", "out", "no", "size"):
                raise self.error(f"one of the words {', '.join(_WITH_SIZE + _FLAGS)}", f"found {name!r}")

    def error(self, expected: str, found: str) -> ConvError:
        shown = self.text if len(self.text) <= 200 else f"{self.text[:200]}..."
        return ConvError(f"cannot read {shown!r} as a convolution: expected {expected}, but {found}")

    def one(self, word: str) -> str | None:
        """Return the size behind a word that stands for one."""
        found = self.values.get(word)
        if found is not None and len(found) != 1:
            raise self.error(f"one size for {word!r}", f"found {' and '.join(found)}")
        return None if found is None else found[0]

    def sizes(self, word: str) -> tuple[int, ...] | None:
        text = self.one(word)
        if text is None:
            return None
        if not re.fullmatch(r"\d+(x\d+)*", text):
            raise self.error(f"sizes for {word!r}", f"found {text!r}")
        return tuple(map(int, text.split("x")))

    def per_axis(self, word: str, default: int):
        """Return an argument as a call would have it: one number, or one for each axis."""
        sizes = self.sizes(word)
        if sizes is None:
            return default
        return sizes[0] if len(sizes) == 1 else sizes

    def padding(self, ndim: int):
        text = self.one("padding")
        if text is None or text in ("same", "valid") or "-" not in text:
            return text if text in ("same", "valid") else self.per_axis("padding", 0)
        pairs = [tuple(map(int, part.split("-"))) for part in text.split("x")]
        pairs = [pair if len(pair) == 2 else pair * 2 for pair in pairs]
        return tuple(pairs * ndim if len(pairs) == 1 else pairs)

    def channels(self, shape: tuple[int, ...], ndim: int) -> tuple[int, int]:
        """Return C_in and C_out: as said, else the input's and one."""
        said = [int(number) for number in self.values.get("channels", []) if number.isdecimal()]
        if len(said) > 2 or len(said) != len(self.values.get("channels", [])):
            raise self.error("one or two numbers of channels", f"found {' and '.join(self.values['channels'])}")
        C_in = shape[-ndim - 1] if len(shape) > ndim else said[0] if said else 1
        return C_in, said[-1] if said else 1

    def problem(self, image: tuple[int, ...], kernel: tuple[int, ...], ndim: int) -> ConvProblem:
        C_in, C_out = self.channels(image, ndim)
        if len(image) == ndim:
            image = (C_in, *image)
        batch = self.sizes("batch")
        if len(image) == ndim + 1:
            image = (*(batch or (1,)), *image)
        groups = self.per_axis("groups", 1)
        weight = kernel
        if len(kernel) <= ndim:
            kernel = kernel * ndim if len(kernel) == 1 else kernel
            transposed = "transposed" in self.values
            first, second = (C_in, C_out) if transposed else (C_out, C_in)
            weight = (first, second // groups if groups else second, *kernel)
        shapes = [image, weight, None]
        if "bias" in self.values:
            shapes[2] = (weight[1] * groups if "transposed" in self.values else weight[0],)
        if "transposed" in self.values:
            return ConvProblem.transposed_from_shapes(
                *shapes,
                stride=self.per_axis("stride", 1),
                padding=self.padding(ndim),
                output_padding=self.per_axis("output_padding", 0),
                groups=groups,
                dilation=self.per_axis("dilation", 1),
                spatial_ndim=ndim,
            )
        return ConvProblem.from_shapes(
            *shapes,
            stride=self.per_axis("stride", 1),
            padding=self.padding(ndim),
            dilation=self.per_axis("dilation", 1),
            groups=groups,
            spatial_ndim=ndim,
        )


def explanation(problem: ConvProblem) -> str:
    """Say in sentences how the output's size comes about, axis by axis.

    Parameters
    ----------
    problem : ConvProblem

    Returns
    -------
    str
        A paragraph for each axis.

    Examples
    --------
    >>> print(explanation(ConvProblem.from_shapes((1, 28), (1, 1, 5), stride=2, padding=1, spatial_ndim=1)))
    Width: 28 elements and 1 + 1 of padding are 30. The kernel's 5 taps span 5 of them. The
    window starts at 0, 2, ..., 24: 13 positions. 1 element at the end is left over.
    """
    names = ("Depth", "Height", "Width")[-problem.spatial_ndim :]
    sentence = _transposed_sentence if problem.transposed else _sentence
    return "\n".join(_wrapped(f"{name}: {sentence(problem, axis)}") for axis, name in enumerate(names))


def _sentence(problem: ConvProblem, axis: int) -> str:
    size, kernel = problem.input_size[axis], problem.kernel_size[axis]
    stride, dilation, (begin, end) = problem.stride[axis], problem.dilation[axis], problem.padding[axis]
    count = problem.output_size[axis]
    padded, span, last = size + begin + end, extent(kernel, dilation), (count - 1) * stride
    padding = f" and {begin} + {end} of padding are {padded}" if begin or end else ""
    gaps = f", {dilation} apart," if dilation > 1 and kernel > 1 else ""
    starts = [0, stride, "...", last] if count > 4 else list(range(0, last + 1, stride))
    left = padded - span - last
    rest = f" {left} {_elements(left)} at the end {'is' if left == 1 else 'are'} left over." if left else ""
    return (
        f"{size} {_elements(size)}{padding}. The kernel's {kernel} {'tap' if kernel == 1 else 'taps'}{gaps} "
        f"{'spans' if kernel == 1 else 'span'} {span} of them. The window starts at {', '.join(map(str, starts))}: "
        f"{count} {'position' if count == 1 else 'positions'}.{rest}"
    )


def _transposed_sentence(problem: ConvProblem, axis: int) -> str:
    size, kernel = problem.input_size[axis], problem.kernel_size[axis]
    stride, dilation, (begin, end) = problem.stride[axis], problem.dilation[axis], problem.padding[axis]
    span, last = extent(kernel, dilation), (size - 1) * stride
    cropped = f" {begin} + {end} of them are cropped." if begin or end else ""
    added = problem.output_padding[axis]
    more = f" output_padding adds {added} at the end." if added else ""
    return (
        f"{size} {_elements(size)} put {size} kernels down, {stride} apart; "
        f"the last starts at {last} and spans {span}: "
        f"{last + span} elements in all.{cropped}{more} {problem.output_size[axis]} remain."
    )


def _elements(count: int) -> str:
    return "element" if count == 1 else "elements"


def _wrapped(text: str) -> str:
    return textwrap.fill(text, 90)
