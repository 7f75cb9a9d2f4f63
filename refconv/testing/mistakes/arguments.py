"""Whole calls computed with other arguments: stride, padding or dilation, and the size of the result with them.

The catalogue's mistakes of the same names give as many elements as the right call, since a test sees a wrong size at
once, and a right one hides the mistake. These here are what a result of a wrong size is compared with. They are not
planted in mutants.
"""

from refconv.geometry import output_size, transposed_output_size
from refconv.testing.mistakes.mistake import MISTAKES, Mistake

__all__ = ["WHOLE_CALLS"]

# What is computed where an argument is ignored, and then the ways of misreading one: a name, a sentence, and what
# becomes of the numbers of all axes.
_DEFAULTS = {"stride": 1, "padding": (0, 0), "dilation": 1}
_WAYS = (
    ("{} axes swapped", "The {} of the rows is used for the columns, and the other way round", lambda v, _: v[::-1]),
    ("first {} used for all axes", "Only the first number of the {} is read", lambda v, _: v[:1] * len(v)),
    ("last {} used for all axes", "Only the last number of the {} is read", lambda v, _: v[-1:] * len(v)),
    ("{} ignored", "The call is computed as if no {} had been given", lambda v, default: (default,) * len(v)),
)
# What the catalogue calls by another name.
_NAMES = {"padding ignored": "size of the result without padding"}


def _recomputed(argument, misread):
    """Make the change of an operation to one with an argument misread; None where no valid call differs."""

    def change(operation):
        # The size of a gradient is an argument by itself, and goes with nothing else.
        if operation.op.endswith(("_input", "_weight", "_bias")):
            return None
        value = getattr(operation, argument)
        other = misread(value, _DEFAULTS[argument])
        return None if other == value else _resized(operation.replace(**{argument: other}))

    return change


def _resized(operation):
    """The operation with the size that its arguments give; None if that is none."""
    axes = [operation.x.shape[2:], operation.kernel_size, operation.stride, operation.padding, operation.dilation]
    size_of = output_size
    if operation.kind == "transposed":
        axes.append(operation.output_padding)
        size_of = transposed_output_size
    size = tuple(size_of(*axis) for axis in zip(*axes, strict=True))
    if min(size) < 1:
        return None
    leading = len(operation.result_shape) - operation.spatial_ndim
    return operation.replace(
        shape=(*operation.shape[:2], *size), result_shape=(*operation.result_shape[:leading], *size)
    )


def _entry(argument, name, sentence, misread) -> Mistake:
    name = name.format(argument)
    name = _NAMES.get(name, name)
    reference = MISTAKES[name].reference if name in MISTAKES else None
    sentence = f"{sentence.format(argument)}, also for the size of the result."
    return Mistake(name, sentence, reference, change=_recomputed(argument, misread))


#: By the name of the mistake, which is that of the catalogue where it has it.
WHOLE_CALLS: dict[str, Mistake] = {
    entry.name: entry for argument in _DEFAULTS for entry in (_entry(argument, *way) for way in _WAYS)
}
