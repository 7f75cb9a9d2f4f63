"""The errors of somebody's floating-point result, element by element and as a whole."""

from functools import cached_property

import numpy as np

from refconv.testing.bounds import Magnitudes, allowed_error
from refconv.testing.formats import format_of
from refconv.testing.screening import differing, screen, screen_few
from refconv.testing.statistics import Statistics, applies, statistics_of
from refconv.testing.terms import indices_of

__all__ = ["Errors"]


class Errors:
    """The errors of a result of real numbers that has the right shape."""

    def __init__(self, operation, claim, actual, exact):
        self.operation, self.claim = operation, claim
        self.actual = actual.reshape(operation.shape)
        self.exact = exact.reshape(operation.shape)
        self.out = format_of(actual.dtype)

    @cached_property
    def magnitudes(self) -> Magnitudes:
        """The sums that the bound is made of."""
        return Magnitudes.for_claim(self.operation, self.claim)

    @cached_property
    def unequal(self) -> np.ndarray:
        """Which elements are not equal to the exact ones, NaNs being equal."""
        return (self.actual != self.exact) & ~(np.isnan(self.actual) & np.isnan(self.exact))

    @cached_property
    def reference(self) -> np.ndarray:
        """The exact sums in a format finer than the result's, where that costs no more."""
        return self.operation.exact(np.float32) if self.out.precision < 24 else self.exact

    def judged(self) -> tuple[str, Statistics | None]:
        """The grade, and the statistics where they say anything."""
        elements = differing(self.actual, self.exact, indices_of(self.operation).terms)
        if elements is not None and not elements.size:
            return "EXACT", None
        figures = None
        if elements is not None:
            figures = screen_few(self.actual, self.exact, elements, self.operation, self.claim, self.out)
        if figures is None:
            figures = screen(self.actual, self.reference, self.magnitudes, self.claim, self.out)
        if figures is not None:
            return "WITHIN", figures
        if not self.unequal.any():
            return "EXACT", None
        if (self.shares > 1.0).any():
            return "WRONG", None
        if not applies(self.claim):
            return "WITHIN", None
        _, error, y = self._judged_elements
        statistics = statistics_of(self.operation, self.claim, error, y, self.magnitudes, self.out)
        return "SUSPICIOUS" if statistics.anomaly else "WITHIN", statistics

    @property
    def shares(self) -> np.ndarray:
        """Per element the error as a share of what is allowed."""
        return self._judged_elements[0].reshape(self.operation.result_shape)

    @cached_property
    def _judged_elements(self):
        return self._against(self.reference)

    def _against(self, reference):
        """Shares of the bound, errors, and the exact sums, as far as these are known: rounded to some format."""
        y = reference.astype(np.float64)
        wide = self.actual.astype(np.float64)
        with np.errstate(all="ignore"):
            error = wide - y
        size = np.abs(y)
        kind_is_wrong = ~np.isfinite(error)
        if kind_is_wrong.any():
            size[~np.isfinite(size)] = 0.0
        allowed = allowed_error(self.magnitudes, self.claim, size, self.out)
        fmt = format_of(reference.dtype)
        # Nothing of a sum without terms is rounded.
        slack = np.where(allowed > 0, fmt.unit_roundoff * size + fmt.least, 0.0)
        distance = np.abs(error)
        # Outside even if the reference is off, or inside even if it is; else it has to be looked up.
        unclear = (distance > allowed - slack) & (distance < allowed + slack) & self.unequal
        final = fmt.precision == 53
        if not final and unclear.any():
            return self._against(self.operation.exact(np.float64))
        with np.errstate(all="ignore"):
            shares = distance / (allowed + slack if final else allowed)
        shares[kind_is_wrong] = np.inf
        shares = np.where(self.unequal & ~np.isinf(allowed), shares, 0.0)
        error[np.isinf(allowed) | kind_is_wrong] = np.nan
        return np.where(np.isnan(shares), np.inf, shares), error, np.where(np.isfinite(y), y, 0.0)
