"""Small problems at random, on which a call's way to its kernel costs more than the kernel: the whole family.

The same seed gives the same problems on every machine.
"""

import itertools
from dataclasses import dataclass, field

import numpy as np
import torch

import refconv
from refconv.dtypes import named_dtype
from refconv.problem import ConvProblem
from refconv.testing.operation import Operation
from refconv.testing.terms import terms_of

DTYPES = ("float32", "float64", "float16", "bfloat16")
OPS = ("conv2d", "conv_transpose2d", "conv2d_input", "conv2d_weight", "conv2d_bias")


@dataclass(frozen=True)
class SmallProblem:
    """One call of the family, and a result of it that is right within its arithmetic.

    Parameters
    ----------
    op : str
        As for `refconv.testing.judge`.
    problem : ConvProblem
        The forward convolution; of a transposed one itself.
    operands, geometry : dict
        Arguments by name, as `judge` takes them.
    """

    op: str
    problem: ConvProblem
    operands: dict = field(repr=False)
    geometry: dict = field(repr=False)

    @property
    def name(self) -> str:
        """The function, the dtype and the descriptor; a bias is not in the latter."""
        bias = " with bias" if self.operands.get("bias") is not None else ""
        return f"{self.op} {self.dtype} {self.problem.descriptor}{bias}"

    @property
    def dtype(self) -> str:
        """That of the operands."""
        return next(a.dtype.name for a in self.operands.values() if isinstance(a, np.ndarray))

    @property
    def call(self) -> dict:
        """All arguments, as `judge` takes them."""
        return {**self.operands, **self.geometry, "op": self.op}

    def refconv(self):
        """The correctly rounded result, by the function that `op` names."""
        given = self.operands.values()
        if self.op in ("conv2d", "conv_transpose2d"):
            return getattr(refconv, self.op)(*given, **self.geometry)
        return getattr(refconv.grad, self.op)(*given, **self.geometry)

    def rounded_sums(self):
        """The result of float32 sums, or of float64 sums of such numbers: torch's, where torch has the function.

        The gradients are sums of NumPy's, and so are transposed convolutions in float16, of which torch makes float16
        sums.
        """
        if self.op.startswith("conv2d_") or (self.op, self.dtype) == ("conv_transpose2d", "float16"):
            return self._sums_of_numpy()
        tensors = [None if a is None else _tensor(a) for a in self.operands.values()]
        result = getattr(torch.nn.functional, self.op)(*tensors, **self.geometry)
        if result.dtype == torch.bfloat16:
            return result.view(torch.int16).numpy().view(named_dtype("bfloat16"))
        return result.numpy()

    def _sums_of_numpy(self):
        """Sums of the terms as NumPy adds them up."""
        operation = Operation.of(self.op, **self.operands, **self.geometry)
        terms = terms_of(operation)
        sums = terms.products(np.float64 if self.dtype == "float64" else np.float32).sum(axis=0)
        if terms.bias is not None:
            sums += terms.bias.astype(sums.dtype)
        return sums.astype(operation.dtype).reshape(operation.result_shape)


def _tensor(array):
    if array.dtype == named_dtype("bfloat16"):
        return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(array)


def small_problems(count: int, seed: int = 0):
    """Yield so many problems, of all functions and dtypes, and many of the kind that judging takes longest for.

    Kernels are of up to 7x7 taps, images of up to 32x32 numbers, with up to 16 channels. Every third problem is of that
    kind, a float32 kernel of one tap, with 2 to 8 channels on an image of 10x10 to 24x24: a short way through the
    kernel, and many results that are rounded differently.
    """
    rng = np.random.default_rng(seed)
    others = itertools.cycle(itertools.product(DTYPES, (OPS[0], *OPS)))  # forward convolutions twice
    for i in range(count):
        if i % 3:
            dtype, op = next(others)
            yield _any_problem(rng, op, dtype)
        else:
            C_in, C_out = (int(C) for C in rng.integers(2, 9, 2))
            size = int(rng.integers(10, 25))
            yield _problem(rng, "conv2d", "float32", (1, C_in, size, size), (C_out, C_in, 1, 1))


def _any_problem(rng, op, dtype) -> SmallProblem:
    kernel = int(rng.choice([1, 1, 2, 3, 3, 4, 5, 6, 7]))
    size = int(rng.integers(kernel, 33))
    groups = int(rng.choice([1, 1, 1, 2, 4]))
    C_in, C_out = (groups * int(rng.integers(1, 16 // groups + 1)) for _ in range(2))
    N, stride, padding = (int(rng.choice(values)) for values in ([1, 1, 2], [1, 1, 2, 3], [0, 0, 1, kernel // 2]))
    geometry = {"stride": stride, "padding": min(padding, kernel - 1), "groups": groups}
    return _problem(rng, op, dtype, (N, C_in, size, size), (C_out, C_in // groups, kernel, kernel), **geometry)


def _problem(rng, op, dtype, x_shape, w_shape, **geometry) -> SmallProblem:
    """With normally distributed numbers, and every other time a bias."""
    problem = ConvProblem.from_shapes(x_shape, w_shape, **geometry)
    C_out, C_in = problem.C_out, problem.C_in
    x, w, g, b, b_transposed = (
        rng.standard_normal(shape).astype(named_dtype(dtype))
        for shape in (x_shape, w_shape, problem.output_shape, C_out, C_in)
    )
    biased = rng.random() < 0.5
    if op == "conv_transpose2d":
        problem = ConvProblem.transposed_from_shapes(g.shape, w_shape, **geometry)
    operands = {
        "conv2d": {"input": x, "weight": w, "bias": b if biased else None},
        "conv_transpose2d": {"input": g, "weight": w, "bias": b_transposed if biased else None},
        "conv2d_input": {"input": x_shape, "weight": w, "grad_output": g},
        "conv2d_weight": {"input": x, "weight": w_shape, "grad_output": g},
        "conv2d_bias": {"grad_output": g},
    }
    return SmallProblem(op, problem, operands[op], {} if op == "conv2d_bias" else geometry)
