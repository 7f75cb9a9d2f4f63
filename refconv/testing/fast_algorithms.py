"""Winograd's algorithm and the FFT: what they compute, and bounds on their errors.

Neither forms the products of the definition, so that their errors are not bounded by the sum of the terms' sizes alone:
Winograd's depend on the whole tile, the FFT's on the whole plane.
"""

import itertools
import math
from dataclasses import replace
from fractions import Fraction
from functools import lru_cache

import numpy as np

from refconv.testing.claim import Claim

__all__ = ["allowed_error", "claim_for", "has_winograd", "winograd_matrices"]

# Interpolation points in the order in which they are used; the last one is always infinity.
_POINTS = [Fraction(p) for p in ("0", "1", "-1", "2", "-2", "1/2", "-1/2", "3", "-3", "1/3", "-1/3", "4", "-4", "1/4")]


def has_winograd(tile: int, kernel_size) -> bool:
    """Whether there is a form of Winograd's algorithm for a kernel: enough points along each axis."""
    return all(tile + r - 1 <= len(_POINTS) + 1 for r in kernel_size)


def claim_for(operation, claim: Claim) -> Claim:
    """Return the claim for one operation: those who use Winograd's algorithm sum directly where the kernel is longer
    than any form of it."""
    if claim.algorithm == "winograd" and not has_winograd(claim.tile, operation.kernel_size):
        return replace(claim, algorithm="direct")
    return claim


@lru_cache
def winograd_matrices(m: int, r: int):
    """The matrices of F(m, r): m results of a kernel with r taps, from m + r - 1 products.

    Returns
    -------
    AT : ndarray, shape (m, m + r - 1)
    G : ndarray, shape (m + r - 1, r)
    BT : ndarray, shape (m + r - 1, m + r - 1)
        y = AT ((G g) * (BT d)) is the correlation of g with the m + r - 1 inputs d. Exact as real numbers; the entries
        of G are rounded to float64.

    Notes
    -----
    Toom and Cook: the linear convolution of m and r numbers is the product of two polynomials, found from its values at
    m + r - 1 points, one of them infinity; the correlation is the transpose of that (S. Winograd, "Arithmetic
    Complexity of Computations", SIAM 1980; A. Lavin and S. Gray, CVPR 2016).
    """
    n = m + r - 1
    points = _POINTS[: n - 1]
    if len(points) < n - 1:
        raise ValueError(f"no more than {len(_POINTS) + 1} points are known, but F({m}, {r}) needs {n}")

    def evaluate(size):
        """Return the matrix that evaluates a polynomial of `size` coefficients at the points, and at infinity."""
        return [[p**j for j in range(size)] for p in points] + [[0] * (size - 1) + [1]]

    scale = [Fraction(1)] * n
    # Lagrange: row i holds the coefficients of the product of (t - p) over the other points.
    BT = []
    for i, point in enumerate(points):
        others = [p for j, p in enumerate(points) if j != i]
        scale[i] = math.prod((point - p for p in others), start=Fraction(1))
        BT.append(_coefficients(others, n))
    BT.append(_coefficients(points, n))
    AT = np.array(evaluate(m), dtype=np.float64).T
    G = np.array([[float(Fraction(v) / s) for v in row] for row, s in zip(evaluate(r), scale, strict=True)])
    return AT, G, np.array(BT, dtype=np.float64)


def _coefficients(roots, n):
    coefficients = [Fraction(1)]
    for root in roots:
        shifted = [Fraction(0), *coefficients]
        for i, c in enumerate(coefficients):
            shifted[i] -= root * c
        coefficients = shifted
    return [float(c) for c in coefficients] + [0.0] * (n - len(coefficients))


def allowed_error(magnitudes, claim: Claim) -> np.ndarray:
    """Return what the claimed algorithm may cost besides casting its operands.

    Notes
    -----
    *Winograd.* Each result is a sum of products of linear forms, so that its error is bounded component by component by
    gamma_k H with

        H = \\|A^T\\| [ sum over c of (\\|G\\| \\|g_c\\| \\|G^T\\|) * (\\|B^T\\| \\|d_c\\| \\|B\\|) ] \\|A\\|

    where k counts the roundings on the longest path: C + 2 (nnz(G) + 1) + 2 (nnz(B) + 1) + 2 (nnz(A) + 1) + 2, nnz
    being the most entries in a row, each of which may have been rounded itself. Same form as B. Barabasz, A. Anderson,
    K. M. Soodhalter and D. Gregg, "Error analysis and improving the accuracy of Winograd convolution for deep neural
    networks", ACM TOMS 46 (2020) 37. H depends on where tiles begin; it is the maximum over all places here.

    *FFT.* Errors are relative to the whole plane: for transforms of length 2**L along all axes together,
    ((1 + u)**(3 L) (1 + u sqrt(5))**(3 L + 1) (1 + beta)**(3 L) - 1) \\|x_c\\|_2 \\|w_c\\|_2 for each channel, beta = u
    for the roots of unity: C. Percival, "Rapid multiplication modulo the sum and difference of highly composite
    numbers", Math. Comp. 72 (2003) 387-395; sqrt(5): R. Brent, C. Percival and P. Zimmermann, Math. Comp. 76 (2007)
    1469-1481.
    Channels are added at C u more. Lengths that are no power of two take longer transforms: they are allowed four times
    L.

    Intermediate results are larger than the result: where any of them may overflow, anything goes.
    """
    operation, accumulator = magnitudes.finite, claim.accumulator
    u = accumulator.unit_roundoff * (1.0 if claim.rounding == "nearest" else 2.0)
    if claim.algorithm == "winograd":
        H, k, growth, peak = _winograd(operation, claim.tile)
    else:
        H, k, growth, peak = _fft(operation)
    if not peak < accumulator.largest:
        return np.full(operation.shape, np.inf)
    bias = 0.0 if operation.bias is None else np.abs(operation.bias.astype(np.float64))
    bias = np.reshape(bias, (-1,) + (1,) * operation.spatial_ndim)
    gamma = k * u / (1.0 - k * u) if k * u < 1.0 else np.inf
    return gamma * (H + bias) + growth * accumulator.least


def _windows_of_groups(operation):
    x = operation.x.astype(np.float64)
    groups = operation.groups
    by_group = np.abs(x).reshape(len(x), groups, x.shape[1] // groups, *x.shape[2:])
    w = np.abs(operation.w.astype(np.float64))
    return by_group, w.reshape(groups, len(w) // groups, *w.shape[1:])


def _winograd(operation, tile):
    x, w = _windows_of_groups(operation)
    n = operation.spatial_ndim
    kernel, out = operation.kernel_size, operation.shape[2:]
    matrices = [tuple(np.abs(M) for M in winograd_matrices(tile, r)) for r in kernel]
    U = w
    for axis, (_, G, _) in enumerate(matrices):
        U = np.moveaxis(np.tensordot(U, G, axes=(3 + axis, 1)), -1, 3 + axis)
    # Tiles that begin anywhere from tile - 1 before the first result on.
    spread = [(0, 0)] * 3
    for axis in range(n):
        begin = operation.padding[axis][0] + tile - 1
        end = max(0, out[axis] + tile - 1 + kernel[axis] - 1 - (x.shape[3 + axis] + operation.padding[axis][0]))
        spread.append((begin, end))
    padded = np.pad(x, spread)
    lengths = [tile + r - 1 for r in kernel]
    padded = padded[
        (slice(None),) * 3 + tuple(slice(0, o + 2 * (tile - 1) + r - 1) for o, r in zip(out, kernel, strict=True))
    ]
    V = np.lib.stride_tricks.sliding_window_view(padded, lengths, axis=tuple(range(3, 3 + n)))
    for axis, (_, _, BT) in enumerate(matrices):
        V = np.moveaxis(np.tensordot(V, BT, axes=(3 + n + axis, 1)), -1, 3 + n + axis)
    letters = "hijxyz"
    places, points = letters[:n], letters[n : 2 * n]
    M = np.einsum(f"bgc{places}{points},gkc{points}->bgk{places}{points}", V, U, optimize=True)
    for axis, (AT, _, _) in enumerate(matrices):
        M = np.moveaxis(np.tensordot(M, AT, axes=(3 + n + axis, 1)), -1, 3 + n + axis)
    # Result o is number o - place of the tile that begins there.
    H = np.zeros((*M.shape[:3], *out))
    for offset in itertools.product(range(tile), repeat=n):
        here = tuple(slice(tile - 1 - i, tile - 1 - i + o) for i, o in zip(offset, out, strict=True))
        np.maximum(H, M[(slice(None),) * 3 + here + offset], out=H)
    nonzero = [max(int((M != 0).sum(axis=1).max()) for M in kinds) for kinds in zip(*matrices, strict=True)]
    k = x.shape[2] + n * sum(count + 1 for count in nonzero) + 2
    # What is lost to underflow anywhere is magnified by the other transforms.
    row = [math.prod(float(M.sum(axis=1).max()) for M in kinds) for kinds in zip(*matrices, strict=True)]
    largest = 1.0 + float(U.max(initial=0.0)) + float(V.max(initial=0.0))
    growth = 4.0 * k * x.shape[2] * math.prod(lengths) * row[0] * row[2] * largest
    peak = 2.0 * x.shape[2] * float(U.max(initial=0.0)) * float(V.max(initial=0.0)) * row[0]
    return H.reshape(operation.shape) * (1.0 + 2.0**-40), k, growth, max(peak, largest)


def _fft(operation):
    x, w = _windows_of_groups(operation)
    axes = tuple(range(3, x.ndim))
    norms_x, norms_w = np.sqrt((x**2).sum(axis=axes)), np.sqrt((w**2).sum(axis=axes))
    H = np.einsum("bgc,gkc->bgk", norms_x, norms_w) * (1.0 + 2.0**-40)
    sizes = [sum(pads) + a + b for pads, a, b in zip(operation.padding, x.shape[3:], w.shape[3:], strict=True)]
    L = 4 * sum(math.ceil(math.log2(size)) for size in sizes)
    k = 3 * L + math.sqrt(5) * (3 * L + 1) + 3 * L + x.shape[2] + 2
    growth = 4.0 * k * x.shape[2] * math.prod(sizes) * (1.0 + float(x.max(initial=0.0)) + float(w.max(initial=0.0)))
    largest = float(x.sum(axis=axes).max(initial=0.0)), float(w.sum(axis=axes).max(initial=0.0))
    peak = max(*largest, 4.0 * x.shape[2] * math.prod(sizes) * largest[0] * largest[1])
    return H.reshape(*operation.shape[:2], *(1,) * operation.spatial_ndim), k, growth, peak
