"""LiteRT (TensorFlow Lite) on the CPU: a model of one CONV_2D or TRANSPOSE_CONV, built for every call."""

from dataclasses import replace

import numpy as np

from refconv.conformance.adapters.arguments import groups_by_shapes, no_groups, per_axis
from refconv.conformance.adapters.library_target import library_target
from refconv.conformance.profile import Profile
from refconv.conformance.targets.function import FunctionTarget
from refconv.testing import Claim

__all__ = ["PROFILE", "target"]

PROFILE = Profile(
    ops=("conv2d", "conv_transpose2d"),
    dtypes=("float32",),
    layout="channels_last",
    weight_layout="OSI",
    padding="tensorflow",
    unsupported={
        "unbatched": "CONV_2D has a batch axis",
        "padding": "padding is SAME or VALID",
        "views": "the Python binding copies what is not contiguous",
        "conv_transpose2d:groups": "TRANSPOSE_CONV has no groups",
        "conv_transpose2d:dilation": "TRANSPOSE_CONV has no dilation",
    },
)

# XNNPACK runs its kernels with pthreadpool's flag DISABLE_DENORMALS.
_BY_XNNPACK = replace(
    PROFILE,
    claims={"float32": Claim(flush_subnormals=True)},
    unsupported={**PROFILE.unsupported, "subnormals": "XNNPACK tells the processor to flush them"},
)


def target(name: str) -> FunctionTarget:
    """Return LiteRT as a target; for the name ``litert:builtin`` without XNNPACK."""
    import importlib.metadata

    from ai_edge_litert import interpreter as litert
    from ai_edge_litert import schema_py_generated as schema

    resolver = litert.OpResolverType.AUTO
    if name == "litert:builtin":
        resolver = litert.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES

    def run(operator, options, constants, image, output_shape):
        """Run a model whose operands are the constants and the image; None stands for the image's place."""
        model = _model(schema, operator, options, constants, image, output_shape)
        interpreter = litert.Interpreter(model_content=model, experimental_op_resolver_type=resolver, num_threads=1)
        interpreter.allocate_tensors()
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], image)
        interpreter.invoke()
        return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])

    def named(padding):
        known = {"SAME": schema.Padding.SAME, "VALID": schema.Padding.VALID}
        if padding in known:
            return known[padding]
        if isinstance(padding, str) or any(map(any, padding)):
            raise ValueError(f"padding is SAME or VALID, not {padding}")
        return schema.Padding.VALID

    def conv2d(input, weight, bias, stride, padding, dilation, groups):
        groups_by_shapes(groups, input.shape[-1], weight.shape[-1])
        options = schema.Conv2DOptionsT()
        options.padding = named(padding)
        options.strideH, options.strideW = per_axis(stride, 2)
        options.dilationHFactor, options.dilationWFactor = per_axis(dilation, 2)
        if bias is None:
            # The interpreter's own kernel needs one.
            bias = np.zeros(len(weight), np.float32)
        return run("Conv2D", options, [None, weight, bias], input, None)

    def conv_transpose2d(input, weight, bias, stride, padding, output_padding, groups, dilation):
        no_groups(groups)
        options = schema.TransposeConvOptionsT()
        options.padding = named(padding)
        options.strideH, options.strideW = strides = per_axis(stride, 2)
        extra = per_axis(output_padding, 2)
        axes = zip(input.shape[1:3], strides, weight.shape[1:3], extra, strict=True)
        size = [(n - 1) * s + k + e for n, s, k, e in axes]
        output_shape = np.array([len(input), *size, weight.shape[-1]], np.int32)
        # Output channels come first.
        weight = np.ascontiguousarray(weight.swapaxes(0, -1))
        constants = [output_shape, weight, None, bias][: 3 if bias is None else 4]
        return run("TransposeConv", options, constants, input, output_shape)

    version = importlib.metadata.version("ai-edge-litert")
    functions = {"conv2d": conv2d, "conv_transpose2d": conv_transpose2d}
    profile = PROFILE if name == "litert:builtin" else _BY_XNNPACK
    return library_target(name, functions, profile, {"ai-edge-litert": version})


_CODES = {"Conv2D": "CONV_2D", "TransposeConv": "TRANSPOSE_CONV"}


def _model(schema, operator, options, operands, image, output_shape) -> bytes:
    """Return a model of one operator; where an operand is None, the image comes in."""
    import flatbuffers

    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = getattr(schema.BuiltinOperator, _CODES[operator])
    code.version = 3 if operator == "TransposeConv" and len(operands) == 4 else 1
    buffers, tensors = [schema.BufferT()], []

    def add_tensor(name, shape, dtype, numbers=None):
        tensor = schema.TensorT()
        tensor.name, tensor.shape = name, list(shape)
        tensor.type = schema.TensorType.INT32 if dtype == np.int32 else schema.TensorType.FLOAT32
        tensor.buffer = 0
        if numbers is not None:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(numbers.tobytes(), np.uint8)
            tensor.buffer = len(buffers)
            buffers.append(buffer)
        tensors.append(tensor)
        return len(tensors) - 1

    inputs, image_index = [], None
    for number, array in enumerate(operands):
        if array is None:
            image_index = add_tensor("image", image.shape, image.dtype)
            inputs.append(image_index)
        else:
            inputs.append(add_tensor(f"constant{number}", array.shape, array.dtype, array))
    # Without a shape, it is worked out when tensors are allocated.
    result = add_tensor("result", [1] * image.ndim if output_shape is None else output_shape, image.dtype)

    node = schema.OperatorT()
    node.opcodeIndex, node.inputs, node.outputs = 0, inputs, [result]
    node.builtinOptionsType = getattr(schema.BuiltinOptions, f"{operator}Options")
    node.builtinOptions = options
    graph = schema.SubGraphT()
    graph.tensors, graph.operators, graph.inputs, graph.outputs = tensors, [node], [image_index], [result]
    model = schema.ModelT()
    model.version, model.operatorCodes, model.subgraphs, model.buffers = 3, [code], [graph], buffers
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())
