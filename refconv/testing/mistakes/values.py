"""Numbers that are special, and results that are no convolution at all."""

import numpy as np

from refconv.testing.formats import format_of
from refconv.testing.mistakes.mistake import mistake


def _operands(operation, change):
    with np.errstate(all="ignore"):
        changed = [None if a is None else change(a).astype(a.dtype) for a in (operation.x, operation.w, operation.bias)]
    return operation.replace(x=changed[0], w=changed[1], bias=changed[2])


@mistake("NaN operands taken for zero", "tensorflow/tensorflow#63391", floats_only=True)
def nan_operands(operation):
    """A NaN in an operand does not reach the result."""
    return _operands(operation, lambda a: np.where(np.isnan(a), a.dtype.type(0), a))


@mistake("NaN results replaced by zero", "tensorflow/tensorflow#63391", finish=True, floats_only=True)
def nan_results(result, operation):
    """A result that should be NaN is zero."""
    return np.where(np.isnan(result), result.dtype.type(0), result)


@mistake("infinities replaced by the largest number", floats_only=True)
def clipped(operation):
    """Infinite operands are clipped."""

    def change(a):
        largest = a.dtype.type(format_of(a.dtype).largest)
        return np.where(np.isinf(a), np.copysign(largest, a), a)

    return _operands(operation, change)


def _flush(a):
    tiny = 2.0 ** (1 - format_of(a.dtype).emax)
    return np.where(np.abs(a.astype(np.float64)) < tiny, a.dtype.type(0), a)


@mistake("subnormal results flushed to zero", "torch.set_flush_denormal(True)", finish=True, floats_only=True)
def flushed_results(result, operation):
    """Results below the least normal number are zero."""
    return _flush(result)


@mistake("subnormal operands flushed to zero", "torch.set_flush_denormal(True)", floats_only=True)
def flushed_operands(operation):
    """Operands below the least normal number are taken for zero."""
    return _operands(operation, _flush)


@mistake("all zeros", "ScalingIntelligence/KernelBench#165", finish=True)
def zeros(result, operation):
    """Nothing is computed."""
    return np.zeros_like(result)


@mistake("constant zero products lost", "pytorch/pytorch#35655", finish=True, floats_only=True)
def noise(result, operation):
    """Zeros come out as noise, as from an FFT."""
    return np.where(result == 0, result.dtype.type(2.0**-12), result)


@mistake("negative results cut off", finish=True)
def relu(result, operation):
    """A ReLU is applied to the result."""
    with np.errstate(invalid="ignore"):
        return np.where(result < 0, result.dtype.type(0), result)


@mistake("wrong sign", finish=True)
def negated(result, operation):
    """Every result has the wrong sign."""
    return -result


@mistake("absolute values")
def absolute(operation):
    """The signs of the weights are lost."""
    return operation.replace(w=np.abs(operation.w).astype(operation.w.dtype))
