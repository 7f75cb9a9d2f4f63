"""Pictures of a finding, as SVG: where the result is wrong, and the window that the worst element is made of."""

import io
from base64 import b64encode
from xml.etree.ElementTree import Element, SubElement, tostring

import numpy as np

from refconv.conformance.report.document import Finding
from refconv.problem import ConvProblem

__all__ = ["error_map", "window_pictures"]

_CELL = 22  # pixels
# A plane with more elements along an axis than this is drawn in blocks, each as wrong as its worst element.
_MOST_CELLS = 32
# Windows over larger images are no longer to be made out.
_MOST_ACROSS = 16
_MOST_CHARACTERS = 5


def error_map(finding: Finding) -> str:
    """Draw which elements of the result are right, within what is allowed, or wrong.

    Parameters
    ----------
    finding : Finding

    Returns
    -------
    str
        An SVG element whose cells have the classes ``exact``, ``allowed`` and ``wrong``, to be coloured by the page;
        wrong ones are crossed out besides. All but the last two axes are laid over each other. Empty if there is
        nothing to draw: no result, or one of the wrong shape.
    """
    shares = _shares(finding)
    if shares is None or shares.size == 0:
        return ""
    plane, flat, step = _plane(shares)
    rows, columns = plane.shape
    svg = Element(
        "svg",
        {
            "class": "errors",
            "role": "img",
            "viewBox": f"-1 -1 {columns * _CELL + 2} {rows * _CELL + 2}",
            "width": str(columns * _CELL + 2),
            "height": str(rows * _CELL + 2),
        },
    )
    SubElement(svg, "title").text = f"{np.count_nonzero(shares > 1)} of {shares.size} results are wrong"
    for (row, column), share in np.ndenumerate(plane):
        x, y = column * _CELL, row * _CELL
        kind = "exact" if share == 0 else "allowed" if share <= 1 else "wrong"
        cell = SubElement(svg, "g", {"class": kind})
        SubElement(cell, "title").text = _cell_text(finding, shares.shape, flat[row, column], share, step)
        SubElement(cell, "rect", x=str(x), y=str(y), width=str(_CELL), height=str(_CELL))
        if kind == "wrong":
            near, far = _CELL // 4, _CELL - _CELL // 4
            cross = f"M{x + near} {y + near}L{x + far} {y + far}M{x + near} {y + far}L{x + far} {y + near}"
            SubElement(cell, "path", d=cross)
    return tostring(svg, encoding="unicode")


def _shares(finding: Finding) -> np.ndarray | None:
    """Per element the error as a share of what is allowed, infinite where equality is demanded and not there."""
    if finding.shares is not None:
        return finding.shares
    actual, expected = finding.actual, finding.expected
    if actual is None or expected is None or actual.shape != expected.shape:
        return None
    equal = (actual == expected) | ((actual != actual) & (expected != expected))
    return np.where(equal, 0.0, np.inf)


def _plane(shares: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """Return the largest share at each place of the last two axes, its flat index, and how many places a cell is."""
    image = shares.shape[-2:] if shares.ndim > 1 else (1, shares.size)
    layers = shares.reshape(-1, *image)
    flat = np.arange(shares.size).reshape(layers.shape)
    step = -(-max(image) // _MOST_CELLS)
    plane = np.zeros([-(-size // step) for size in image])
    at = np.zeros(plane.shape, np.int64)
    for row, column in np.ndindex(plane.shape):
        block = (slice(None), slice(row * step, (row + 1) * step), slice(column * step, (column + 1) * step))
        worst = layers[block].argmax()
        plane[row, column], at[row, column] = layers[block].ravel()[worst], flat[block].ravel()[worst]
    return plane, at, step


def _cell_text(finding: Finding, shape: tuple[int, ...], flat: int, share: float, step: int) -> str:
    index = tuple(int(i) for i in np.unravel_index(flat, shape))
    place = f"{'worst of the block: ' if step > 1 else ''}[{', '.join(map(str, index))}]"
    if finding.actual is None or finding.expected is None:
        return f"{place}: {share:.3g} of what is allowed"
    values = f"{place}: expected {finding.expected[index]}, got {finding.actual[index]}"
    return values if share == 0 or np.isinf(share) else f"{values}, {share:.3g} of what is allowed"


def window_pictures(finding: Finding) -> dict[str, str]:
    """Draw the window of the worst element over the input, if matplotlib is there and the case is a small convolution.

    Parameters
    ----------
    finding : Finding

    Returns
    -------
    dict of str to str
        The picture for ``light`` and for ``dark`` pages, each as a ``data:`` address; empty if there is none.
    """
    try:
        from matplotlib import rc_context

        from refconv.figures import plot_window, theme
    except ModuleNotFoundError:
        return {}
    problem = _drawable_problem(finding)
    shares = _shares(finding)
    if problem is None or shares is None or not shares.size:
        return {}
    worst = tuple(int(i) for i in np.unravel_index(shares.argmax(), shares.shape))
    numbers = _numbers(finding, problem, worst)
    pictures = {}
    for name in ("light", "dark"):
        file = io.BytesIO()
        # Without a date and with a fixed salt, so that the same finding has the same picture.
        with theme(name), rc_context({"svg.hashsalt": "refconv"}):
            figure = plot_window(problem, worst[-problem.spatial_ndim :], **numbers)
            figure.savefig(file, format="svg", metadata={"Date": None})
        pictures[name] = f"data:image/svg+xml;base64,{b64encode(file.getvalue()).decode()}"
    return pictures


def _drawable_problem(finding: Finding) -> ConvProblem | None:
    """Return the convolution if it has a window that fits in a picture; gradients have none of that kind."""
    call = finding.case.call
    if finding.case.fault is not None or call.kind not in ("forward", "transposed") or call.spatial_ndim > 2:
        return None
    problem = call.problem
    across = [*problem.input_size, *problem.output_size, *problem.kernel_size, *map(sum, problem.padding)]
    return problem if max(across) <= _MOST_ACROSS and 0 not in problem.output_size else None


def _numbers(finding: Finding, problem: ConvProblem, at: tuple[int, ...]) -> dict[str, np.ndarray]:
    """Return what the window sees, if that is one channel of numbers that fit into their cells."""
    from refconv.figures.grid import number

    x, w = finding.case.operands.input, finding.case.operands.weight
    if problem.C_in != problem.groups or not (np.isfinite(x).all() and np.isfinite(w).all()):
        return {}
    if not problem.batched:
        x, at = x[np.newaxis], (0, *at)
    image, channel = at[:2]
    per_group = problem.C_out // problem.groups
    group = channel // per_group
    kernel = w[group, channel % per_group] if problem.transposed else w[channel, 0]
    shown = {"input": x[image, group].astype(np.float64), "weight": kernel.astype(np.float64)}
    longest = max(len(number(value)) for array in (*shown.values(), finding.expected) for value in array.flat)
    return shown if longest <= _MOST_CHARACTERS else {}
