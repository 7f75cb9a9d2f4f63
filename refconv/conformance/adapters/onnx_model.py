"""A model of one node, for the libraries that run ONNX files."""

from refconv.conformance.adapters.arguments import per_axis

__all__ = ["CONV_OPS", "functions"]

CONV_OPS = ("conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d")

# What all of them read.
_OPSET, _IR_VERSION = 17, 8


def functions(run, constant_weights: bool = True) -> dict:
    """Return the functions by op.

    Parameters
    ----------
    run : callable
        Takes a model and its inputs by name, and returns its output.
    constant_weights : bool
        Whether weight and bias are constants of the model, as in a trained one, which may be rearranged before the
        first call; or inputs.
    """

    def call(op_type, input, weight, bias, attributes):
        parameters = {"W": weight} | ({} if bias is None else {"B": bias})
        model = _model(op_type, {"X": input}, parameters, attributes, constant_weights)
        return run(model, {"X": input} | ({} if constant_weights else parameters))

    def conv(input, weight, bias, stride, padding, dilation, groups):
        attributes = _attributes(input.ndim - 2, stride, padding, dilation, groups)
        return call("Conv", input, weight, bias, attributes)

    def conv_transpose(input, weight, bias, stride, padding, output_padding, groups, dilation):
        n = input.ndim - 2
        attributes = _attributes(n, stride, padding, dilation, groups) | {"output_padding": per_axis(output_padding, n)}
        return call("ConvTranspose", input, weight, bias, attributes)

    return {op: conv_transpose if "transpose" in op else conv for op in CONV_OPS}


def _attributes(n: int, stride, padding, dilation, groups) -> dict:
    named = isinstance(padding, str)
    if padding == "":
        raise ValueError("an attribute that is an empty string is as good as none")
    return {
        "strides": per_axis(stride, n),
        "dilations": per_axis(dilation, n),
        "group": groups,
        "auto_pad" if named else "pads": padding,
    }


def _model(op_type, inputs, parameters, attributes, constant_weights):
    from onnx import helper, numpy_helper

    def declared(name, array):
        return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)

    node = helper.make_node(op_type, [*inputs, *parameters], ["Y"], **attributes)
    constants = [numpy_helper.from_array(array, name) for name, array in parameters.items()] if constant_weights else []
    if not constant_weights:
        inputs = inputs | parameters
    image = inputs["X"]
    # As many axes as the input; how long they are is for the library to find out.
    output = helper.make_tensor_value_info("Y", helper.np_dtype_to_tensor_dtype(image.dtype), [None] * image.ndim)
    graph = helper.make_graph([node], op_type, [declared(*item) for item in inputs.items()], [output], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR_VERSION)
