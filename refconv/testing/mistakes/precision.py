"""Arithmetic that is poorer than it was said to be."""

import numpy as np

from refconv.testing.formats import FORMATS, TF32, format_of
from refconv.testing.mistakes.mistake import MISTAKES, Mistake, mistake

__all__ = ["cast", "truncated"]


def cast(array: np.ndarray, fmt) -> np.ndarray:
    """Round numbers to the precision of a format, to nearest, and keep their dtype. Its range is not looked at."""
    return _to_precision(array, fmt, np.rint)


def truncated(array: np.ndarray, fmt) -> np.ndarray:
    """Cut numbers off at the precision of a format, and keep their dtype."""
    return _to_precision(array, fmt, np.trunc)


def _to_precision(array, fmt, to_integer):
    if fmt.precision >= format_of(array.dtype).precision:
        return array
    with np.errstate(all="ignore"):
        significand, exponent = np.frexp(array.astype(np.float64))
        kept = np.ldexp(to_integer(np.ldexp(significand, fmt.precision)), exponent - fmt.precision)
        return kept.astype(array.dtype)


def _both(operation, change, fmt):
    if format_of(operation.dtype).precision <= fmt.precision:
        return None
    return operation.replace(x=change(operation.x, fmt), w=change(operation.w, fmt))


@mistake("inputs rounded to TF32", "pytorch/pytorch#107514", floats_only=True)
def tf32(operation):
    """Input and weight are rounded to 11 bits before they are multiplied."""
    return _both(operation, cast, TF32)


@mistake("inputs truncated to TF32", floats_only=True)
def tf32_truncated(operation):
    """Input and weight are cut off after 11 bits before they are multiplied."""
    return _both(operation, truncated, TF32)


@mistake("inputs rounded to bfloat16", floats_only=True)
def bfloat16_inputs(operation):
    """Input and weight are rounded to 8 bits before they are multiplied."""
    return _both(operation, cast, FORMATS["bfloat16"])


@mistake("inputs truncated to bfloat16", floats_only=True)
def bfloat16_truncated(operation):
    """Input and weight are cut off after 8 bits before they are multiplied."""
    return _both(operation, truncated, FORMATS["bfloat16"])


@mistake("inputs rounded to float32", floats_only=True)
def float32_inputs(operation):
    """float64 operands are rounded to float32 before they are multiplied."""
    return _both(operation, cast, FORMATS["float32"])


@mistake("weight rounded to bfloat16", floats_only=True)
def bfloat16_weight(operation):
    """Only the weight is rounded to 8 bits, the input is not."""
    if format_of(operation.dtype).precision <= 8:
        return None
    return operation.replace(w=cast(operation.w, FORMATS["bfloat16"]))


@mistake("result rounded to float16", finish=True, floats_only=True)
def float16_result(result, operation):
    """The result is in float16 for a while."""
    return cast(result, FORMATS["float16"])


@mistake("result rounded to bfloat16", finish=True, floats_only=True)
def bfloat16_result(result, operation):
    """The result is in bfloat16 for a while."""
    return cast(result, FORMATS["bfloat16"])


@mistake("weight scaled by 1 + 2**-10", floats_only=True)
def scaled(operation):
    """A scale, of a quantisation or a normalisation, is not quite right."""
    with np.errstate(all="ignore"):
        w = operation.w.astype(np.float64) * (1 + 2.0**-10)
        return operation.replace(w=w.astype(operation.dtype)) if format_of(operation.dtype).precision > 11 else None


for _name, _reference in (("float16", "ggml-org/llama.cpp#15680"), ("bfloat16", None), ("float32", None)):
    MISTAKES[f"sums in {_name}"] = Mistake(
        f"sums in {_name}",
        f"Products and partial sums are rounded to {_name}.",
        _reference,
        accumulate=_name,
        floats_only=True,
    )
