"""JAX on the CPU: `jax.lax.conv_general_dilated`, `jax.lax.conv_transpose`, and the gradients by `jax.vjp`."""

import itertools

import numpy as np

from refconv.conformance.adapters.arguments import no_bias, no_groups, per_axis
from refconv.conformance.adapters.library_target import library_target
from refconv.conformance.profile import Profile
from refconv.conformance.targets.function import FunctionTarget
from refconv.testing import Claim

__all__ = ["PROFILE", "target"]

_FLUSHED = "JAX flushes subnormal numbers on the CPU (its documentation, 'Sharp bits')"
_SUMS = {"float32": "float32", "float64": "float64", "float16": "float32", "bfloat16": "float32"}

_CALLS_REMEMBERED = 100

# To compile a convolution takes XLA a fraction of a second, but, where an image of three axes is no larger than the
# kernel, a time that grows with the square of the channels: a minute for 256 of them.
_SECONDS = 200.0

# XLA's convolutions for the CPU take channels last. In any other layout, jax.lax's default among them, operands and
# result are transposed by code that is compiled for every shape and takes several times as long as the rest.
PROFILE = Profile(
    ops=(
        *("conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d"),
        *("conv1d_input", "conv2d_input", "conv3d_input", "conv1d_weight", "conv2d_weight", "conv3d_weight"),
    ),
    dtypes=tuple(_SUMS),
    claims={dtype: Claim(accumulate=sums, flush_subnormals=True) for dtype, sums in _SUMS.items()},
    layout="channels_last",
    weight_layout="SIO",
    padding="pairs",
    unsupported={
        "bias": "convolutions of jax.lax have no bias",
        "unbatched": "jax.lax wants a batch axis",
        "subnormals": _FLUSHED,
        "errors": "XLA gives a meaning to negative padding, and to kernels larger than the image: an empty result",
        "views": "a jax.Array has no strides",
        "conv_transpose1d:groups": "jax.lax.conv_transpose has no groups",
        "conv_transpose2d:groups": "jax.lax.conv_transpose has no groups",
        "conv_transpose3d:groups": "jax.lax.conv_transpose has no groups",
    },
    time_limit=_SECONDS,
)


def target(name: str) -> FunctionTarget:
    """Return JAX as a target."""
    import jax
    from jax import lax

    jax.config.update("jax_platforms", "cpu")
    jax.config.update("jax_enable_x64", True)

    def forward(x, w, stride, padding, dilation, groups):
        n = x.ndim - 2
        return lax.conv_general_dilated(
            x,
            w,
            per_axis(stride, n),
            padding,
            rhs_dilation=per_axis(dilation, n),
            dimension_numbers=_dimension_numbers(n),
            feature_group_count=groups,
        )

    def conv(input, weight, bias, *geometry):
        no_bias(bias)
        return np.asarray(forward(jax.device_put(input), jax.device_put(weight), *geometry))

    def conv_transpose(input, weight, bias, stride, padding, output_padding, groups, dilation):
        no_bias(bias)
        no_groups(groups)
        n = input.ndim - 2
        # What torch adds to the result at the end is padding that is not taken away there.
        extra = per_axis(output_padding, n)
        padding = [(begin, end - more) for (begin, end), more in zip(padding, extra, strict=True)]
        y = lax.conv_transpose(
            jax.device_put(input),
            jax.device_put(weight),
            per_axis(stride, n),
            padding,
            per_axis(dilation, n),
            dimension_numbers=_dimension_numbers(n),
            transpose_kernel=True,
            use_consistent_padding=True,
        )
        return np.asarray(y)

    def by_input(input_size, weight, grad_output, *geometry):
        w, zeros = jax.device_put(weight), jax.device_put(np.zeros(input_size, weight.dtype))
        _, pull_back = jax.vjp(lambda x: forward(x, w, *geometry), zeros)
        return np.asarray(pull_back(jax.device_put(grad_output))[0])

    def by_weight(input, weight_size, grad_output, *geometry):
        x, zeros = jax.device_put(input), jax.device_put(np.zeros(weight_size, input.dtype))
        _, pull_back = jax.vjp(lambda w: forward(x, w, *geometry), zeros)
        return np.asarray(pull_back(jax.device_put(grad_output))[0])

    calls = itertools.count(1)

    def forgetting(function):
        """Return a function that now and then throws away what was compiled: megabytes for each shape."""

        def call(*arguments):
            if next(calls) % _CALLS_REMEMBERED == 0:
                jax.clear_caches()
            return function(*arguments)

        return call

    functions = {}
    for n in (1, 2, 3):
        functions |= {f"conv{n}d": forgetting(conv), f"conv_transpose{n}d": forgetting(conv_transpose)}
        functions |= {f"conv{n}d_input": forgetting(by_input), f"conv{n}d_weight": forgetting(by_weight)}
    definitions = {f"conv{n}d": _definition(n) for n in (1, 2, 3)}
    return library_target(name, functions, PROFILE, {"jax": jax.__version__}, definitions)


def _dimension_numbers(n: int) -> tuple[str, str, str]:
    """Return the order of axes of image, weight and result, as the profile has it."""
    axes = "DHW"[-n:]
    return f"N{axes}C", f"{axes}IO", f"N{axes}C"


def _definition(n: int) -> list[str]:
    return [
        "import jax",
        'jax.config.update("jax_enable_x64", True)',
        "",
        f"def conv{n}d(input, weight, bias, stride, padding, dilation, groups):",
        f"    stride, dilation = (np.broadcast_to(a, {n}).tolist() for a in (stride, dilation))",
        "    padding = [pair if isinstance(pair, tuple) else (pair, pair)",
        f"               for pair in (padding if isinstance(padding, tuple) else (padding,) * {n})]",
        "    y = jax.lax.conv_general_dilated(input, weight, stride, padding, rhs_dilation=dilation,",
        f"                                     dimension_numbers={_dimension_numbers(n)},",
        "                                     feature_group_count=groups)",
        "    return np.asarray(y)",
    ]
