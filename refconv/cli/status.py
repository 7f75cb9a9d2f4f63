"""Exit statuses of the command, and the error that ends it with one."""

__all__ = [
    "CONFORMS",
    "DOES_NOT_CONFORM",
    "INTERRUPTED",
    "NOTHING_CHECKED",
    "OUTPUT_CLOSED",
    "USAGE_ERROR",
    "UsageError",
]

CONFORMS, DOES_NOT_CONFORM, USAGE_ERROR = 0, 1, 2
#: The command asked for nothing that could be checked: no success, and nothing that speaks against the target.
NOTHING_CHECKED = USAGE_ERROR
#: What a shell gives a program that was ended by Ctrl-C.
INTERRUPTED = 130
#: What a shell gives a program whose output nobody reads any more, as in ``refconv check torch | head``.
OUTPUT_CLOSED = 141


class UsageError(Exception):
    """The command cannot be carried out as it was given; the text says what to do about it."""
