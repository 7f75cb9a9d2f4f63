"""Which build of the fast kernel this process uses: the best that was built and that the processor has.

The environment variable ``REFCONV_ISA`` (baseline, v3 or v4) forces one. The bits of the result do not depend on it.
"""

import importlib
import importlib.util
import os

from refconv.kernels import cpu

#: From the most to the least demanding; v3 and v4 are the x86-64 levels: AVX2 with FMA, and AVX-512.
LEVELS = ("v4", "v3", "baseline")


def built():
    """The levels that were built, the most demanding first."""
    return [level for level in LEVELS if importlib.util.find_spec(f"refconv.kernels.blocked_{level}")]


def supported():
    """The built levels that this processor can run."""
    return [level for level in built() if level == "baseline" or cpu.has(level)]


def _choose():
    """The level to use, and why.

    Raises
    ------
    ImportError
        If ``REFCONV_ISA`` asks for a level that was not built, or that the processor does not have.
    """
    asked = os.environ.get("REFCONV_ISA")
    if not asked:
        return supported()[0], "the best of those supported"
    if asked not in supported():
        raise ImportError(
            f"REFCONV_ISA={asked!r}: expected one of {', '.join(supported())}"
            f" (built here: {', '.join(built())}; the others are not supported by this processor)"
        )
    return asked, "forced by REFCONV_ISA"


#: The chosen level, the reason, and the compiled modules.
level, reason = _choose()
blocked = importlib.import_module(f"refconv.kernels.blocked_{level}")
blocked_integer = importlib.import_module(f"refconv.kernels.blocked_integer_{level}")
weight_rows = importlib.import_module(f"refconv.kernels.weight_rows_{level}")
screening = importlib.import_module(f"refconv.kernels.screening_{level}")
