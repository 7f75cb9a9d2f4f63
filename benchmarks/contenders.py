"""The ways to compute a convolution that are compared.

A contender is a function ``prepare(layer, threads)`` that does everything that need not be timed (make operands, upcast
them, compile) and returns a call without arguments: the convolution alone, from operands to a new result.

Packages are imported inside the functions: a package that is not installed is a missing contender, not an error.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import inf, prod

from benchmarks.operands import float32_operands, float64_operands, full_float64_operands, int8_operands
from benchmarks.zoo import Layer


@dataclass(frozen=True)
class Contender:
    """One way to compute a convolution.

    Parameters
    ----------
    key : str
        Name in the results, ``package-operands``.
    title : str
        Name for people.
    package : str
        What has to be installed.
    home : str
        The process that runs it.  Packages with thread pools of their own that outlive a call get their own process.
    prepare : callable
        ``prepare(layer, threads)`` returns the call to be timed.
    affordable : callable
        ``affordable(layer)`` is false where the contender would take minutes or gigabytes.
    once_above : float
        A first call that takes longer than this many seconds is the measurement. For contenders that warm up nothing.
    tolerance : float
        Largest error accepted before timing, relative to N_terms * rms(input) * rms(weight).  A sanity check, no more.
    """

    key: str
    title: str
    package: str
    home: str
    prepare: Callable
    affordable: Callable[[Layer], bool] = lambda _: True
    tolerance: float = 1e-11
    once_above: float = inf


def _prepare_refconv(layer, threads, operands):
    import refconv

    a, b = operands(layer)
    geometry = (layer.stride, layer.padding, layer.dilation, layer.groups)
    calls = {
        "forward": lambda: refconv.conv2d(a, b, None, *geometry, threads=threads),
        "input gradient": lambda: refconv.grad.conv2d_input(layer.input, b, a, *geometry, threads=threads),
        "weight gradient": lambda: refconv.grad.conv2d_weight(a, layer.weight, b, *geometry, threads=threads),
    }
    return calls[layer.task]


def prepare_refconv_f32(layer, threads):
    """Correctly rounded float32 from float32 operands."""
    return _prepare_refconv(layer, threads, float32_operands)


def prepare_refconv_i8(layer, threads):
    """Exact int32 from int8 operands."""
    return _prepare_refconv(layer, threads, int8_operands)


def prepare_refconv_f64(layer, threads):
    """Correctly rounded float64 from float64 operands with all their bits in use."""
    return _prepare_refconv(layer, threads, full_float64_operands)


def _prepare_torch(layer, threads, operands):
    import torch

    torch.set_num_threads(threads)
    a, b = (torch.from_numpy(operand) for operand in operands(layer))
    geometry = (layer.stride, layer.padding, layer.dilation, layer.groups)
    if layer.task == "forward":
        return lambda: torch.nn.functional.conv2d(a, b, None, *geometry)
    # What autograd calls, with a mask of the gradients that are wanted; the operand that is not read has any values.
    by_input = layer.task == "input gradient"
    unread = torch.empty(layer.input if by_input else layer.weight, dtype=a.dtype)
    grad_output, x, w = (a, unread, b) if by_input else (b, a, unread)
    fixed = (*geometry[:3], False, [0, 0], layer.groups, [by_input, not by_input, False])
    return lambda: torch.ops.aten.convolution_backward(grad_output, x, w, None, *fixed)[0 if by_input else 1]


def prepare_torch_f64(layer, threads):
    """The reference most tests use today; operands are upcast beforehand, so the convolution alone is timed."""
    return _prepare_torch(layer, threads, float64_operands)


def prepare_torch_f32(layer, threads):
    """What networks run."""
    return _prepare_torch(layer, threads, float32_operands)


def prepare_jax_f64(layer, threads):  # noqa: ARG001 - the process's CPU set decides
    """XLA, compiled before timing, operands on the device."""
    import jax

    x, w = (jax.device_put(operand) for operand in float64_operands(layer))

    @jax.jit
    def conv(x, w):
        return jax.lax.conv_general_dilated(
            x,
            w,
            window_strides=layer.stride,
            padding=[(pad, pad) for pad in layer.padding],
            rhs_dilation=layer.dilation,
            dimension_numbers=("NCHW", "OIHW", "NCHW"),
            feature_group_count=layer.groups,
        )

    return lambda: conv(x, w).block_until_ready()


def prepare_numpy_f64(layer, threads):  # noqa: ARG001 - the process's environment decides
    """Windows as a view, copied into columns, and a matrix product."""
    import numpy as np
    from numpy.lib.stride_tricks import sliding_window_view

    x, w = float64_operands(layer)
    (pad_h, pad_w), (step_h, step_w), (dil_h, dil_w) = layer.padding, layer.stride, layer.dilation
    N, C_out, oH, oW = layer.output
    groups = layer.groups

    def call():
        padded = np.pad(x, ((0, 0), (0, 0), (pad_h, pad_h), (pad_w, pad_w))) if pad_h or pad_w else x
        windows = sliding_window_view(padded, layer.kernel_extent, axis=(2, 3))
        taps = windows[:, :, ::step_h, ::step_w, ::dil_h, ::dil_w]  # taps[n, g*ic, oh, ow, kh, kw]
        columns = taps.transpose(0, 1, 4, 5, 2, 3).reshape(N, groups, layer.terms, oH * oW)
        return (w.reshape(groups, C_out // groups, layer.terms) @ columns).reshape(N, C_out, oH, oW)

    return call


def prepare_onnx_f64(layer, threads):  # noqa: ARG001 - NumPy's threads, so the environment decides
    """ONNX's own reference implementation."""
    import onnx
    from onnx.reference import ReferenceEvaluator

    x, w = float64_operands(layer)
    node = onnx.helper.make_node(
        "Conv",
        ["X", "W"],
        ["Y"],
        strides=layer.stride,
        pads=layer.padding * 2,
        dilations=layer.dilation,
        group=layer.groups,
        kernel_shape=layer.weight[2:],
    )
    double = onnx.TensorProto.DOUBLE
    X = onnx.helper.make_tensor_value_info("X", double, layer.input)
    W = onnx.helper.make_tensor_value_info("W", double, layer.weight)
    Y = onnx.helper.make_tensor_value_info("Y", double, layer.output)
    evaluator = ReferenceEvaluator(onnx.helper.make_model(onnx.helper.make_graph([node], "conv", [X, W], [Y])))
    return lambda: evaluator.run(None, {"X": x, "W": w})[0]


def prepare_scipy_f64(layer, threads):  # noqa: ARG001 - one thread
    """A loop over images and output channels around ``correlate``, which sums over the input channels itself."""
    import numpy as np
    from scipy.signal import correlate

    x, w = float64_operands(layer)
    (pad_h, pad_w), (N, C_out, _, _) = layer.padding, layer.output
    C_in_group = layer.weight[1]
    C_out_group = C_out // layer.groups

    def call():
        padded = np.pad(x, ((0, 0), (0, 0), (pad_h, pad_h), (pad_w, pad_w)))
        y = np.empty(layer.output)
        for n in range(N):
            for oc in range(C_out):
                first_ic = oc // C_out_group * C_in_group
                y[n, oc] = correlate(padded[n, first_ic : first_ic + C_in_group], w[oc], mode="valid", method="direct")[
                    0
                ]
        return y

    return call


def _onnx_can_afford(layer):
    """The evaluator fills the holes of a dilated kernel with zeros: count those too."""
    return layer.macs * prod(layer.kernel_extent) / prod(layer.weight[2:]) < 2.5e9


def _scipy_can_afford(layer):
    """About 0.1e9 multiply-adds a second, so a few seconds a call; it knows neither stride nor dilation."""
    return layer.macs < 3e8 and layer.stride == layer.dilation == (1, 1)


CONTENDERS = {
    contender.key: contender
    for contender in (
        Contender("refconv-f32", "refconv", "refconv", "main", prepare_refconv_f32, tolerance=1e-6),
        Contender("refconv-i8", "refconv int8", "refconv", "main", prepare_refconv_i8, lambda _: _.data == "int8"),
        # 1e-6: its operands differ from the others' below float32's last bit.
        Contender("refconv-f64", "refconv float64", "refconv", "main", prepare_refconv_f64, tolerance=1e-6),
        Contender("torch-f64", "torch float64", "torch", "main", prepare_torch_f64),
        Contender("torch-f32", "torch float32", "torch", "main", prepare_torch_f32, tolerance=1e-4),
        Contender("jax-f64", "jax float64", "jax", "jax", prepare_jax_f64),
        Contender("numpy-f64", "NumPy im2col", "numpy", "numpy", prepare_numpy_f64),
        Contender("onnx-f64", "onnx reference", "onnx", "onnx", prepare_onnx_f64, _onnx_can_afford),
        Contender("scipy-f64", "SciPy direct", "scipy", "numpy", prepare_scipy_f64, _scipy_can_afford, once_above=0.3),
    )
}

PEERS = ("torch", "jax", "numpy", "onnx", "scipy")
FLOAT64_PEERS = ("torch-f64", "jax-f64", "numpy-f64", "onnx-f64", "scipy-f64")


def rung_counts():
    """Return how many output elements refconv has sent to each rung so far in this process, or None if it does not say.

    Returns
    -------
    dict or None
        Keys ``rung2`` and ``rung3``.
    """
    from refconv import kernels

    if not hasattr(kernels, "counters"):
        return None
    counters = kernels.counters()
    return {rung: counters[rung] for rung in ("rung2", "rung3")}
