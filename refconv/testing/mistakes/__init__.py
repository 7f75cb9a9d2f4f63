"""What goes wrong in convolutions: a catalogue of mistakes as data, most of them with a bug that somebody reported.

Each is a function of an `Operation`, so that the same entry serves twice: as a wrong implementation that a suite has to
reject (`refconv.testing.mutants`), and as a hypothesis about a wrong result (`refconv.testing.explain`).
"""

# The modules enter their mistakes when they are imported. The first that explains a result equally well is named first.
from refconv.testing.mistakes import (  # noqa: F401
    biases,
    channels,
    extents,
    geometry,
    kernels,
    memory,
    padding,
    precision,
    values,
)
from refconv.testing.mistakes.arguments import WHOLE_CALLS
from refconv.testing.mistakes.mistake import MISTAKES, Mistake

__all__ = ["MISTAKES", "WHOLE_CALLS", "Mistake"]
