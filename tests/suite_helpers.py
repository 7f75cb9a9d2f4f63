"""Short ways to run the conformance suite on a function, in this process."""

from pathlib import Path

import numpy as np
import wrong_convolutions

from refconv.conformance.clauses import CLAUSES
from refconv.conformance.profile import Profile
from refconv.conformance.targets.function import FunctionTarget
from refconv.testing.calls import ConvCall, ConvCase, Operands

WRONG_FILE = Path(wrong_convolutions.__file__)
CLAUSE = {clause.key: clause for clause in CLAUSES}


def in_file(name):
    """The name of a target in `wrong_convolutions`."""
    return f"{WRONG_FILE}:{name}"


def target_of(function, dtypes=("float32",)):
    """A function as a target, by default for one dtype only, to save time."""
    return FunctionTarget("mine", {"conv2d": function}, Profile(dtypes=dtypes), {"conv2d": ["conv2d = None"]})


def only(*keys):
    """Some of the clauses."""
    return [CLAUSE[key] for key in keys]


def case_of(x, w, b=None, **arguments):
    """A case with the numbers written out."""
    x, w = np.array(x, np.float32), np.array(w, np.float32)
    b = None if b is None else np.array(b, np.float32)
    return ConvCase(ConvCall(x.shape, w.shape, None if b is None else b.shape, **arguments), Operands(x, w, b), "")
