"""From the suite's conventions, which are torch's, to those that a profile declares, and back."""

from collections.abc import Callable

import numpy as np

from refconv.conformance.profile import Profile
from refconv.errors import ConvError
from refconv.testing.calls import SIGNATURES, ConvCall, Operands

__all__ = ["call_of", "result_from_target", "values_for_target", "with_torch_conventions"]

_IMAGES = ("input", "grad_output")


def values_for_target(call: ConvCall, operands: Operands, profile: Profile) -> tuple[dict, Callable[[dict], tuple]]:
    """Return a call as a target with a profile expects it.

    Parameters
    ----------
    call : ConvCall
    operands : Operands
    profile : Profile

    Returns
    -------
    arrays : dict of str to ndarray
        The operands by name, in C order, in the target's order of axes.
    arguments : callable
        Takes the arrays, perhaps laid out otherwise in memory, and returns all arguments in the order of the signature.
    """
    arrays = {name: _array_for_target(call, name, array, profile) for name, array in operands.given.items()}
    values = dict(call.keywords)
    if "padding" in values:
        values["padding"] = _padding_for_target(call, profile)
    if "input_size" in values:
        values["input_size"] = _permuted(call.input_shape, _image_axes(len(call.input_shape), call, profile))
    if "weight_size" in values:
        values["weight_size"] = _permuted(call.weight_shape, _weight_axes(len(call.weight_shape), profile))

    def arguments(laid_out: dict) -> tuple:
        return tuple(values.get(name, laid_out.get(name)) for name in SIGNATURES[call.op])

    return arrays, arguments


def result_from_target(call: ConvCall, result: np.ndarray, profile: Profile) -> np.ndarray:
    """Return a target's result in the suite's order of axes; one of a wrong number of axes as it is."""
    if call.kind == "by bias":
        return result
    if call.kind == "by weight":
        axes = _weight_axes(result.ndim, profile)
        kernel = result.transpose(np.argsort(axes)) if len(axes) == result.ndim else result
        return _turned(kernel) if profile.flip else kernel
    axes = _image_axes(result.ndim, call, profile)
    return result.transpose(np.argsort(axes))


def _array_for_target(call, name, array, profile):
    if name in _IMAGES:
        array = array.transpose(_image_axes(array.ndim, call, profile))
    elif name == "weight":
        if profile.flip:
            array = _turned(array)
        array = array.transpose(_weight_axes(array.ndim, profile))
    return array.copy(order="C")


def _image_axes(ndim: int, call: ConvCall, profile: Profile) -> list[int]:
    """Return where the axes of an image of the target's come from in one of torch's."""
    axes = list(range(ndim))
    batch_axes = ndim - 1 - call.spatial_ndim
    if profile.layout == "channels_last" and batch_axes in (0, 1):
        axes.append(axes.pop(batch_axes))
    return axes


def _weight_axes(ndim: int, profile: Profile) -> list[int]:
    positions = {"O": [0], "I": [1], "S": list(range(2, ndim))}
    return [axis for letter in profile.weight_layout for axis in positions[letter]][: max(ndim, 0)] if ndim > 1 else [0]


def _turned(weight):
    """The kernel by 180 degrees: all spatial axes reversed."""
    return weight[(..., *(slice(None, None, -1),) * max(weight.ndim - 2, 0))]


def _permuted(shape, axes):
    return tuple(shape[axis] for axis in axes)


def _padding_for_target(call: ConvCall, profile: Profile):
    if call.padding_name is not None:
        return call.padding_name
    if profile.padding == "torch":
        return call.padding
    if isinstance(call.padding, str):
        names = {"onnx": {"same": "SAME_UPPER"}, "tensorflow": {"same": "SAME"}}
        return names.get(profile.padding, {}).get(call.padding, call.padding.upper())
    try:
        pairs = call.problem.padding
    except (ConvError, TypeError):
        # A wrong call, which the target is to refuse; spelt as well as can be.
        per_axis = call.padding if isinstance(call.padding, tuple) else (call.padding,) * call.spatial_ndim
        pairs = tuple(value if isinstance(value, tuple) else (value, value) for value in per_axis)
    if profile.padding == "onnx":
        return [begin for begin, _ in pairs] + [end for _, end in pairs]
    return pairs


def with_torch_conventions(function, op: str, profile: Profile):
    """Return a function with the conventions of a profile as one with torch's and refconv's.

    Parameters
    ----------
    function : callable
    op : str
        What it computes.
    profile : Profile

    Returns
    -------
    callable
        With the plain signature of `op`.
    """

    def converted(*values):
        call, operands = call_of(op, values)
        arrays, arguments = values_for_target(call, operands, profile)
        return result_from_target(call, np.asarray(function(*arguments(arrays))), profile)

    return converted


def call_of(op: str, values: tuple) -> tuple[ConvCall, Operands]:
    """Return the call that `op` is called with, and its operands: the inverse of `ConvCall.values`."""
    named = dict(zip(SIGNATURES[op], values, strict=True))
    arrays = {name: named[name] for name in Operands._fields if named.get(name) is not None}
    shapes = {name: named.get(f"{name}_size", getattr(arrays.get(name), "shape", ())) for name in Operands._fields}
    settings = {name: value for name, value in named.items() if hasattr(ConvCall, name)}
    if isinstance(settings.get("padding"), str) and settings["padding"].isupper():
        settings["padding_name"] = settings["padding"]
    call = ConvCall(
        shapes["input"],
        shapes["weight"],
        shapes["bias"] or None,
        **settings,
        op=op,
        grad_shape=shapes["grad_output"] or None,
    )
    return call, Operands(**arrays)
