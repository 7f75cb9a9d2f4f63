"""SciPy: `scipy.signal.correlate`, which knows neither batches nor channels, in a loop over both."""

import numpy as np

from refconv.conformance.adapters.library_target import library_target
from refconv.conformance.profile import Profile
from refconv.conformance.targets.function import FunctionTarget
from refconv.testing import Claim

__all__ = ["PROFILE", "target"]

_NONE = "scipy.signal.correlate has none"
_DTYPES = ("float32", "float64")
_UNSUPPORTED = {
    "stride": _NONE,
    "dilation": _NONE,
    "padding": "modes 'full' and 'same' are other conventions",
    "named_padding": "modes 'full' and 'same' are other conventions",
    "groups": _NONE,
    "bias": _NONE,
    "unbatched": "the loop goes over a batch",
    "errors": "operands are exchanged if the second one is larger, the documentation says",
}

PROFILE = Profile(ops=("conv1d", "conv2d", "conv3d"), dtypes=_DTYPES, unsupported=_UNSUPPORTED)

# Infinity and NaN spread through a whole transform, and so do rounding errors.
_BY_FFT = Profile(
    ops=PROFILE.ops,
    dtypes=_DTYPES,
    claims={dtype: Claim(accumulate=dtype, algorithm="fft") for dtype in _DTYPES},
    unsupported={**_UNSUPPORTED, "non_finite": "they spread through a transform", "subnormals": "lost in a transform"},
)


def target(name: str) -> FunctionTarget:
    """Return SciPy as a target; for the name ``scipy:fft`` by transforms."""
    import scipy
    import scipy.signal

    by_fft = name == "scipy:fft"

    def conv(input, weight, bias, stride, padding, dilation, groups):
        method = "fft" if by_fft else "direct"
        size = [length - k + 1 for length, k in zip(input.shape[2:], weight.shape[2:], strict=True)]
        result = np.zeros((len(input), len(weight), *size), input.dtype)
        for n, oc, ic in np.ndindex(len(input), *weight.shape[:2]):
            result[n, oc] += scipy.signal.correlate(input[n, ic], weight[oc, ic], mode="valid", method=method)
        return result

    profile = _BY_FFT if by_fft else PROFILE
    return library_target(name, dict.fromkeys(profile.ops, conv), profile, {"scipy": scipy.__version__})
