"""refconv's functions on tensors and their gradients of all orders, by themselves and in the place of torch's.

Two kinds of comparison, both exact. On small integers torch is exact as well, so any program may be run by torch itself
and by refconv. On other numbers the results must have the bits of `refconv.functional` and `refconv.grad`.
"""

import itertools
import subprocess
import sys
import textwrap

import pytest
import torch
import torch.nn.functional as F
from conv_problems import problems, torch_result
from hypothesis import example, given, settings
from torch.autograd import gradcheck, gradgradcheck
from torch_operands import ARGUMENTS, FUNCTIONS, as_array, every_dtype, has_bits_of, numbers, operands, whole_numbers

import refconv
import refconv.torch
from refconv import functional, grad
from refconv.problem import ConvProblem
from refconv.torch import reference_mode, tensors

every_function = pytest.mark.parametrize("name", FUNCTIONS)

# ---- The functions ----


@every_function
@every_dtype
@pytest.mark.parametrize("batch", [(2,), ()])
def test_functions_give_the_bits_of_refconv(name, dtype, batch):
    given = operands(name, dtype, batch)
    y = getattr(refconv.torch, name)(*given, **ARGUMENTS)
    assert y.dtype == dtype
    assert y.is_contiguous()
    assert has_bits_of(y, getattr(functional, name)(*map(as_array, given), **ARGUMENTS))


@pytest.mark.parametrize("name", FUNCTIONS[:3])
@every_dtype
def test_gradients_give_the_bits_of_refconv(name, dtype):
    x, w, b = given = operands(name, dtype, requires_grad=True)
    y = getattr(refconv.torch, name)(*given, **ARGUMENTS)
    g = numbers(*y.shape, seed=9, dtype=dtype)
    y.backward(g)
    x_, w_, g_ = map(as_array, (x, w, g))
    assert all(tensor.grad.is_contiguous() for tensor in given)
    assert has_bits_of(x.grad, getattr(grad, f"{name}_input")(x_.shape, w_, g_, **ARGUMENTS))
    assert has_bits_of(w.grad, getattr(grad, f"{name}_weight")(x_, w_.shape, g_, **ARGUMENTS))
    assert has_bits_of(b.grad, getattr(grad, f"{name}_bias")(g_))


@pytest.mark.parametrize("name", FUNCTIONS[3:])
@every_dtype
def test_gradients_of_transposed_functions_give_the_bits_of_refconv(name, dtype):
    x, w, b = given = operands(name, dtype, requires_grad=True)
    y = getattr(refconv.torch, name)(*given, **ARGUMENTS)
    g = numbers(*y.shape, seed=9, dtype=dtype)
    y.backward(g)
    # With input and output in exchanged roles they are those of the convolution that this one is the transpose of.
    conv = name.replace("conv_transpose", "conv")
    x_, w_, g_ = map(as_array, (x, w, g))
    assert has_bits_of(x.grad, getattr(functional, conv)(g_, w_, **ARGUMENTS))
    assert has_bits_of(w.grad, getattr(grad, f"{conv}_weight")(g_, w_.shape, x_, **ARGUMENTS))
    assert has_bits_of(b.grad, getattr(grad, f"{conv}_bias")(g_))


def derivatives(output, *operands):
    """A program's output, its gradients, and the gradients of those."""
    # Autograd objects to operands that a result does not depend on: those of an empty output, for instance.
    nothing = sum(0 * operand.sum() for operand in operands)
    first = torch.autograd.grad(output.square().sum() + nothing, operands, create_graph=True)
    second = torch.autograd.grad(sum(gradient.square().sum() for gradient in first) + nothing, operands)
    return [output, *first, *second]


def refconvs_result(problem, input, weight):
    arguments = [problem.stride, problem.padding, problem.dilation, problem.groups]
    if problem.transposed:
        arguments[2:] = problem.output_padding, problem.groups, problem.dilation
    return getattr(refconv.torch, problem.name)(input, weight, None, *arguments)


# In this one output_padding goes beyond a stride; in the other no tap reaches the output at all.
BEYOND_A_STRIDE = ConvProblem.transposed_from_shapes((1, 1, 3, 3), (1, 1, 2, 2), output_padding=2, dilation=3)
OUT_OF_REACH = ConvProblem.transposed_from_shapes(
    (1, 1, 1), (1, 1, 1), padding=1, output_padding=3, dilation=5, spatial_ndim=1
)


@settings(deadline=None, max_examples=50)
@given(problem=problems(largest=5))
@example(problem=BEYOND_A_STRIDE)
@example(problem=OUT_OF_REACH)
def test_functions_and_two_orders_of_gradients_agree_with_torch_on_integers(problem):
    x, w = whole_numbers(problem.input_shape), whole_numbers(problem.weight_shape, seed=1)
    ours = derivatives(refconvs_result(problem, x, w), x, w)
    theirs = derivatives(torch_result(problem, x, w), x, w)
    assert all(map(torch.equal, ours, theirs))


@settings(deadline=None, max_examples=50)
@given(problem=problems(largest=5))
@example(problem=BEYOND_A_STRIDE)
@example(problem=OUT_OF_REACH)
def test_the_mode_and_two_orders_of_gradients_agree_with_torch_on_integers(problem):
    x, w = whole_numbers(problem.input_shape), whole_numbers(problem.weight_shape, seed=1)
    theirs = derivatives(torch_result(problem, x, w), x, w)
    with reference_mode():
        ours = derivatives(torch_result(problem, x, w), x, w)
    assert all(map(torch.equal, ours, theirs))


CHECKED = {
    "plain": {},
    "strided": {"stride": 2, "padding": 1},
    "dilated": {"dilation": 2, "padding": 2},
    "grouped": {"groups": 2, "stride": 2},
}


@every_function
@pytest.mark.parametrize("arguments", CHECKED.values(), ids=CHECKED)
def test_gradients_are_derivatives(name, arguments):
    n, groups = int(name[-2]), arguments.get("groups", 1)
    x = numbers(1, 2, *[4, 3, 3][:n], dtype=torch.float64, requires_grad=True)
    w = numbers(2, 2 // groups, *[2] * n, seed=1, dtype=torch.float64, requires_grad=True)
    b = numbers(2, seed=2, dtype=torch.float64, requires_grad=True)

    def function(x, w, b):
        return getattr(refconv.torch, name)(x, w, b, **arguments)

    assert gradcheck(function, (x, w, b))
    assert gradgradcheck(function, (x, w, b))


@pytest.mark.parametrize("name", ["conv2d", "conv_transpose2d"])
def test_gradients_in_the_mode_are_derivatives(name):
    x = numbers(1, 2, 4, 3, dtype=torch.float64, requires_grad=True)
    w = numbers(2, 1, 2, 2, seed=1, dtype=torch.float64, requires_grad=True)
    b = numbers(2, seed=2, dtype=torch.float64, requires_grad=True)

    def function(x, w, b):
        return getattr(F, name)(x, w, b, stride=2, padding=1, groups=2)

    with reference_mode():
        assert gradcheck(function, (x, w, b))
        assert gradgradcheck(function, (x, w, b))


@pytest.mark.parametrize("name", ["conv1d", "conv_transpose1d"])
def test_gradients_of_complex_functions_are_derivatives(name):
    shapes = (1, 2, 5), (2, 1, 2), (2,)
    x, w, b = (
        torch.complex(numbers(*shape, seed=seed, dtype=torch.float64), numbers(*shape, seed=-seed, dtype=torch.float64))
        for seed, shape in enumerate(shapes, start=1)
    )

    def function(x, w, b):
        return getattr(refconv.torch, name)(x, w, b, stride=2, padding=1, groups=2)

    y = getattr(functional, name)(x, w, b, stride=2, padding=1, groups=2)
    assert torch.equal(function(x, w, b), torch.from_numpy(y))
    variables = [tensor.requires_grad_() for tensor in (x, w, b)]
    assert gradcheck(function, variables)
    assert gradgradcheck(function, variables)


# Of the integers torch has transposed convolutions for these only.
INTEGERS = [("conv2d", dtype) for dtype in (torch.int8, torch.uint8, torch.int16, torch.int32, torch.int64)]
INTEGERS += [("conv_transpose2d", torch.int64)]


@pytest.mark.parametrize(("name", "dtype"), INTEGERS, ids=str)
def test_integers_keep_their_dtype_and_wrap_around_as_in_torch(name, dtype):
    info = torch.iinfo(dtype)
    given = [torch.randint(info.min, info.max, tensor.shape).to(dtype) for tensor in operands(name)]
    theirs = getattr(F, name)(*given, **ARGUMENTS)
    with reference_mode():
        in_the_mode = getattr(F, name)(*given, **ARGUMENTS)
    for ours in (in_the_mode, getattr(refconv.torch, name)(*given, **ARGUMENTS)):
        assert ours.dtype == dtype
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize("dtype", [torch.float8_e4m3fn, torch.float8_e5m2], ids=str)
@pytest.mark.parametrize("name", ["conv2d", "conv_transpose2d"])
def test_float8_operands_give_float32_and_their_gradients_float8(name, dtype):
    """All of these small integers are numbers of both formats, and their sums are exact in float32."""
    numbers = [torch.randint(-2, 3, tensor.shape).float().requires_grad_() for tensor in operands(name)]
    theirs = getattr(F, name)(*numbers, **ARGUMENTS)
    gradients = torch.autograd.grad(theirs.sum(), numbers)
    with reference_mode():
        for function in (getattr(F, name), getattr(refconv.torch, name)):
            given = [tensor.detach().to(dtype).requires_grad_() for tensor in numbers]
            ours = function(*given, **ARGUMENTS)
            assert ours.dtype == torch.float32
            assert torch.equal(ours, theirs)
            for found, expected in zip(torch.autograd.grad(ours.sum(), given), gradients, strict=True):
                assert found.dtype == dtype
                assert torch.equal(found.float(), expected.to(dtype).float())


def test_string_and_pair_paddings():
    x, w, _ = operands("conv2d", requires_grad=True)
    for padding in ("same", "valid", ((0, 1), (2, 0))):
        y = refconv.torch.conv2d(x, w, padding=padding, groups=2)
        assert has_bits_of(y, refconv.conv2d(x, w, padding=padding, groups=2))
        y.sum().backward()


def test_only_the_gradients_that_are_needed_are_computed(monkeypatch):
    computed = []
    for name in ("input", "weight", "bias"):
        function = getattr(tensors, f"gradient_of_{name}")
        monkeypatch.setattr(
            tensors,
            f"gradient_of_{name}",
            lambda *arguments, name=name, function=function: computed.append(name) or function(*arguments),
        )
    for needed in itertools.product([False, True], repeat=3):
        for run, function in ((reference_mode, F.conv2d), (torch.enable_grad, refconv.torch.conv2d)):
            given = [tensor.requires_grad_(need) for tensor, need in zip(operands("conv2d"), needed, strict=True)]
            computed.clear()
            with run():
                y = function(*given, **ARGUMENTS)
                if y.requires_grad:
                    y.sum().backward()
            assert set(computed) == {n for n, need in zip(("input", "weight", "bias"), needed, strict=True) if need}


def test_errors_are_refconvs():
    x, w, _ = operands("conv2d")
    with pytest.raises(refconv.ConvError, match=r"^Given groups=1, weight of size \[6, 2, 3, 2\], expected input"):
        refconv.torch.conv2d(x, w)
    with pytest.raises(refconv.ConvError, match=r"^conv2d\(\): operands must share one dtype"):
        refconv.torch.conv2d(x, w.double(), groups=2)
    with pytest.raises(TypeError, match=r"^conv2d\(\): argument 'input' must be a torch tensor, not numpy\.ndarray"):
        refconv.torch.conv2d(x.numpy(), w)
    with pytest.raises(TypeError, match=r"^conv_transpose1d\(\): argument 'bias' must be a torch tensor, not int"):
        refconv.torch.conv_transpose1d(x, w, 0)


def test_the_algorithm_is_handed_on():
    x, w, b = operands("conv2d", requires_grad=True)
    for algorithm in ("direct", "blocked"):
        y = refconv.torch.conv2d(x, w, b, **ARGUMENTS, algorithm=algorithm, threads=1)
        assert has_bits_of(y, refconv.conv2d(x, w, b, **ARGUMENTS))
        y.sum().backward()
    with pytest.raises(refconv.ConvError, match="argument 'algorithm'"):
        refconv.torch.conv2d(x, w, b, **ARGUMENTS, algorithm="fast")
    with reference_mode(algorithm="fast"), pytest.raises(refconv.ConvError, match="argument 'algorithm'"):
        F.conv2d(x, w, b, **ARGUMENTS)


# ---- In processes of their own ----


def run_python(program):
    result = subprocess.run(
        [sys.executable, "-W", "error::UserWarning:__main__", "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_nothing_but_refconv_torch_imports_torch():
    run_python(
        """
        import sys
        import refconv, refconv.nn, refconv.grad, refconv.testing
        refconv.nn.Conv2d(1, 1, 1, dtype="float64")([[[1.0]]])
        assert "torch" not in sys.modules
        import refconv.torch
        assert sys.modules["torch"].__version__
        """
    )


PYTHON_DEVICE = """
    import warnings

    import torch
    import torch.nn.functional as F
    from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

    _setup_privateuseone_for_python_backend("far")

    class Far(torch.Tensor):
        @staticmethod
        def __new__(cls, raw):
            tensor = torch._C._acc.create_empty_tensor(raw.shape, raw.dtype)
            tensor.__class__ = Far
            return tensor

        def __init__(self, raw):
            self.raw = raw

    def raw(tensor):
        return tensor.raw if tensor.device.type == "far" else tensor

    @torch.library.impl("aten::_copy_from", "privateuseone")
    def _(source, destination, non_blocking=False):
        raw(destination).copy_(raw(source))
        return destination

    @torch.library.impl("aten::empty_strided", "privateuseone")
    def _(size, stride, *, dtype=None, layout=None, device=None, pin_memory=None):
        return Far(torch.empty_strided(size, stride, dtype=dtype))
"""


@pytest.mark.skipif(
    not hasattr(torch.utils.backend_registration, "_setup_privateuseone_for_python_backend"),
    reason="this torch cannot have a device in Python",
)
def test_tensors_on_other_devices_are_copied_there_and_back_with_one_warning():
    program = textwrap.dedent(PYTHON_DEVICE) + textwrap.dedent(
        """
        import refconv
        import refconv.torch

        x, w = torch.randn(2, 4, 7, 6), torch.randn(6, 4, 3, 3)
        with warnings.catch_warnings(record=True) as caught, refconv.torch.reference_mode():
            warnings.simplefilter("always")
            for _ in range(2):
                y = F.conv2d(x.to("far"), w.to("far"))
                assert y.device.type == "far", y.device
                assert torch.equal(y.raw, torch.from_numpy(refconv.conv2d(x, w)))
            (gradient,) = torch.ops.aten.convolution_backward(
                y, x.to("far"), w.to("far"), None, [1, 1], [0, 0], [1, 1], False, [0, 0], 1, [True, False, False]
            )[:1]
            assert gradient.device.type == "far"
            refconv.torch.conv2d(x.to("far"), w.to("far"))
        texts = [str(warning.message) for warning in caught]
        assert texts == ["refconv computes on the CPU: tensors on far are copied there and back"], texts
        """
    )
    run_python(program)
