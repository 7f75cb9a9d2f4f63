"""Could this test fail? Cases that would let plain nonsense pass do not count."""

import numpy as np

from refconv.testing.claim import Claim
from refconv.testing.operation import Operation
from refconv.testing.verdict import judge_operation

__all__ = ["why_vacuous"]


def why_vacuous(operation: Operation, claim: Claim | None = None) -> str | None:
    """Say which nonsense would pass for the result of an operation, if any would.

    Parameters
    ----------
    operation : Operation
        As `Operation.of` makes it from a call.
    claim : Claim, optional
        As for `refconv.testing.judge`.

    Returns
    -------
    str or None
        None if zeros, permuted channels and the result of another input are all rejected. Otherwise what is not: "a
        result of zeros passes". Such a case is vacuous; benchdnn of oneDNN calls it mistrusted.

    Examples
    --------
    >>> import numpy as np
    >>> ones = np.ones((1, 1, 3, 3), np.float32)
    >>> why_vacuous(Operation.of("conv2d", ones, ones))
    'the result of the input turned round passes'
    >>> print(why_vacuous(Operation.of("conv2d", np.arange(9, dtype=np.float32).reshape(1, 1, 3, 3), ones[..., :2])))
    None
    """
    if 0 in operation.shape:
        return "the result is empty"
    for what, nonsense in _nonsense(operation):
        if judge_operation(nonsense.reshape(operation.result_shape), operation, claim).right:
            return f"{what} passes"
    return None


def _nonsense(operation: Operation):
    """Yield wrong results, and what they are."""
    right = operation.exact(overflow="wrap")
    yield "a result of zeros", np.zeros_like(right)
    channel = 0 if operation.kind == "weight" else 1
    if right.shape[channel] > 1:
        yield "a result with permuted channels", np.roll(right, 1, channel)
    # All numbers in the reverse order, unless there is one only.
    if operation.x.size > 1:
        turned = operation.x.reshape(-1)[::-1].reshape(operation.x.shape)
        yield "the result of the input turned round", operation.replace(x=turned).exact(overflow="wrap")
