"""Every operation of the family by enumerating its products, in exact integers: an extension of the oracle."""

import numpy as np
from family import products
from oracle import encode, format_of, from_bits, product, to_bits, total


def compute(operation, problem, x, w, y, b, b_transposed, out=None):
    """One operation: all terms are collected by the element they belong to, summed exactly, and rounded once."""
    fmt = format_of(x)
    x_values, w_values, y_values, b_values, bt_values = (_values(array) for array in (x, w, y, b, b_transposed))
    if operation == "bias":
        return _rounded(problem.bias_shape, _by_channel(y_values), out or fmt)
    shape = {"conv": y.shape, "conv_transpose": x.shape, "input": x.shape, "weight": w.shape}[operation]
    terms = {index: [] for index in np.ndindex(*shape)}
    if operation == "conv":
        for index in terms:
            terms[index].append(b_values[index[1]])
    elif operation == "conv_transpose":
        for index in terms:
            terms[index].append(bt_values[index[1]])
    for i, k, o in products(problem):
        if operation == "conv":
            terms[o].append(product(x_values[i], w_values[k]))
        elif operation == "weight":
            terms[k].append(product(x_values[i], y_values[o]))
        else:
            terms[i].append(product(w_values[k], y_values[o]))
    return _rounded(shape, terms, out or fmt)


def _values(array):
    fmt = format_of(array)
    values = np.empty(array.shape, object)
    values.ravel()[:] = [fmt.value(encoding) for encoding in to_bits(array)]
    return values


def _by_channel(y_values):
    return {(oc,): list(y_values[:, oc].ravel()) for oc in range(y_values.shape[1])}


def _rounded(shape, terms, fmt):
    return from_bits([encode(total(terms[index]), fmt) for index in np.ndindex(*shape)], fmt, shape)
