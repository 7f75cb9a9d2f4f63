"""What this installation of refconv consists of and what it would use."""

import os
import platform
import sysconfig
from pathlib import Path

import numpy as np

from refconv import threads
from refconv.errors import ConvError
from refconv.kernels import isa

__all__ = ["show_config"]

_MEANING = {"v4": "v4 (AVX-512)", "v3": "v3 (AVX2 and FMA)", "baseline": "baseline"}


def show_config():
    """Print versions, the instruction sets that were built and the one in use, and the number of threads.

    "modulo 2^52" says whether sums that cancel are found in two passes instead of four (see "How it is fast").

    Nothing in it changes a result: the bits are the same with every instruction set and any number of threads.

    Notes
    -----
    Two environment variables choose, both for the sake of tests and measurements:

    ``REFCONV_ISA``
        An instruction set: ``baseline``, ``v3`` or ``v4``. It is read when refconv is imported, which fails if that set
        was not built or the processor does not have it.
    ``REFCONV_NUM_THREADS``
        How many threads a call may use if it does not say so itself (``threads=``). It is read at each call.

    Examples
    --------
    >>> import refconv
    >>> refconv.show_config()  # doctest: +ELLIPSIS
    refconv        0.1.0, ...
    Python         3...
    NumPy          ...
    C compiler     ...
    built          ...baseline
    supported      ...baseline
    in use         ...
    modulo 2^52    ...
    threads        ...
    """
    rows = {
        "refconv": _refconv(),
        "Python": f"{platform.python_version()}, {platform.system()} {platform.machine()}",
        "NumPy": np.__version__,
        "C compiler": _compiler(),
        "built": _sets(isa.built()),
        "supported": _sets(isa.supported()),
        "in use": f"{isa.level}, {isa.reason}",
        "modulo 2^52": "yes (AVX-512 IFMA)" if isa.blocked.has_modular_sums() else "no",
        "threads": _threads(),
    }
    for label, value in rows.items():
        print(f"{label:<14} {value}")


def _refconv():
    from refconv import __version__

    return f"{__version__}, {Path(__file__).parent}"


def _compiler():
    """The one that built Python, which is also what builds extensions unless CC says otherwise."""
    command = sysconfig.get_config_var("CC")
    return f"{command}, {platform.python_compiler()}" if command else platform.python_compiler()


def _sets(levels):
    return ", ".join(_MEANING[level] for level in levels)


def _threads():
    try:
        count = threads.thread_count(None, "show_config")
    except ConvError as error:
        return str(error)
    if os.environ.get("REFCONV_NUM_THREADS"):
        return f"{count}, forced by REFCONV_NUM_THREADS"
    return f"{count}, the CPUs that this process may run on"
