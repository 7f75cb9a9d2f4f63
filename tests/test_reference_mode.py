"""The mode: every way that torch has to a convolution leads to refconv, and the mode ends where it should.

The operands are random numbers on which torch is wrong, so that its bits and refconv's cannot be confused.
"""

import copy
import functools
import itertools
import threading

import pytest
import torch
import torch.nn.functional as F
import torch.utils.checkpoint
from torch_operands import ARGUMENTS, FUNCTIONS, as_array, has_bits_of, numbers, operands

import refconv
from refconv import functional, grad
from refconv.torch import reference_mode

# ---- Every way to a convolution ----


def expected(name, *given, **arguments):
    return getattr(functional, name)(*[None if tensor is None else as_array(tensor) for tensor in given], **arguments)


X, W, B = operands("conv2d")
Y = F.conv2d(X, W, B, **ARGUMENTS)
LAYER = torch.nn.Conv2d(4, 6, (3, 2), stride=2, padding=1, groups=2)
LAYER.load_state_dict({"weight": W, "bias": B})
W_UNGROUPED = numbers(6, 4, 3, 2, seed=3)
W_DEPTHWISE = numbers(8, 1, 3, 2, seed=4)
VOLUME, W_VOLUME = numbers(1, 2, 5, 5, 5), numbers(3, 2, 2, 2, 2, seed=1)
W_VOLUME_DEPTHWISE = numbers(4, 1, 2, 2, 2, seed=1)
GEOMETRY = [2, 2], [1, 1], [1, 1]  # stride, padding, dilation
aten = torch.ops.aten


@functools.cache
def traced():
    return torch.jit.trace(LAYER, X)


def in_inference_mode(function):
    def run():
        with torch.inference_mode():
            return function().clone()

    return run


def through_mkldnn_tensors(layer):
    def run():
        from torch.utils.mkldnn import to_mkldnn  # warns that it is deprecated

        converted = to_mkldnn(torch.nn.Sequential(copy.deepcopy(layer)).eval())
        y = converted(X.to_mkldnn())
        assert y.is_mkldnn
        return y.to_dense()

    return run


def gradient_by_function_transform():
    return torch.func.grad(lambda w: F.conv2d(X, w, **ARGUMENTS).square().sum() / 2)(W)


def gradient_by_checkpoint():
    w = W.clone().requires_grad_()
    y = torch.utils.checkpoint.checkpoint(lambda w: F.conv2d(X, w, **ARGUMENTS), w, use_reentrant=False)
    (y.square().sum() / 2).backward()
    return w.grad


def derivative_forwards():
    direction = torch.ones_like(W)
    return torch.func.jvp(lambda w: F.conv2d(X, w, **ARGUMENTS), (W,), (direction,))[1]


def weight_gradient_of_squares():
    y = expected("conv2d", X, W, **ARGUMENTS)
    return grad.conv2d_weight(as_array(X), W.shape, y, **ARGUMENTS)


LIKE_THE_LAYER = lambda: expected("conv2d", X, W, B, **ARGUMENTS)  # noqa: E731
WAYS = {
    "function": (lambda: F.conv2d(X, W, B, **ARGUMENTS), LIKE_THE_LAYER),
    "layer": (lambda: LAYER(X), LIKE_THE_LAYER),
    "method of torch": (lambda: torch.convolution(X, W, B, *GEOMETRY, False, [0, 0], 2), LIKE_THE_LAYER),
    "channels last": (
        lambda: F.conv2d(X.to(memory_format=torch.channels_last), W, B, **ARGUMENTS),
        LIKE_THE_LAYER,
    ),
    "inference mode": (in_inference_mode(lambda: LAYER(X)), LIKE_THE_LAYER),
    "inference mode, same": (
        in_inference_mode(lambda: F.conv2d(X, W, padding="same", groups=2)),
        lambda: expected("conv2d", X, W, padding="same", groups=2),
    ),
    "inference mode, transposed": (
        in_inference_mode(lambda: F.conv_transpose2d(X, W_DEPTHWISE[:4], groups=4)),
        lambda: expected("conv_transpose2d", X, W_DEPTHWISE[:4], groups=4),
    ),
    "traced": (lambda: traced()(X), LIKE_THE_LAYER),
    "scripted": (lambda: torch.jit.script(LAYER)(X), LIKE_THE_LAYER),
    "compiled": (lambda: torch.compile(LAYER, backend="eager")(X), LIKE_THE_LAYER),
    "mkldnn tensors": (through_mkldnn_tensors(LAYER), LIKE_THE_LAYER),
    "vmap": (lambda: torch.vmap(lambda x: F.conv2d(x, W, B, **ARGUMENTS))(X), LIKE_THE_LAYER),
    "func.grad": (gradient_by_function_transform, weight_gradient_of_squares),
    "func.jvp": (derivative_forwards, lambda: expected("conv2d", X, torch.ones_like(W), **ARGUMENTS)),
    "checkpoint": (gradient_by_checkpoint, weight_gradient_of_squares),
    "nn.grad input": (
        lambda: torch.nn.grad.conv2d_input(X.shape, W, Y, **ARGUMENTS),
        lambda: grad.conv2d_input(X.shape, as_array(W), as_array(Y), **ARGUMENTS),
    ),
    "nn.grad weight": (
        lambda: torch.nn.grad.conv2d_weight(X, W.shape, Y, **ARGUMENTS),
        lambda: grad.conv2d_weight(as_array(X), W.shape, as_array(Y), **ARGUMENTS),
    ),
    "_convolution": (
        lambda: torch._convolution(X, W, B, *GEOMETRY, False, [0, 0], 2, False, False, False, False),
        LIKE_THE_LAYER,
    ),
    "mkldnn_convolution": (
        lambda: torch.mkldnn_convolution(X, W, B, GEOMETRY[1], GEOMETRY[0], GEOMETRY[2], 2),
        LIKE_THE_LAYER,
    ),
    "thnn_conv2d": (
        lambda: torch._C._nn.thnn_conv2d(X, W_UNGROUPED, (3, 2), B, 2, 1),
        lambda: expected("conv2d", X, W_UNGROUPED, B, stride=2, padding=1),
    ),
    "slow_conv3d": (
        lambda: torch._C._nn.slow_conv3d(VOLUME, W_VOLUME, 2, None, 2, 1),
        lambda: expected("conv3d", VOLUME, W_VOLUME, stride=2, padding=1),
    ),
    "slow_conv_dilated2d": (
        lambda: torch._C._nn.slow_conv_dilated2d(X, W_UNGROUPED, (3, 2), B, 2, 1, 2),
        lambda: expected("conv2d", X, W_UNGROUPED, B, stride=2, padding=1, dilation=2),
    ),
    "slow_conv_dilated3d": (
        lambda: torch._C._nn.slow_conv_dilated3d(VOLUME, W_VOLUME, 2, None, 1, 1, 2),
        lambda: expected("conv3d", VOLUME, W_VOLUME, padding=1, dilation=2),
    ),
    "slow_conv_transpose2d": (
        lambda: torch._C._nn.slow_conv_transpose2d(X, W_UNGROUPED[:4], (3, 2), None, 2, 1, 1),
        lambda: expected("conv_transpose2d", X, W_UNGROUPED[:4], stride=2, padding=1, output_padding=1),
    ),
    "slow_conv_transpose3d": (
        lambda: torch._C._nn.slow_conv_transpose3d(VOLUME, W_VOLUME[:2], 2, None, 2),
        lambda: expected("conv_transpose3d", VOLUME, W_VOLUME[:2], stride=2),
    ),
}


@pytest.mark.filterwarnings("ignore")  # torch would like some of these ways to be forgotten
@pytest.mark.parametrize(("run", "expected_result"), WAYS.values(), ids=WAYS)
def test_every_way_to_a_convolution_leads_to_refconv(run, expected_result):
    bits = expected_result()
    # If torch gave these bits, the comparison would show nothing. (Torch first: it cannot trace in a mode.)
    assert not has_bits_of(run(), bits)
    with reference_mode():
        y = run()
    assert has_bits_of(y, bits)


def test_autocast_casts_before_the_mode_computes():
    with reference_mode(), torch.autocast("cpu", torch.bfloat16):
        y = LAYER(X)
    assert has_bits_of(y, expected("conv2d", X.bfloat16(), W.bfloat16(), B.bfloat16(), **ARGUMENTS))


# Not implemented by torch on the CPU; only the dispatcher, which the mode comes before, knows them.
DEVICES_OWN = {
    "convolution_overrideable": (
        lambda: aten.convolution_overrideable(X, W, B, *GEOMETRY, False, [0, 0], 2),
        LIKE_THE_LAYER,
    ),
    "depthwise 2-D": (
        lambda: aten._conv_depthwise2d(X, W_DEPTHWISE, [3, 2], None, *GEOMETRY),
        lambda: expected("conv2d", X, W_DEPTHWISE, stride=2, padding=1, groups=4),
    ),
    "depthwise 3-D": (
        lambda: aten.conv_depthwise3d(VOLUME, W_VOLUME_DEPTHWISE, [2] * 3, None, [1] * 3, [0] * 3, [1] * 3),
        lambda: expected("conv3d", VOLUME, W_VOLUME_DEPTHWISE, groups=2),
    ),
    "NNPACK": (
        lambda: aten._nnpack_spatial_convolution(X, W_UNGROUPED, B, [1, 1], [2, 2]),
        lambda: expected("conv2d", X, W_UNGROUPED, B, stride=2, padding=1),
    ),
}


@pytest.mark.parametrize(("run", "expected_result"), DEVICES_OWN.values(), ids=DEVICES_OWN)
def test_operations_that_other_devices_have_lead_to_refconv(run, expected_result):
    with reference_mode():
        y = run()
    assert has_bits_of(y, expected_result())


@pytest.mark.parametrize("operation", ["convolution_backward_overrideable", "_slow_conv2d_backward"])
def test_gradients_that_other_devices_have_lead_to_refconv(operation):
    shape = X.shape
    g = numbers(*F.conv2d(X, W_UNGROUPED, stride=2, padding=1).shape, seed=8)
    with reference_mode():
        if operation == "_slow_conv2d_backward":
            gradients = aten._slow_conv2d_backward.output_mask(g, X, W_UNGROUPED, [3, 2], [2, 2], [1, 1], [True] * 3)
        else:
            gradients = aten.convolution_backward_overrideable(
                g, X, W_UNGROUPED, *GEOMETRY, False, [0, 0], 1, [True, True, False]
            )
    assert has_bits_of(gradients[0], grad.conv2d_input(shape, as_array(W_UNGROUPED), as_array(g), stride=2, padding=1))
    assert has_bits_of(gradients[1], grad.conv2d_weight(as_array(X), W_UNGROUPED.shape, as_array(g), 2, 1))
    if operation == "_slow_conv2d_backward":
        assert has_bits_of(gradients[2], grad.conv2d_bias(as_array(g)))
    else:
        assert gradients[2] is None


def test_no_convolution_of_torch_is_overlooked():
    """Of all that torch has, what is named like a convolution is performed, taken apart or refused."""
    from refconv.torch.mode import _Kind, _kind

    names = {name for name in torch._C._dispatch_get_all_op_names() if "conv" in name}
    harmless = {name for name in names if _kind(overload(name)) is _Kind.OTHER}
    about = ("convert", "prepack", "unpack", "reorder")
    assert sorted(harmless) == sorted(name for name in names if any(word in name.split("::")[1] for word in about))
    kinds = {kind: {n for n in names if _kind(overload(n)) is kind} for kind in _Kind}
    assert {name.split(".")[0] for name in kinds[_Kind.COMPOSITE]} >= {f"aten::{name}" for name in FUNCTIONS}
    assert len(kinds[_Kind.FORWARD]) == 13
    assert len(kinds[_Kind.BACKWARD]) == 3


def overload(name):
    """The operation of a name such as aten::conv2d.padding."""
    namespace, _, rest = name.partition("::")
    packet, _, variant = rest.partition(".")
    return getattr(getattr(getattr(torch.ops, namespace), packet), variant or "default")


# ---- What it refuses, and what it leaves alone ----


@pytest.mark.filterwarnings("ignore:.*quantize")
def test_convolutions_that_refconv_does_not_have_are_refused():
    packed = torch.ops.quantized.conv2d_prepack(
        torch.quantize_per_tensor(W_UNGROUPED, 0.1, 0, torch.qint8), None, *GEOMETRY, 1
    )
    out = torch.empty(0)
    refused = {
        "quantized::conv2d_dynamic": lambda: torch.ops.quantized.conv2d_dynamic(X, packed),
        "aten::conv_tbc": lambda: F.conv_tbc(torch.ones(5, 2, 3), torch.ones(3, 3, 4), torch.ones(4)),
        "aten::convolution.out": lambda: aten.convolution.out(X, W, B, *GEOMETRY, False, [0, 0], 2, out=out),
        "aten::cudnn_convolution": lambda: aten.cudnn_convolution(X, W, *GEOMETRY, 2, False, False, False),
    }
    for name, call in refused.items():
        with reference_mode(), pytest.raises(NotImplementedError, match=f"^reference_mode: refconv has no {name}, and"):
            call()


def test_errors_leave_the_mode_as_it_was():
    with pytest.raises(refconv.ConvError, match=r"^Given groups=1, weight of size"), reference_mode():
        F.conv2d(X, W)
    assert not has_bits_of(LAYER(X), LIKE_THE_LAYER())
    with reference_mode():
        for _ in range(2):
            with pytest.raises(RuntimeError, match=r"^Given groups=1, weight of size"):
                F.conv2d(X, W)
            assert has_bits_of(LAYER(X), LIKE_THE_LAYER())
    assert not has_bits_of(LAYER(X), LIKE_THE_LAYER())


def test_errors_in_the_backward_pass_leave_the_mode_as_it_was():
    def refuse(gradient):  # noqa: ARG001
        raise ZeroDivisionError

    with reference_mode():
        y = LAYER(X)
        y.register_hook(refuse)
        with pytest.raises(ZeroDivisionError):
            y.sum().backward()
    assert not has_bits_of(LAYER(X), LIKE_THE_LAYER())


def test_modes_nest():
    mode = reference_mode()
    with mode, reference_mode(algorithm="direct"), mode:
        assert has_bits_of(LAYER(X), LIKE_THE_LAYER())
    assert not has_bits_of(LAYER(X), LIKE_THE_LAYER())
    with mode:
        assert has_bits_of(LAYER(X), LIKE_THE_LAYER())


def test_another_thread_needs_a_mode_of_its_own():
    results = {}

    def work():
        results["without"] = LAYER(X)
        with reference_mode():
            results["with"] = LAYER(X)

    with reference_mode():
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert not has_bits_of(results["without"], LIKE_THE_LAYER())
    assert has_bits_of(results["with"], LIKE_THE_LAYER())
    assert "Another thread" in reference_mode.__doc__


def test_a_backward_pass_after_the_mode_is_torchs():
    def weight_gradient(leave_first):
        w = W.clone().requires_grad_()
        mode = reference_mode()
        with mode:
            y = F.conv2d(X, w, **ARGUMENTS)
            if not leave_first:
                y.backward(Y)
        if leave_first:
            y.backward(Y)
        return w.grad

    exact = grad.conv2d_weight(as_array(X), W.shape, as_array(Y), **ARGUMENTS)
    assert has_bits_of(weight_gradient(leave_first=False), exact)
    assert not has_bits_of(weight_gradient(leave_first=True), exact)


def test_tensors_without_data_are_left_to_torch():
    from torch._subclasses import FakeTensorMode

    with reference_mode():
        assert F.conv2d(X.to("meta"), W.to("meta"), **ARGUMENTS).shape == Y.shape
        with FakeTensorMode() as fake:
            x, w = fake.from_tensor(X), fake.from_tensor(W)
            assert F.conv2d(x, w, **ARGUMENTS).shape == Y.shape
        assert F.conv2d(x, w, **ARGUMENTS).shape == Y.shape


def test_tensor_classes_with_a_dispatch_of_their_own_take_themselves_apart():
    from torch.testing._internal.two_tensor import TwoTensor

    with reference_mode():
        y = F.conv2d(TwoTensor(X, 2 * X), TwoTensor(W, W), **ARGUMENTS)
    assert has_bits_of(y.a, expected("conv2d", X, W, **ARGUMENTS))
    assert has_bits_of(y.b, expected("conv2d", 2 * X, W, **ARGUMENTS))


def test_a_complex_convolution_is_three_exact_real_ones():
    x, w = torch.complex(X, X.flip(0)), torch.complex(W, W.flip(0))
    with reference_mode():
        y = F.conv2d(x, w, **ARGUMENTS)
    (a, b), (c, d) = (x.real, x.imag), (w.real, w.imag)
    pairs = [(a, c), (b, d), (a + b, c + d)]
    ac, bd, both = (torch.from_numpy(expected("conv2d", *pair, **ARGUMENTS)) for pair in pairs)
    assert torch.equal(y, torch.complex(ac - bd, both - ac - bd))


def test_the_bits_do_not_depend_on_the_algorithm_or_the_threads():
    for algorithm, threads in itertools.product(("auto", "blocked", "direct"), (1, 2)):
        with reference_mode(algorithm=algorithm, threads=threads):
            assert has_bits_of(LAYER(X), LIKE_THE_LAYER())
