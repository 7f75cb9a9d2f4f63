"""Golden vectors: calls with their right results, as files, for those who cannot call Python.

    write_vectors    write a corpus; same seed, same bytes
    verify_vectors   check every byte and every number of one again

In the order in which they use each other: `stream` draws integers, `numbers` makes operands of them, `themes` says what
cases there are, `vector` computes result and bound, `files` has the two forms, and `corpus` the directory with its
index.

NumPy is enough for all of it; for bfloat16 ml_dtypes is needed too.
"""

from refconv.conformance.vectors.corpus import verify_vectors, write_vectors
from refconv.conformance.vectors.themes import THEMES
from refconv.conformance.vectors.vector import DTYPES, Vector, make_vector

__all__ = ["DTYPES", "THEMES", "Vector", "make_vector", "verify_vectors", "write_vectors"]
