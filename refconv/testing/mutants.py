"""Wrong implementations: one for every mistake in the catalogue. A test of convolutions has to reject all of them.

>>> import numpy as np
>>> from refconv.testing import judge, mutants
>>> mutant = mutants.MUTANTS["kernel flipped"]
>>> x, w = np.float32([[[[1, 2, 3]]]]), np.float32([[[[1, 10]]]])
>>> judge(mutant(x, w), x, w)
<Verdict WRONG: 2 of 2 elements of conv2d, worst at (0, 0, 0, 0)>
"""

from dataclasses import dataclass

import numpy as np

from refconv.testing.claim import Claim
from refconv.testing.correct import CORRECT, compute
from refconv.testing.formats import FORMATS, format_of
from refconv.testing.mistakes import MISTAKES, Mistake
from refconv.testing.operation import Operation

__all__ = ["MUTANTS", "Mutant"]


@dataclass(frozen=True)
class Mutant:
    """A convolution with a mistake, in otherwise honest arithmetic.

    Parameters
    ----------
    mistake : Mistake
    """

    mistake: Mistake

    @property
    def name(self) -> str:
        return self.mistake.name

    @property
    def sentence(self) -> str:
        """What it does wrong."""
        return self.mistake.sentence

    @property
    def reference(self) -> str | None:
        """Where the mistake was made in earnest."""
        return self.mistake.reference

    def differs(self, operation: Operation) -> bool:
        """Whether the mistake concerns an operation at all; its result can be right nevertheless."""
        if self.mistake.accumulate is not None:
            return self._narrow(operation) is not None
        return self.mistake.changed(operation) is not None

    def compute(self, operation: Operation) -> np.ndarray:
        """Return the wrong result of an operation."""
        changed = self.mistake.changed(operation)
        if changed is None:
            return _honestly(operation)
        return self.mistake.finished(_honestly(changed, self._narrow(operation)), changed)

    def _narrow(self, operation):
        """The narrower accumulator, if it is one that can hold the operands' range."""
        name = self.mistake.accumulate
        if name is None or not operation.is_float:
            return None
        narrower = FORMATS[name].precision < format_of(Claim.of(operation.dtype).accumulate).precision
        return name if narrower else None

    def __call__(self, input=None, weight=None, bias=None, stride=1, padding=0, dilation=1, groups=1, **more):
        """Compute a call, of conv2d unless ``op=`` says otherwise; see `refconv.testing.judge` for the arguments."""
        op = more.pop("op", "conv2d")
        call = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups, **more}
        return self.compute(Operation.of(op, input, weight, bias, **call))


def _honestly(operation, accumulate=None):
    """The result in ordinary arithmetic: one product after the other, integers modulo a power of two."""
    if operation.is_float:
        return compute(operation, CORRECT["sequential"].run, accumulate)
    return operation.exact(overflow="wrap").reshape(operation.result_shape)


#: By the name of the mistake.
MUTANTS: dict[str, Mutant] = {name: Mutant(mistake) for name, mistake in MISTAKES.items()}
