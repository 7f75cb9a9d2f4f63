"""Arguments as most libraries want them: one number per axis, for any number of axes."""

__all__ = ["per_axis", "split_pairs"]


def per_axis(value, n: int) -> tuple[int, ...]:
    """Return an int, or a tuple of one, as a tuple of n; others as they are."""
    values = (value,) if isinstance(value, int) else tuple(value)
    return values * n if len(values) == 1 else values


def split_pairs(pairs) -> tuple[list[int], list[int]]:
    """Return ((begin, end), ...) per axis as all begins and all ends."""
    return [begin for begin, _ in pairs], [end for _, end in pairs]
