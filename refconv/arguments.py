"""From what a caller passes for stride, padding, dilation, groups and output_padding to plain ints and tuples.

Only *types* are judged here, and a wrong one is a TypeError that names the function, the argument, what was expected
and what came. Whether the numbers make sense together (lengths, signs, ranges) is for `refconv.checks`, which knows in
which order to complain.

The results consist of exact `int`, `tuple` and `str` objects. That is what lets `refconv.problem` use them as keys of a
cache: True and 1.0 are equal to 1 and hash alike, so they must be gone before the cache is asked.
"""

import operator
import reprlib
from collections.abc import Sequence

import numpy as np

__all__ = ["Padding", "int_tuple", "integer", "padding_argument", "shape_tuple"]

Padding = tuple[int, ...] | tuple[tuple[int, int], ...] | str
"""One int per axis, one (begin, end) pair per axis, or a string, right or wrong."""


def integer(function: str, argument: str, value: object) -> int:
    """Return an argument that must be one integer, such as groups.

    Parameters
    ----------
    function, argument : str
        Names for the message.
    value : int
        Anything with ``__index__``, without dimensions and not a boolean.

    Returns
    -------
    int

    Raises
    ------
    TypeError
        ``conv2d(): argument 'groups' must be an int, not ...``

    Examples
    --------
    >>> integer("conv2d", "groups", 2)
    2
    """
    result = _index(value)
    if result is None:
        raise _type_error(function, argument, "an int", f"not {_found(value)}")
    return result


def int_tuple(function: str, argument: str, value: object, n: int) -> tuple[int, ...]:
    """Return an argument that is one integer for all axes or a sequence with one per axis.

    Parameters
    ----------
    function, argument : str
        Names for the message.
    value : int or sequence of int
    n : int
        Number of spatial axes.

    Returns
    -------
    tuple of int
        An int n times; a sequence with the length it has, right or wrong.

    Raises
    ------
    TypeError
        ``conv2d(): argument 'stride' must be an int or a tuple of 2 ints, ...``

    Examples
    --------
    >>> int_tuple("conv2d", "stride", 2, 2), int_tuple("conv2d", "stride", [2, 1], 2)
    ((2, 2), (2, 1))
    """
    if type(value) is int:
        return (value,) * n
    if _is_plain(value):
        return value
    try:
        return _one_or_more(argument, value, n)
    except _Wrong as wrong:
        raise _type_error(function, argument, f"an int or {_tuple_of_ints(n)}", str(wrong)) from None


def padding_argument(function: str, value: object, n: int, *, strings: bool) -> Padding:
    """Return the padding argument: ints per axis, pairs per axis, or a string.

    Parameters
    ----------
    function : str
        Name for the message.
    value : int, sequence of int, sequence of pairs of int, or str
        A pair is (begin, end), so that two axes are ``((top, bottom), (left, right))``.
    n : int
        Number of spatial axes.
    strings : bool
        Whether the function takes ``'same'`` and ``'valid'``. That a string is one of these is not checked here.

    Returns
    -------
    tuple of int, tuple of (int, int), or str

    Raises
    ------
    TypeError
        ``conv2d(): argument 'padding' must be an int, a tuple of 2 ints, a tuple of 2 (begin, end) pairs, ...``

    Examples
    --------
    >>> padding_argument("conv2d", 1, 2, strings=True)
    (1, 1)
    >>> padding_argument("conv2d", [[0, 1], [2, 3]], 2, strings=True)
    ((0, 1), (2, 3))
    """
    if type(value) is int:
        return (value,) * n
    if _is_plain(value):
        return value
    if strings and isinstance(value, str):
        return str(value)
    try:
        if _is_sequence(value) and value and _is_sequence(value[0]):
            return tuple([_pair(position, item) for position, item in enumerate(value)])
        return _one_or_more("padding", value, n)
    except _Wrong as wrong:
        choices = ["an int", _tuple_of_ints(n), f"a tuple of {n} (begin, end) pair{'s' * (n > 1)}"]
        if strings:
            choices += ["'same'", "'valid'"]
        expected = f"{', '.join(choices[:-1])} or {choices[-1]}"
        raise _type_error(function, "padding", expected, str(wrong)) from None


def shape_tuple(function: str, argument: str, value: object) -> tuple[int, ...]:
    """Return a shape as a tuple of ints.

    Parameters
    ----------
    function, argument : str
        Names for the message.
    value : sequence of int

    Returns
    -------
    tuple of int

    Raises
    ------
    TypeError
        ``conv2d(): argument 'input_shape' must be a tuple of ints, ...``

    Examples
    --------
    >>> shape_tuple("conv2d", "input_shape", [1, 3, 8, 8])
    (1, 3, 8, 8)
    """
    if _is_plain(value):
        return value
    try:
        return _elements(argument, value)
    except _Wrong as wrong:
        raise _type_error(function, argument, "a tuple of ints", str(wrong)) from None


class _Wrong(Exception):
    """What came instead of what was expected, as the end of a message: "not float (1.5)"."""


def _type_error(function: str, argument: str, expected: str, found: str) -> TypeError:
    return TypeError(f"{function}(): argument '{argument}' must be {expected}, {found}")


def _is_plain(value: object) -> bool:
    """Tell whether value is a tuple of exact ints already, as in nearly every call."""
    if type(value) is not tuple:
        return False
    for item in value:  # noqa: SIM110 - all() with a generator takes three times as long
        if type(item) is not int:
            return False
    return True


def _index(value: object) -> int | None:
    """Return value as an exact int, or None if it is not one integer."""
    if type(value) is int:
        return value
    # True is an int to Python, but stride=True is a mistake.
    if isinstance(value, (bool, np.bool_)):
        return None
    # Boolean tensors and tensors of one element in any number of dimensions have an __index__ as well.
    if not isinstance(value, np.integer) and (
        getattr(value, "ndim", 0) != 0 or str(getattr(value, "dtype", "")).endswith("bool")
    ):
        return None
    try:
        return operator.index(value)
    except TypeError:
        return None


def _is_sequence(value: object) -> bool:
    if isinstance(value, (tuple, list)):  # quicker than asking Sequence
        return True
    # The elements of bytes are ints, but not anybody's strides.
    return isinstance(value, Sequence) and not isinstance(value, (str, bytes, bytearray, memoryview))


def _one_or_more(argument: str, value: object, n: int) -> tuple[int, ...]:
    if _is_sequence(value):
        return _elements(argument, value)
    single = _index(value)
    if single is None:
        raise _Wrong(f"not {_found(value)}")
    return (single,) * n


def _elements(argument: str, value: object) -> tuple[int, ...]:
    if not _is_sequence(value):
        raise _Wrong(f"not {_found(value)}")
    elements = tuple([_index(item) for item in value])
    if None in elements:
        position = elements.index(None)
        raise _Wrong(f"but {argument}[{position}] is {_found(value[position])}")
    return elements


def _pair(position: int, item: object) -> tuple[int, int]:
    if _is_plain(item) and len(item) == 2:
        return item
    if not _is_sequence(item) or len(item) != 2:
        raise _Wrong(f"but padding[{position}] is {_found(item)}")
    return _elements(f"padding[{position}]", item)


def _tuple_of_ints(n: int) -> str:
    return f"a tuple of {n} int{'s' * (n > 1)}"


# Cuts long values: the message should fit on a line even if a whole array was passed for the stride.
_SHORT = reprlib.Repr()
_SHORT.maxother = _SHORT.maxstring = _SHORT.maxlong = 60


def _found(value: object) -> str:
    """Say what came: its type and, shortened, its value."""
    if value is None:
        return "None"
    kind = type(value)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    text = " ".join(_SHORT.repr(value).split())  # arrays print on several lines
    return f"{name} ({text})"
