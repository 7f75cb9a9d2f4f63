"""What a target may declare that it does not have, and how to tell whether a case needs it."""

import difflib
import math
from collections.abc import Callable

import numpy as np

from refconv.testing.calls import ConvCase
from refconv.testing.formats import format_of
from refconv.testing.layouts import NEEDS_NEGATIVE_STRIDES

__all__ = ["FEATURES", "nearest_to", "needed_by"]


def _problem_has(predicate) -> Callable[[ConvCase], bool]:
    return lambda case: predicate(case.call.problem)


def _is_named(case: ConvCase) -> bool:
    return isinstance(case.call.padding, str) or case.call.padding_name is not None


def _uneven(p) -> bool:
    """Whether anything differs from axis to axis."""
    return any(len(set(values)) > 1 for values in (p.stride, p.padding, p.dilation, p.kernel_size))


def _output_padding_beyond_stride(p) -> bool:
    return any(extra >= s for extra, s in zip(p.output_padding, p.stride, strict=False))


def _leaves_rows(p) -> bool:
    if p.transposed:
        return False
    axes = zip(p.input_size, p.padding, p.dilation, p.kernel_size, p.stride, strict=True)
    return any((size + sum(pads) - d * (k - 1) - 1) % s for size, pads, d, k, s in axes)


def _kernel_beyond_image(p) -> bool:
    return any(d * (k - 1) >= size for k, d, size in zip(p.kernel_size, p.dilation, p.input_size, strict=True))


def _window_in_padding(p) -> bool:
    axes = zip(p.padding, p.kernel_size, p.dilation, strict=True)
    return any(max(pads) > d * (k - 1) for pads, k, d in axes)


def _subnormal(case: ConvCase) -> bool:
    """Whether an operand is subnormal, or all products are so small that one may be."""
    smallest = []
    for array in case.operands.given.values():
        if array.dtype.kind not in "fV" or not array.size:
            return False
        sizes = np.abs(array.astype(np.float64))
        smallest.append(sizes[sizes > 0].min(initial=np.inf))
    least_normal = 2.0 ** (2 - format_of(case.operands.dtype).emax - 1)
    return min(smallest, default=np.inf) < least_normal or math.prod(smallest[:2]) < least_normal


def _non_finite(case: ConvCase) -> bool:
    arrays = case.operands.given.values()
    return any(a.dtype.kind in "fV" and not np.isfinite(a.astype(np.float64)).all() for a in arrays)


#: What each feature is, and whether a right call needs it.
FEATURES: dict[str, tuple[str, Callable[[ConvCase], bool]]] = {
    "groups": ("groups > 1", _problem_has(lambda p: p.groups > 1)),
    "depthwise": (
        "as many groups as input channels, more than one",
        _problem_has(lambda p: p.groups == p.C_in > 1),
    ),
    "grouped": (
        "groups > 1 that is not depthwise",
        _problem_has(lambda p: 1 < p.groups < p.C_in),
    ),
    "stride": ("strides other than 1", _problem_has(lambda p: max(p.stride) > 1)),
    "dilation": ("dilations other than 1", _problem_has(lambda p: max(p.dilation) > 1)),
    "strided_dilation": (
        "strides and dilations other than 1 in one call",
        _problem_has(lambda p: max(p.stride) > 1 and max(p.dilation) > 1),
    ),
    "remainder": ("sizes that strides do not divide, so that rows are left over", _problem_has(_leaves_rows)),
    "padding": (
        "padding other than 0, as numbers",
        lambda case: not _is_named(case) and any(map(any, case.call.problem.padding)),
    ),
    "asymmetric_padding": (
        "different padding at both ends of an axis, without a name for it",
        lambda case: not _is_named(case) and any(begin != end for begin, end in case.call.problem.padding),
    ),
    "named_padding": ("padding='same' and 'valid'", lambda case: isinstance(case.call.padding, str)),
    "named_dilation": (
        "padding by name together with dilations other than 1",
        lambda case: _is_named(case) and max(case.call.problem.dilation) > 1,
    ),
    "uneven": (
        "stride, padding, dilation or kernel size that differ from axis to axis",
        _problem_has(_uneven),
    ),
    "output_padding": (
        "output_padding other than 0, of transposed convolutions",
        _problem_has(lambda p: any(p.output_padding)),
    ),
    "output_padding_beyond_stride": (
        "output_padding that is not less than the stride, but than the dilation",
        _problem_has(_output_padding_beyond_stride),
    ),
    "bias": ("a bias", lambda case: case.operands.bias is not None),
    "unbatched": ("input without a batch axis", _problem_has(lambda p: not p.batched)),
    "empty_batch": ("a batch of no images", _problem_has(lambda p: p.N == 0)),
    "views": ("operands that are not contiguous, aligned and writable", lambda case: bool(case.layouts)),
    "negative_strides": (
        "operands with negative strides in memory",
        lambda case: any(layout in NEEDS_NEGATIVE_STRIDES for layout in case.layouts.values()),
    ),
    "kernel_beyond_image": (
        "kernels that reach farther than the image without its padding",
        _problem_has(_kernel_beyond_image),
    ),
    "window_in_padding": (
        "padding so large that windows lie in it altogether",
        _problem_has(_window_in_padding),
    ),
    "subnormals": ("numbers below the least normal one", _subnormal),
    "non_finite": ("NaN and infinity", _non_finite),
    # These two are not about a case but about a clause as a whole.
    "errors": ("refusing wrong calls", lambda _: False),
    "threads": ("calls from several threads at the same time", lambda _: False),
}


def needed_by(case: ConvCase, among) -> list[str]:
    """Return which of some features a case of a right call needs.

    Parameters
    ----------
    case : ConvCase
    among : iterable of str
        Keys of `FEATURES`.
    """
    return [feature for feature in among if FEATURES[feature][1](case)]


def nearest_to(name: str) -> str | None:
    """Return the feature that is meant by a name which is none: that of a clause, say, or one with a slip in it.

    Examples
    --------
    >>> nearest_to("empty-batch"), nearest_to("bais"), nearest_to("channels")
    ('empty_batch', 'bias', None)
    """
    near = difflib.get_close_matches(name.lower().replace("-", "_"), FEATURES, n=1, cutoff=0.75)
    return near[0] if near else None
