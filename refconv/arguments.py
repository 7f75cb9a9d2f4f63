"""From what a caller passes for stride, padding, dilation, groups and output_padding to plain ints and tuples.

Only *types* are judged here, and a wrong one is a TypeError that names the function, the argument, what was expected and what
came. Whether the numbers make sense together (lengths, signs, ranges) is the business of `refconv.checks`, which knows the
order in which to complain.

The results are made of exact `int` and `tuple` objects. That is what lets `refconv.problem` use them as keys of a cache: `True`
and `1.0` are equal to `1` and hash alike, so they must be gone before the cache is asked.
"""

import operator
import reprlib
from collections.abc import Sequence

__all__ = ["int_tuple", "integer", "padding_argument", "shape_tuple"]

# A tuple of ints per axis, a tuple of (begin, end) pairs per axis, or 'same' / 'valid' (or a string not yet known to be wrong).
Padding = tuple[int, ...] | tuple[tuple[int, int], ...] | str


def integer(function: str, argument: str, value: object) -> int:
    """Return an argument that must be one integer, such as groups.

    Parameters
    ----------
    function, argument : str
        Names for the message.
    value : int
        Anything with ``__index__`` that has no dimensions and is not a boolean.

    Raises
    ------
    TypeError
        ``conv2d(): argument 'groups' must be an int, not ...``

    Examples
    --------
    >>> integer("conv2d", "groups", 2)
    2
    """
    if type(value) is int:
        return value
    result = _index(value)
    if result is None:
        raise TypeError(f"{function}(): argument '{argument}' must be an int, not {_found(value)}")
    return result


def int_tuple(function: str, argument: str, value: object, n: int) -> tuple[int, ...]:
    """Return an argument that is one integer for all axes or a sequence with one per axis.

    Parameters
    ----------
    function, argument : str
        Names for the message.
    value : int or sequence of int
        An int is repeated; a sequence is returned as a tuple of whatever length it has.
    n : int
        Number of spatial axes.

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
    return _ints(function, argument, value, n, expected=f"an int or {_tuple_of_ints(n)}")


def padding_argument(function: str, value: object, n: int, *, strings: bool) -> Padding:
    """Return the padding argument: ints per axis, pairs per axis, or a string.

    Parameters
    ----------
    function : str
        Name for the message.
    value : int, sequence of int, sequence of pairs of int, or str
        Pairs are ``(begin, end)`` per axis, such as ``((top, bottom), (left, right))``.
    n : int
        Number of spatial axes.
    strings : bool
        Whether the function takes ``'same'`` and ``'valid'``. Which strings are right is not judged here.

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
    choices = ["an int", _tuple_of_ints(n), f"a tuple of {n} (begin, end) pair{'s' * (n > 1)}"]
    choices += ["'same'", "'valid'"] * strings
    expected = f"{', '.join(choices[:-1])} or {choices[-1]}"
    if _is_sequence(value) and any(_is_sequence(item) for item in value):
        return tuple(_pair(function, position, item, expected) for position, item in enumerate(value))
    return _ints(function, "padding", value, n, expected=expected)


def shape_tuple(function: str, argument: str, value: object) -> tuple[int, ...]:
    """Return a shape as a tuple of exact ints.

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
    if not _is_sequence(value):
        raise TypeError(f"{function}(): argument '{argument}' must be a tuple of ints, not {_found(value)}")
    return _elements(function, argument, value, expected="a tuple of ints")


def _is_plain(value: object) -> bool:
    """Tell whether value is a tuple of exact ints: the fast way out for nearly every call."""
    if type(value) is not tuple:
        return False
    for item in value:  # noqa: SIM110 - all() with a generator takes three times as long
        if type(item) is not int:
            return False
    return True


def _index(value: object) -> int | None:
    """Return value as an exact int, or None if it is not one integer."""
    # Booleans of Python, NumPy and torch all have an __index__ or compare equal to an int, and stride=True is a mistake.
    if isinstance(value, bool) or str(getattr(value, "dtype", "")).endswith("bool"):
        return None
    # torch.tensor([1]) would pass as an index.
    if getattr(value, "ndim", 0) != 0:
        return None
    try:
        return operator.index(value)
    except TypeError:
        return None


def _is_sequence(value: object) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, (str, bytes, bytearray, memoryview))


def _ints(function: str, argument: str, value: object, n: int, expected: str) -> tuple[int, ...]:
    single = _index(value)
    if single is not None:
        return (single,) * n
    if not _is_sequence(value):
        raise TypeError(f"{function}(): argument '{argument}' must be {expected}, not {_found(value)}")
    return _elements(function, argument, value, expected)


def _elements(function: str, argument: str, value: Sequence, expected: str) -> tuple[int, ...]:
    result = []
    for position, item in enumerate(value):
        element = _index(item)
        if element is None:
            found = f"{argument}[{position}] is {_found(item)}"
            raise TypeError(f"{function}(): argument '{argument}' must be {expected}, but {found}")
        result.append(element)
    return tuple(result)


def _pair(function: str, position: int, item: object, expected: str) -> tuple[int, int]:
    if not _is_sequence(item) or len(item) != 2:
        found = f"padding[{position}] is {_found(item)}"
        raise TypeError(f"{function}(): argument 'padding' must be {expected}, but {found}")
    begin, end = (_index(side) for side in item)
    if begin is None or end is None:
        side = 0 if begin is None else 1
        found = f"padding[{position}][{side}] is {_found(item[side])}"
        raise TypeError(f"{function}(): argument 'padding' must be {expected}, but {found}")
    return begin, end


def _tuple_of_ints(n: int) -> str:
    return f"a tuple of {n} int{'s' * (n > 1)}"


def _found(value: object) -> str:
    """Describe what came: the type, and the value if it is short."""
    kind = type(value)
    module = "" if kind.__module__ == "builtins" else f"{kind.__module__}."
    if value is None:
        return "None"
    return f"{module}{kind.__qualname__} ({_SHORT.repr(value)})"


_SHORT = reprlib.Repr()
_SHORT.maxother = _SHORT.maxstring = _SHORT.maxlong = 60
