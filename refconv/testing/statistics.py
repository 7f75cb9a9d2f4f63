"""Errors that a right implementation could make, but does not: statistics of a whole result.

The deterministic bound grows with m, the errors of honest arithmetic with its square root at most. At m = 4608 operands
cast to TF32 are well inside of the bound. They are found by comparing errors with what they usually are:

    z = error / (0.425 u sqrt(V + Q)),    V = y**2 (m + 1) (2 m + 1) / (6 m) + (Q - y**2 / m) (m + 1) / 6

Q is the sum of the squares of the terms. V is the mean, over all orders of summation, of the sum of the squared partial
sums, to which a sequential sum's roundings are proportional (draws without replacement; W. G. Cochran, "Sampling
Techniques", theorem 2.2). 0.425 u is the root mean square of the relative error of rounding to nearest, for
significands whose logarithms are evenly distributed. If roundings are independent with mean zero, z has variance 1 for
a random order, less for shorter chains of additions: N. J. Higham and T. Mary, "A new approach to probabilistic
rounding error analysis", SIAM J. Sci. Comput. 41 (2019) A2815-A2835, doi:10.1137/18M1226312.

That is a model, not a theorem: constant data, say, are rounded the same way every time. So an anomaly is not reported
unless the terms are of many sizes, and it is confirmed by experiment: the very terms of some elements are added up in
the claimed arithmetic, in each of the orders that implementations use (`refconv.testing.summation`), and all of these
errors are far smaller.
"""

import math
from dataclasses import dataclass

import numpy as np

import refconv
from refconv.testing.bounds import Magnitudes
from refconv.testing.claim import Claim
from refconv.testing.formats import Format, format_of
from refconv.testing.operation import Operation
from refconv.testing.summation import ORDERS
from refconv.testing.terms import terms_of

__all__ = [
    "RMS_ROUNDING",
    "Statistics",
    "applies",
    "is_ordinary",
    "largest_ordinary",
    "statistics_of",
    "usual_error",
    "usual_error_of",
]

RMS_ROUNDING = 0.425
# The largest root mean square of z that an ordinary order was seen to have: terms sorted by size, descending.
_WORST_ORDER = 1.5
# In 1e9 right results no more than one is called an anomaly, as far as the model holds: a normal deviate of that level.
_DEVIATE, _FALSE_ALARMS = 6.0, 1e-9
# How much larger errors must be than those of every order that is tried out.
_MARGIN = 2.0
# How many elements are tried out, and at most how many terms of them all.
_SAMPLE, _SAMPLE_TERMS = 96, 1 << 19


@dataclass(frozen=True)
class Statistics:
    """What the errors of a result are like, in units of what they usually are.

    Parameters
    ----------
    count : int
        Elements that could be judged.
    rms, largest, mean : float
        Of z: its root mean square, largest absolute value, and mean.
    honest_rms, honest_largest : float or None
        The largest of the same figures among honest sums of the same terms; None if that was not tried out.
    anomaly : str or None
        What is impossible in practice.
    """

    count: int
    rms: float
    largest: float
    mean: float
    honest_rms: float | None = None
    honest_largest: float | None = None
    anomaly: str | None = None


def applies(claim: Claim) -> bool:
    """Whether the model is one of the claimed arithmetic."""
    return claim.rounding == "nearest" and claim.algorithm == "direct" and not claim.flush_subnormals


def is_ordinary(figures: Statistics) -> bool:
    """Whether nothing about the figures is impossible in practice."""
    return not _anomalies(figures, figures.count)


def statistics_of(
    operation: Operation, claim: Claim, error: np.ndarray, y: np.ndarray, magnitudes: Magnitudes, out: Format
) -> Statistics:
    """Judge the errors of a whole result.

    Parameters
    ----------
    operation : Operation
    claim : Claim
        One that the model `applies` to.
    error : ndarray of float64
        result - exact, of the operation's shape; NaN where it is not to be judged.
    y : ndarray of float64
        The exact sums, or these rounded to the result's format.
    magnitudes : Magnitudes
    out : Format
        Of the result.

    Returns
    -------
    Statistics
    """
    # Q >= A**2 / m, so this z is too large, if anything; a convolution of squares is saved.
    figures = _figures(error, usual_error(magnitudes, y, claim, out))
    if not _anomalies(figures, figures.count):
        return figures
    m = np.maximum(magnitudes.m, 1.0)
    with np.errstate(over="ignore", under="ignore"):
        usual = usual_error_of(np.maximum(magnitudes.Q, y * y / m), y, m, claim, out)
    figures = _figures(error, usual)
    # Equal sums are one observation, not many.
    independent = np.unique(y[np.isfinite(error)]).size
    if not _anomalies(figures, independent):
        return figures
    return _confirmed(operation, claim, error, usual, figures, independent)


def usual_error(magnitudes: Magnitudes, y: np.ndarray, claim: Claim, out: Format) -> np.ndarray:
    """What errors usually are, at the least: with A**2 / m for Q, which cannot be less."""
    m = np.maximum(magnitudes.m, 1.0)
    with np.errstate(over="ignore", under="ignore"):
        return usual_error_of(magnitudes.A**2 / m, y, m, claim, out)


def usual_error_of(Q, y, m, claim: Claim, out: Format) -> np.ndarray:
    accumulator = claim.accumulator
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        y2 = y * y
        V = y2 * ((m + 1.0) * (2.0 * m + 1.0) / (6.0 * m)) + (Q - y2 / m) * ((m + 1.0) / 6.0)
        square = (RMS_ROUNDING * accumulator.unit_roundoff) ** 2 * (V + Q)
        # The reference is rounded to the result's format, and so may the result be.
        square += out.unit_roundoff**2 * y2
        if claim.input_format is not None:
            square += 2.0 * claim.input_format.unit_roundoff**2 * Q
        square += m * accumulator.least**2 + out.least**2
        return np.sqrt(square)


def _figures(error, usual) -> Statistics:
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        z = error / usual
    z = z[np.isfinite(z)]
    if z.size == 0:
        return Statistics(0, 0.0, 0.0, 0.0)
    return Statistics(
        count=z.size,
        rms=float(np.sqrt(np.dot(z, z) / z.size)),
        largest=float(max(z.max(), -z.min())),
        mean=float(z.mean()),
    )


def largest_ordinary(count: int) -> float:
    """The largest z that is not an anomaly among so many: 1.5 sqrt(2 ln(2 count / 1e-9)), by Azuma's inequality."""
    return _WORST_ORDER * math.sqrt(2.0 * math.log(2.0 * count / _FALSE_ALARMS))


def _anomalies(figures: Statistics, count: int) -> list[str]:
    """Which of the figures are impossible in practice, for so many independent observations."""
    if count == 0:
        return []
    found = []
    # The square root of the upper quantile of chi-square over its degrees of freedom, by Wilson and Hilferty.
    spread = 2.0 / (9.0 * count)
    if figures.rms > _WORST_ORDER * (1.0 - spread + _DEVIATE * spread**0.5) ** 1.5:
        found.append("rms")
    if figures.largest > largest_ordinary(count):
        found.append("largest")
    if abs(figures.mean) > 0.5 and abs(figures.mean) * count**0.5 > _DEVIATE * max(figures.rms, 1.0):
        found.append("mean")
    return found


def _confirmed(operation, claim, error, usual, figures, independent) -> Statistics:
    """Add up the terms of some elements in honest arithmetic, and keep the anomalies that this does not show."""
    z = np.where(np.isfinite(error), error / usual, 0.0).reshape(-1)
    chosen = _sample(z, operation)
    terms = terms_of(operation, chosen)
    if not _various(terms):
        return figures
    honest = _honest_errors(terms, claim) / usual.reshape(-1)[chosen]
    honest = np.where(np.isfinite(honest), honest, 0.0)
    honest_rms = float(np.sqrt((honest**2).mean(axis=1)).max())
    honest_largest = float(np.abs(honest).max())
    honest_mean = float(np.abs(honest.mean(axis=1)).max())
    sample_rms = float(np.sqrt((z[chosen] ** 2).mean()))
    found = _anomalies(figures, independent)
    anomaly = None
    if "rms" in found and sample_rms > _MARGIN * honest_rms:
        anomaly = f"errors are {figures.rms:.3g} times what they usually are (root mean square)"
    elif "largest" in found and figures.largest > _MARGIN * honest_largest:
        anomaly = f"the largest error is {figures.largest:.3g} times what errors usually are"
    elif "mean" in found and abs(z[chosen].mean()) > _MARGIN * honest_mean + 3.0 * sample_rms / len(chosen) ** 0.5:
        side = "above" if figures.mean > 0 else "below"
        anomaly = f"results are {side} the exact ones by {abs(figures.mean):.3g} usual errors on average"
    if anomaly:
        anomaly += f"; honest sums of the same terms, in {len(honest)} orders: {honest_rms:.2g}, at most"
        anomaly += f" {honest_largest:.2g}"
    return Statistics(
        figures.count, figures.rms, figures.largest, figures.mean, honest_rms, honest_largest, anomaly
    )  # fmt: skip


def _sample(z, operation) -> np.ndarray:
    """The element with the largest z, and some others at random."""
    terms = max(1, operation.x.size and int(np.prod(operation.w.shape[1:])))
    count = int(max(8, min(_SAMPLE, _SAMPLE_TERMS // terms)))
    others = np.random.default_rng(z.size).choice(z.size, min(count, z.size), replace=False)
    return np.unique(np.append(others, np.abs(z).argmax()))


def _various(terms) -> bool:
    """Whether the terms of most elements are of many different sizes.

    Equal terms are rounded the same way every time, so that errors depend on the order in ways no few orders can show.
    """
    products = np.sort(np.abs(terms.x.astype(np.float64) * terms.w.astype(np.float64)), axis=0)
    m = np.maximum((products > 0).sum(axis=0), 1)
    sizes = 1 + (np.diff(products, axis=0) > 0).sum(axis=0)
    return bool(np.median(sizes / np.minimum(m / 2.0, 4.0 * np.sqrt(m))) >= 1.0)


def _honest_errors(terms, claim) -> np.ndarray:
    """The errors of honest sums, of shape (orders, elements)."""
    dtype = np.dtype(claim.accumulate) if claim.accumulate != "bfloat16" else refconv.dtypes.extension_dtype("bfloat16")
    x, w = (_cast(factor, claim) for factor in (terms.x, terms.w))
    with np.errstate(all="ignore"):
        products = x.astype(dtype) * w.astype(dtype)
        if terms.bias is not None:
            products = np.concatenate([products, terms.bias[None].astype(dtype)])
        sums = np.array([order(products).astype(np.float64) for order in ORDERS.values()])
        return sums - _exact_sums(terms)


def _cast(factor, claim):
    fmt = claim.input_format
    if fmt is None or fmt.contains(format_of(factor.dtype)):
        return factor
    significand, exponent = np.frexp(factor.astype(np.float64))
    return np.ldexp(np.rint(np.ldexp(significand, fmt.precision)), exponent - fmt.precision)


def _exact_sums(terms) -> np.ndarray:
    """The exact sums of terms, rounded once to float64."""
    x, w = (factor.astype(np.float64) for factor in (terms.x, terms.w))
    if terms.bias is not None:
        x = np.concatenate([x, terms.bias[None].astype(np.float64)])
        w = np.concatenate([w, np.ones_like(w[:1]) if len(w) else np.ones((1, w.shape[1]))])
    return np.array([refconv.exact_dot(x[:, e], w[:, e]) for e in range(x.shape[1])])
