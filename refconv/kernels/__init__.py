"""The compiled loops. Start with ``direct.pyx``: it is the definition.

The fast kernel counts how its elements were settled; see `counters`.
"""

from threading import Lock

__all__ = ["add_counts", "counters", "reset_counters"]

_totals = {"elements": 0, "sliced": 0, "rung2": 0, "rung3": 0}
_lock = Lock()


def counters():
    """Return how many elements the fast kernel has computed since the last reset, in all threads.

    Returns
    -------
    dict
        ``elements``, and how many of them were ``sliced`` (summed in exact slices), took ``rung2`` (a pair of float64
        words each) and ``rung3`` (the exact accumulator). Elements that ``direct.pyx`` computed do not count.
    """
    with _lock:
        return dict(_totals)


def reset_counters():
    """Set all counters to zero."""
    add_counts(*(-count for count in counters().values()))


def add_counts(elements, sliced, rung2, rung3):
    """Add what one run of the fast kernel counted."""
    with _lock:
        _totals["elements"] += elements
        _totals["sliced"] += sliced
        _totals["rung2"] += rung2
        _totals["rung3"] += rung3
