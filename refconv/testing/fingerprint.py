"""Which arithmetic a result was computed in: inputs of fewer bits, a narrower accumulator, the shape of the sum."""

from dataclasses import dataclass

import numpy as np

from refconv.testing import summation
from refconv.testing.claim import Claim
from refconv.testing.complex_parts import real_and_imaginary
from refconv.testing.formats import FORMATS, TF32, format_of
from refconv.testing.mistakes.precision import cast, truncated
from refconv.testing.operation import Operation
from refconv.testing.terms import terms_of

__all__ = ["Fingerprint", "precision_fingerprint"]

# Elements that are looked at, at most, and terms of them all.
_ELEMENTS, _TERMS = 512, 1 << 21
# Errors are of the same size if the logarithm of their ratio is less than this: a factor of three.
_SAME_SIZE = 1.1


@dataclass(frozen=True)
class Fingerprint:
    """The arithmetic that a result looks like.

    Parameters
    ----------
    inputs : str
        'as given', or what the operands were cast to: 'TF32', 'bfloat16', ..., rounded or truncated.
    bits : int
        Precision of the operands after that.
    accumulator : str or None
        'float16', 'bfloat16', 'float32', 'float32, truncated', 'float64', ...; None if that cannot be told.
    summation : str or None
        The order of summation that gives the very same bits for most elements; None if none of the known ones does.
    mistake : str or None
        The name in `refconv.testing.mistakes` of what is wrong with this arithmetic under the claim.
    agreement : float
        The share of the elements that have the same bits as this arithmetic gives.
    """

    inputs: str
    bits: int
    accumulator: str | None
    summation: str | None
    mistake: str | None
    agreement: float

    def __str__(self):
        order = f", {self.summation}" if self.summation else ""
        sums = f"; sums in {self.accumulator}{order}" if self.accumulator else ""
        return f"inputs {self.inputs} ({self.bits} bits){sums}"


def precision_fingerprint(actual, *operands, claim=None, **call):
    """Tell in which arithmetic a result was computed.

    Parameters
    ----------
    actual : array_like
        The result; at least some dozen elements are needed to be sure.
    *operands, claim, **call
        As for `refconv.testing.judge`.

    Returns
    -------
    Fingerprint

    Notes
    -----
    The result is compared with the exact sums of the operands as they are and after each cast; the cast that leaves the
    smallest errors was made if it explains errors that are far too large otherwise. What is left is compared with the
    errors of sums of the same terms in every format and order. Least root mean square wins. Of complex numbers the real
    parts are looked at.

    Examples
    --------
    >>> import numpy as np
    >>> from refconv.testing import correct, precision_fingerprint
    >>> rng = np.random.default_rng(0)
    >>> x, w = rng.standard_normal((1, 16, 9, 9), np.float32), rng.standard_normal((4, 16, 3, 3), np.float32)
    >>> print(precision_fingerprint(correct.CORRECT["pairwise"](x, w), x, w))
    inputs as given (24 bits); sums in float32, pairwise
    """
    operation = Operation.of(call.pop("op", "conv2d"), *operands, **call)
    actual, claim = np.asarray(actual), claim or Claim.of(operation.dtype)
    if operation.is_complex:
        operation, _ = real_and_imaginary(operation)
        actual = actual.real
    return of(actual.astype(np.float64), operation, claim)


def of(actual: np.ndarray, operation: Operation, claim: Claim) -> Fingerprint:
    """As `precision_fingerprint`."""
    return _Comparison(actual, operation, claim).fingerprint()


def _casts(own):
    """The casts that may have been made, as (description, format, function)."""
    known = [("float32", FORMATS["float32"]), ("TF32", TF32), ("bfloat16", FORMATS["bfloat16"])]
    for name, fmt in known:
        if fmt.precision < own.precision:
            yield f"rounded to {name}", fmt, cast
            yield f"truncated to {name}", fmt, truncated


class _Comparison:
    def __init__(self, actual, operation, claim):
        self.operation, self.claim = operation, claim
        self.out = format_of(operation.result_dtype)
        flat = actual.reshape(-1)
        usable = np.flatnonzero(np.isfinite(flat))
        terms = max(1, int(np.prod(operation.w.shape[1:])))
        count = max(16, min(_ELEMENTS, _TERMS // terms))
        if len(usable) > count:
            usable = np.sort(np.random.default_rng(0).choice(usable, count, replace=False))
        self.elements = usable
        self.actual = flat[usable]

    def fingerprint(self) -> Fingerprint:
        own = format_of(self.operation.dtype)
        nothing = Fingerprint("as given", own.precision, None, None, None, 0.0)
        if not len(self.elements):
            return nothing
        # The cast that the result is closest to, where it must be much closer than to the operands as they are.
        candidates = [("as given", own, self.operation)]
        for name, fmt, function in _casts(own):
            changed = self.operation.replace(x=function(self.operation.x, fmt), w=function(self.operation.w, fmt))
            candidates.append((name, fmt, changed))
        distances = [self._rms(self.actual - self._exact(changed)) for _, _, changed in candidates]
        best = int(np.argmin(distances))
        if not np.isfinite(distances[best]):
            return nothing
        if distances[best] > 0.5 * distances[0]:
            best = 0
        inputs, fmt, operation = candidates[best]
        if distances[best] == 0 and best == 0:
            return Fingerprint(inputs, fmt.precision, None, None, None, 1.0)
        accumulator, order, agreement = self._summation(operation)
        mistake = f"inputs {inputs}" if best else None
        if not best and accumulator and accumulator in FORMATS:
            narrower = FORMATS[accumulator].precision < self.claim.accumulator.precision
            mistake = f"sums in {accumulator}" if narrower else None
        return Fingerprint(inputs, fmt.precision, accumulator, order, mistake, agreement)

    def _exact(self, operation) -> np.ndarray:
        with np.errstate(all="ignore"):
            return operation.exact(np.float64).reshape(-1)[self.elements]

    @staticmethod
    def _rms(error) -> float:
        with np.errstate(all="ignore"):
            error = error / np.abs(error).max(initial=0.0) * np.abs(error).max(initial=0.0) if error.any() else error
            return float(np.sqrt(np.mean(error * error)))

    def _summation(self, operation):
        """The accumulator and the order of which the sums are closest to the result, and how many bits agree."""
        terms = terms_of(operation, self.elements)
        scale = self._rms(self.actual - self._exact(operation))
        best = (np.inf, None, None, 0.0)
        for name, sums in _simulations(terms, self.operation.dtype):
            with np.errstate(all="ignore"):
                rounded = sums.astype(self.operation.result_dtype).astype(np.float64)
                distance = self._rms(rounded - self.actual)
                agreement = float(np.mean(rounded == self.actual))
            if np.isfinite(distance) and (distance, -agreement) < (best[0], -best[3]):
                best = (distance, *name, agreement)
        _, accumulator, order, agreement = best
        if accumulator is None or agreement > 0.5:
            return accumulator, order, agreement
        # No known order: the accumulator whose errors are of this size.
        sizes = {}
        exact = self._exact(operation)
        for (name, _), sums in _simulations(terms, self.operation.dtype):
            with np.errstate(all="ignore"):
                rounded = sums.astype(self.operation.result_dtype).astype(np.float64)
                size = self._rms(rounded - exact)
            sizes.setdefault(name, []).append(size)
        near = {}
        for name, values in sizes.items():
            # A size of zero is infinitely far from others, which is meant.
            with np.errstate(divide="ignore", over="ignore"):
                ratios = [abs(np.log(max(size, 5e-324) / max(scale, 5e-324))) for size in values if np.isfinite(size)]
            if ratios and min(ratios) < _SAME_SIZE and self._all_fit(name):
                near[name] = min(ratios)
        return (min(near, key=near.get) if near else None), None, agreement

    def _all_fit(self, accumulator: str) -> bool:
        """Whether all results are numbers of an accumulator's format, as they must be."""
        fmt = FORMATS[accumulator.split(",")[0]]
        narrow = np.where(self.actual == 0, 0.0, self.actual)
        return fmt.precision >= self.out.precision or bool(np.mean(cast(narrow, fmt) == narrow) > 0.99)


def _simulations(terms, dtype):
    """Yield ((accumulator, order), sums in it) for every arithmetic that is known."""
    wide = format_of(dtype).precision > 24
    accumulators = ["float64", "float32", "float16"]
    for accumulator in accumulators:
        kind = np.dtype(accumulator)
        with np.errstate(all="ignore"):
            products = terms.products(kind)
            bias = None if terms.bias is None else terms.bias.astype(kind)
            for name in ("sequential", "backwards", "pairwise", "blocked", "lanes"):
                if kind == np.float16 and name != "sequential" and wide:
                    continue
                sums = summation.ORDERS[name](products)
                yield (accumulator, name), sums if bias is None else sums + bias
                if bias is not None and name == "sequential":
                    yield (
                        (accumulator, "sequential, from the bias"),
                        summation.sequential(np.concatenate([bias[None], products])),
                    )
            if accumulator == "float32":
                sums = summation.fused(terms.x, terms.w, kind)
                yield (accumulator, "sequential with fused multiply-adds"), sums if bias is None else sums + bias
                for other, rounding, fmt in _OTHERS:
                    sums = _chain(products, rounding, fmt)
                    yield (other, "sequential"), sums if bias is None else sums + bias


# Accumulators that NumPy does not have: a name, how a step is rounded, and to which precision.
_OTHERS = (("float32, truncated", truncated, FORMATS["float32"]), ("bfloat16", cast, FORMATS["bfloat16"]))


def _chain(products, rounding, fmt):
    """A sequential sum of which products and steps are rounded in some way."""
    total = np.zeros(products.shape[1:], np.float64)
    for term in products.astype(np.float64):
        total = rounding(total + rounding(term, fmt), fmt)
    return total.astype(np.float32)
