"""Pictures of a verdict. Needs matplotlib."""

import numpy as np

from refconv.testing.pattern import axis_names

__all__ = ["plot_verdict"]


def plot_verdict(verdict):
    """Draw where the errors are over the output plane, and how large they are, as shares of what is allowed.

    Parameters
    ----------
    verdict : Verdict

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        ``the result has no elements that could be drawn: the shape is ...``
    """
    from matplotlib.figure import Figure

    if verdict.shares is None or verdict.shares.size == 0:
        raise ValueError(f"the result has no elements that could be drawn: {verdict.fault or 'it is empty'}")
    names = axis_names(verdict.operation)
    figure = Figure(figsize=(9, 4), layout="constrained")
    plane, histogram = figure.subplots(1, 2)
    shares = verdict.shares
    drawn = shares.reshape(1, -1) if shares.ndim == 1 else shares.max(axis=tuple(range(shares.ndim - 2)))
    # An error of the wrong kind is infinite: drawn as the largest.
    finite = shares[np.isfinite(shares)]
    top = max(1.0, finite.max(initial=0.0))
    image = plane.imshow(np.minimum(drawn, top), vmin=0.0, vmax=top, cmap="magma")
    figure.colorbar(image, ax=plane, label="largest error / allowed")
    plane.set_xlabel(names[-1])
    if shares.ndim > 1:
        plane.set_ylabel(names[-2])
    plane.set_title(f"{verdict.operation.op}: {verdict.grade}")
    positive = finite[finite > 0]
    if positive.size:
        low, high = np.log10(positive.min()), np.log10(max(positive.max(), 1.0))
        histogram.hist(positive, bins=np.logspace(low, max(high, low + 1e-6), 40), color="tab:blue")
        histogram.set_xscale("log")
    histogram.axvline(1.0, color="tab:red")
    histogram.set_xlabel("error / allowed")
    histogram.set_ylabel("elements")
    histogram.set_title(f"{int((shares == 0).sum())} of {shares.size} exact")
    return figure
