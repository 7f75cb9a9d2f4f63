"""What can be said of a result that no known mistake gives."""

import numpy as np

from refconv.testing.operation import Operation
from refconv.testing.pattern import pattern
from refconv.testing.terms import terms_of

__all__ = ["clues_from_terms", "probe"]

# Terms and elements of a least-squares problem, at most.
_MOST_TERMS, _MOST_ELEMENTS = 600, 3000
# Images of a single one that are tried.
_PROBES = 64


def clues_from_terms(operation: Operation, actual: np.ndarray, right: np.ndarray | None) -> list[str]:
    """Find terms that are missing or counted too often: factors, one per channel and tap, that make up the errors.

    Parameters
    ----------
    operation : Operation
    actual : ndarray of float64
    right : ndarray of bool or None
        Which elements are right.
    """
    if right is None or right.all():
        return []
    clues = [f"wrong: {pattern(~right, operation)}"]
    if not operation.is_float:
        return clues
    elements = np.flatnonzero(~right)[:_MOST_ELEMENTS]
    terms = terms_of(operation, elements)
    m = len(terms.x)
    exact = operation.exact(np.float64).reshape(-1)[elements]
    error = actual.reshape(-1)[elements] - exact
    usable = np.isfinite(error)
    if not 0 < m <= _MOST_TERMS or usable.sum() < 2 * m:
        return clues
    products = (terms.x.astype(np.float64) * terms.w.astype(np.float64))[:, usable]
    factors, *_ = np.linalg.lstsq(products.T, error[usable], rcond=None)
    left = error[usable] - products.T @ factors
    if np.linalg.norm(left) > 0.05 * np.linalg.norm(error[usable]):
        return clues
    shape = operation.w.shape[1:] if operation.kind == "forward" else None
    for t in np.argsort(-np.abs(factors))[:3]:
        if abs(factors[t]) < 0.05:
            break
        place = tuple(int(i) for i in np.unravel_index(t, shape)) if shape else int(t)
        clues.append(f"the errors are {factors[t]:+.3g} times the term of channel and tap {place}")
    return clues


def probe(function, operation: Operation, arguments) -> list[str]:
    """Call an implementation on images of a single one, and say which of them come out wrong.

    What comes out is the kernel, turned round and laid around the one: each wrong number there is a tap gone wrong.
    """
    if operation.kind != "forward" or not operation.is_float or operation.x.size == 0:
        return []
    shape = operation.problem.input_shape
    clues = []
    chosen = np.unique(np.linspace(0, operation.x.size - 1, _PROBES).astype(int))
    wrong, example = [], None
    for at in chosen:
        image = np.zeros(operation.x.shape, operation.dtype)
        image.flat[at] = 1
        w = np.arange(1, operation.w.size + 1, dtype=np.float64).reshape(operation.w.shape) % 251 + 1
        probe_operation = operation.replace(x=image, w=w.astype(operation.dtype), bias=None)
        want = probe_operation.exact().reshape(operation.result_shape)
        try:
            got = np.asarray(function(image.reshape(shape), probe_operation.w.copy(), None, *arguments))
        except Exception as error:
            return [f"probing: raises {type(error).__name__} on an image of a single one: {error}"]
        if got.shape != want.shape:
            return [f"probing: an image of a single one gives shape {got.shape}, not {want.shape}"]
        if not np.array_equal(got, want):
            wrong.append(at)
            example = example or (at, got, want)
    if not wrong:
        return [f"probing: {len(chosen)} images of a single one, without a bias, come out right"]
    clues.append(f"probing: of {len(chosen)} images of a single one {len(wrong)} come out wrong")
    at, got, want = example
    place = tuple(int(i) for i in np.unravel_index(at, operation.x.shape))
    index = tuple(int(i) for i in np.argwhere(got != want)[0])
    w_at = np.flatnonzero(probe_operation.w.reshape(-1) == got[index])
    clues.append(f"a one at input{list(place)} gives {got[index]:g} at {index}, and not {want[index]:g}")
    if len(w_at) == 1:
        tap = tuple(int(i) for i in np.unravel_index(w_at[0], operation.w.shape))
        clues.append(f"    {got[index]:g} is weight{list(tap)}")
    return clues
