"""How many cases a run draws: the names that ``--profile`` takes."""

from collections.abc import Iterable
from typing import NamedTuple

from refconv.conformance.profile import Profile
from refconv.conformance.rows import Row

__all__ = ["EFFORTS", "Effort", "cases_for", "cases_per_row"]

# What is used most is looked at most; and with fewer cases than this a row says nothing.
_MOST_USED = ("conv2d", "float32")
_FEWEST = 2


class Effort(NamedTuple):
    """How many cases there are for a clause, and how they are shared among its rows.

    Parameters
    ----------
    most, least : int
        For a row.
    shared : int
        For all rows of a clause together, as far as `least` permits: a mistake in a clause is seldom one of a single
        function and dtype, so that fewer cases of each find it too.
    """

    most: int
    least: int
    shared: int


#: A convolution that is as fast as torch's takes half a minute at most, some minutes, and a quarter of an hour or more.
EFFORTS = {
    "quick": Effort(40, 4, 160),
    "standard": Effort(200, 20, 1600),
    "thorough": Effort(2000, 200, 16000),
}


def cases_for(effort: str, profile: Profile, rows: Iterable[Row]) -> dict[str, int]:
    """Return how many cases each of some rows gets: `cases_per_row`, by the weight of its clause.

    conv2d in float32 gets twice as many where there are many rows, though no more than where there are few.

    Parameters
    ----------
    effort : str
        A key of `EFFORTS`.
    profile : Profile
        Of the whole target.
    rows : iterable of Row

    Returns
    -------
    dict of str to int
        By `Row.key`.
    """
    each, most = cases_per_row(effort, profile), EFFORTS[effort].most
    return {row.key: _of_row(row, each, most) for row in rows}


def _of_row(row: Row, each: int, most: int) -> int:
    base = min(2 * each, most) if (row.op, row.dtype) == _MOST_USED else each
    return max(_FEWEST, round(row.clause.weight * base))


def cases_per_row(effort: str, profile: Profile) -> int:
    """Return how many cases are drawn for every clause, function and dtype.

    Parameters
    ----------
    effort : str
        A key of `EFFORTS`.
    profile : Profile
        Of the whole target: what is selected of it makes no difference to the cases of a row.

    Examples
    --------
    >>> cases_per_row("quick", Profile(ops=("conv2d",), dtypes=("float32", "float64")))
    40
    >>> cases_per_row("quick", Profile(ops=("conv1d", "conv2d", "conv3d"), dtypes=("float16", "float32", "float64")))
    17
    """
    most, least, shared = EFFORTS[effort]
    return max(least, min(most, shared // (len(profile.ops) * len(profile.dtypes))))
