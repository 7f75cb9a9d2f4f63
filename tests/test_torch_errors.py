"""The checks say what torch says: every failing call of a catalogue measured on torch 2.13.0 is made again here.

`data/torch_errors.json` holds the calls and torch's messages. Each falls under one of the rules below, the first whose
patterns it matches. For most that is the last one: the same text, to the letter. The others say why not, and what
is to happen instead.
"""

import ast
import collections
import decimal
import fractions
import inspect
import json
import operator
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

from refconv.errors import ConvError
from refconv.problem import ConvProblem

CATALOGUE = json.loads((Path(__file__).parent / "data" / "torch_errors.json").read_text(encoding="utf-8"))


@dataclass(frozen=True)
class Rule:
    """Which entries, why they are not compared to the letter, and what is expected of them instead."""

    name: str
    why: str
    expected: (
        str  # "accepted", a regular expression for "ConvError: ..." or "TypeError: ...", or "" for not made at all
    )
    message: str = ""
    call: str = ""

    def matches(self, entry):
        return re.search(self.message, entry["message"]) and re.search(self.call, entry["call"])


NUMBERS_IN_FULL = (
    r"accepted|ConvError: (.* do(es)? not fit in int64"
    r"|output padding must be smaller|Given padding=\d+ at dimension"
    r"|Calculated padded input size per channel: \(\d+ x \d+\). Kernel size: \(\d+ x \d+\)"
    r"|Given input size per channel: .* Output size is too small)"
)

RULES = [
    Rule(
        name="dtype",
        why="the text is about dtypes, which the shapes do not have; functional.py looks at those",
        expected="accepted",
        message=r"^Input type|expected scalar type|not implemented for",
    ),
    Rule(
        name="tensor kind",
        why="NumPy has no sparse, quantized or nested arrays",
        expected="",
        call=r"to_sparse|quantize|nested",
    ),
    Rule(
        name="operand",
        why="the bias is no tensor; arrays.py decides what is an array",
        expected="",
        message=r"got \(Tensor, Tensor, (bias=)?(bool|float|int|list|str|tuple|numpy.ndarray)\)",
    ),
    Rule(
        name="beyond torch",
        why="pairs, any sequence, and all that has an __index__ are accepted here",
        expected=r"accepted|ConvError: expected padding .* but got padding=\[\(1, 1\)\]",
        call=r"padding=\(\(|range\(|deque\(|=np\.array\(1\)|__index__",
    ),
    Rule(
        name="overflow",
        why="torch's text holds a C++ stack trace or an assertion; here it is the short text, or the next check's",
        expected="ConvError: (Overflow when unpacking long long$|non-positive|negative|dilation should be greater)",
        message=r"failed to unpack.*Overflow|SymIntArrayRef expected",
    ),
    Rule(
        name="type",
        why="a TypeError as in torch, in words of its own: function, argument, what was expected and what came",
        expected=r"TypeError: conv(_transpose)?\dd\(\): argument '\w+' must be an int.*, (not|but \w+\[\d\] is) \S",
        message=r"invalid combination of arguments|must be tuple of ints|must be int|type must be|isIntegral",
    ),
    Rule(
        name="backend",
        why="oneDNN's text, where the backend that torch picks depends on the machine; here it is the native one",
        expected="ConvError: (kernel size should|dilation should|non-empty|Given input size per channel: .* too small)",
        message=r"^could not c|^non-positive dilation is|^dimensions are invalid",
        call=r"^(?!.*padding=.*2\*\*)(?!.*dilation=2\*\*)",
    ),
    Rule(
        name="empty batch",
        why="a deliberate difference: a geometry is right or wrong whatever N is, so N=0 gets the text that N=1 gets",
        expected="ConvError: (kernel size should|dilation should|non-empty|Given input size per channel: .* too small)",
        message=r"^select\(\)|^invalid shape dimension",
    ),
    Rule(
        name="wrapped",
        why="a deliberate difference: torch's numbers wrap around, often to negative ones, or it crashes; here the "
        "numbers are shown in full, or all is well",
        expected=NUMBERS_IN_FULL,
        message=r"\(-\d{5,}|x -\d{5,}|negative dimension -\d{5,}|_(height|width): (-\d|0).*"
        r"|^negative padding|cannot be represented as a SymInt|SIGSEGV|could not construct",
        call=r"2\*\*",
    ),
    Rule(
        name="allocator",
        why="torch runs out of memory; here that is found when the result is allocated, unless it is beyond int64",
        expected=NUMBERS_IN_FULL,
        message=r"DefaultCPUAllocator|Storage size calculation overflowed",
    ),
    Rule(name="same", why="the rest", expected="the same text"),
]

COUNTS = {
    "dtype": 27,
    "tensor kind": 5,
    "operand": 16,
    "beyond torch": 14,
    "overflow": 9,
    "type": 188,
    "backend": 30,
    "empty batch": 16,
    "wrapped": 50,
    "allocator": 19,
    "same": 839,
}


def rule_of(entry):
    return next(rule for rule in RULES if rule.matches(entry))


# ---- Making the calls: torch.ones(shape) is all that is known of the operands ----


class Index:
    def __index__(self):
        return 1


VALUES = {
    "np.array": np.array,
    "np.bool_": np.bool_,
    "np.float32": np.float32,
    "np.float64": np.float64,
    "np.str_": np.str_,
    "np.uint64": np.uint64,
    "torch.tensor": torch.tensor,
    "range": range,
    "iter": iter,
    "nn.Parameter": lambda tensor: tensor,
    "type('I', (), {'__index__': lambda s: 1})": Index,
    "__import__('collections').deque": collections.deque,
    "__import__('decimal').Decimal": decimal.Decimal,
    "__import__('fractions').Fraction": fractions.Fraction,
}
OPERATORS = {ast.Pow: operator.pow, ast.Add: operator.add, ast.Sub: operator.sub}


@dataclass(frozen=True)
class Ones:
    shape: tuple


def evaluate(node):
    """Return the value of an argument in the catalogue; nothing but what is written out here is ever called."""
    match node:
        case ast.Constant():
            return node.value
        case ast.UnaryOp(op=ast.USub()):
            return -evaluate(node.operand)
        case ast.BinOp():
            return OPERATORS[type(node.op)](evaluate(node.left), evaluate(node.right))
        case ast.Tuple():
            return tuple(map(evaluate, node.elts))
        case ast.List():
            return list(map(evaluate, node.elts))
        case ast.Set():
            return set(map(evaluate, node.elts))
        case ast.Dict():
            return dict(zip(map(evaluate, node.keys), map(evaluate, node.values), strict=True))
        case ast.GeneratorExp():
            return (1 for _ in range(2))
        case ast.Subscript(value=ast.Call()) if ast.unparse(node.slice) == ":0":
            return Ones((0, *evaluate(node.value).shape[1:]))
        case ast.Attribute(value=ast.Name("torch")):
            return getattr(torch, node.attr)
        case ast.Call(func=ast.Attribute(attr="requires_grad_")):
            return evaluate(node.func.value)
        case ast.Call(func=ast.Attribute(attr="expand")):
            return Ones(tuple(map(evaluate, node.args)))
        case ast.Call():
            arguments = list(map(evaluate, node.args))
            name = ast.unparse(node.func)
            if name == "torch.ones":
                shape = arguments[0] if isinstance(arguments[0], tuple) else tuple(arguments)
                return Ones(shape)
            return VALUES[name](*arguments)
    raise NotImplementedError(ast.dump(node))


def conv(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    return input, weight, bias, stride, padding, dilation, groups


def conv_transpose(input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1):
    return input, weight, bias, stride, padding, output_padding, groups, dilation


def outcome(call):
    """Return what refconv makes of a call: "accepted", or the exception's type and text."""
    tree = ast.parse(call, mode="eval").body
    name = tree.func.attr
    function, check = conv, ConvProblem.from_shapes
    if "transpose" in name:
        function, check = conv_transpose, ConvProblem.transposed_from_shapes
    positional = [evaluate(argument) for argument in tree.args]
    try:
        keywords = {keyword.arg: evaluate(keyword.value) for keyword in tree.keywords}
        bound = inspect.signature(function).bind(*positional, **keywords)
        input, weight, bias, *rest = function(*bound.args, **bound.kwargs)
        bias_shape = None if bias is None else tuple(bias.shape)
        check(input.shape, weight.shape, bias_shape, *rest, spatial_ndim=int(name[-2]))
    except (TypeError, ConvError) as error:
        return f"{type(error).__name__}: {error}"
    return "accepted"


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_catalogue(rule):
    wrong = []
    for entry in CATALOGUE:
        if rule_of(entry) is not rule or rule.expected == "":
            continue
        got = outcome(entry["call"])
        same = got == f"ConvError: {entry['message']}"
        if not (same if rule is RULES[-1] else re.match(rule.expected, got) and not same):
            wrong.append(f"{entry['call']}\n    torch   {entry['error']}: {entry['message']}\n    refconv {got}")
    assert not wrong, "\n".join([f"{len(wrong)} calls, expected {rule.expected!r}", *wrong])


def test_no_entry_of_the_catalogue_changes_its_rule_unnoticed():
    assert collections.Counter(rule_of(entry).name for entry in CATALOGUE) == COUNTS
