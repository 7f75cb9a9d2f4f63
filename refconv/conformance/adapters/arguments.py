"""Arguments as most libraries want them: one number per axis, for any number of axes."""

__all__ = ["groups_by_shapes", "no_bias", "no_groups", "per_axis", "split_pairs"]


def per_axis(value, n: int) -> tuple[int, ...]:
    """Return an int, or a tuple of one, as a tuple of n; a ValueError for tuples of another length."""
    values = (value,) if isinstance(value, int) else tuple(value)
    if len(values) not in (1, n):
        raise ValueError(f"expected {n} values, one for each axis, but got {value}")
    return values if len(values) == n else values * n


def split_pairs(pairs) -> tuple[list[int], list[int]]:
    """Return ((begin, end), ...) per axis as all begins and all ends."""
    return [begin for begin, _ in pairs], [end for _, end in pairs]


def no_bias(bias):
    """Refuse a bias on behalf of a library whose convolutions have none."""
    if bias is not None:
        raise ValueError("the library's convolution has no bias")


def no_groups(groups: int):
    """Refuse groups on behalf of a library whose operation has none."""
    if groups != 1:
        raise ValueError(f"the library's operation has no groups, but got groups={groups}")


def groups_by_shapes(groups: int, channels: int, channels_per_group: int):
    """Refuse what cannot be said to a library that finds the number of groups from the shapes."""
    if groups * channels_per_group != channels:
        raise ValueError(f"groups={groups} does not go with {channels} channels and {channels_per_group} per group")
