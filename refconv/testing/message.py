"""What a verdict says to people: one line, a text that fits a terminal, or HTML."""

from fractions import Fraction
from html import escape
from pprint import pformat

import numpy as np

from refconv.testing.claim import Claim
from refconv.testing.pattern import pattern
from refconv.testing.terms import describe_terms

__all__ = ["html", "looks_like", "one_line", "text"]

# Terms of the worst element that are shown, and elements of operands that are printed in code.
_TERMS_SHOWN, _MOST_PRINTED = 8, 64


def one_line(verdict) -> str:
    """The verdict's repr."""
    op, total = verdict.operation.op, verdict.exact.size
    if verdict.fault:
        return f"<Verdict WRONG: {op}, {verdict.fault}>"
    if verdict.grade == "EXACT":
        return f"<Verdict EXACT: {op}, {total} elements>"
    if verdict.grade == "WITHIN":
        return f"<Verdict WITHIN: {op}, {total} elements, at most {verdict.shares.max():.2g} of the allowed error>"
    if verdict.grade == "SUSPICIOUS":
        return f"<Verdict SUSPICIOUS: {op}, {verdict.statistics.anomaly.split(';')[0]}>"
    return f"<Verdict WRONG: {verdict.wrong.sum()} of {total} elements of {op}, worst at {verdict.worst}>"


def text(verdict) -> str:
    """The whole verdict: where, what instead of what, by how much, which terms, how to get there, and which bug."""
    if verdict.right:
        return one_line(verdict)[1:-1].removeprefix("Verdict ")
    parts = [[_headline(verdict)]]
    if not verdict.fault and verdict.worst is not None:
        parts += [_where(verdict), _worst(verdict), _terms(verdict)]
    parts += [_looks_like(verdict), _problem(verdict), _code(verdict)]
    return "\n\n".join("\n".join(part) for part in parts if part)


def _headline(verdict) -> str:
    op, total = verdict.operation.op, verdict.exact.size
    if verdict.fault:
        return f"{op} is wrong: {verdict.fault}"
    if verdict.grade == "SUSPICIOUS":
        return f"{op} is suspicious: no element is wrong beyond doubt, but all together are impossible in practice"
    return f"{op} is wrong in {verdict.wrong.sum()} of {total} elements, if it {verdict.claim}"


def _where(verdict) -> list[str]:
    if verdict.grade == "SUSPICIOUS":
        return ["    " + part.strip() for part in verdict.statistics.anomaly.split(";")]
    return [f"    where: {pattern(verdict.wrong, verdict.operation)}"]


def _worst(verdict) -> list[str]:
    """The worst element: yours, the exact value, and the error against what is allowed."""
    at = verdict.worst
    which = ""
    if verdict.parts:
        real, imaginary = verdict.parts
        verdict, which = (real, "real") if real.shares[at] >= imaginary.shares[at] else (imaginary, "imaginary")
        which = f", in its {which} part"
    actual, exact = verdict.actual[at], verdict.exact[at]
    lines = [
        f"    worst at {at}{which}",
        f"        yours     {_number(actual)}",
        f"        exact     {_exact_value(verdict, at)}",
    ]
    share = verdict.shares[at]
    if np.isfinite(share):
        allowed = verdict.allowed[at]
        error = abs(float(actual) - float(exact))
        ulps = f", {_count(verdict.ulps[at])} ulp" if verdict.operation.is_float else ""
        lines.append(f"        error     {error:.3g}{ulps}; allowed {allowed:.3g}, so {share:.3g} times that")
    elif verdict.operation.is_float and np.isfinite(float(actual)) and np.isfinite(float(exact)):
        lines.append("        error     there is nothing to round here, so any difference is wrong")
    return lines


def _count(ulps: float) -> str:
    return f"{ulps:.0f}" if ulps < 1e6 else f"{ulps:.2g}"


def _number(value) -> str:
    return f"{float(value):.9g}" if np.asarray(value).dtype.kind not in "iu" else str(int(value))


def _exact_value(verdict, at) -> str:
    """The exact sum, in as many digits as a float64 has."""
    if not verdict.operation.is_float:
        return str(int(verdict.exact[at]))
    element = int(np.ravel_multi_index(at, verdict.exact.shape))
    values = [(float(x), float(w)) for _, x, _, w in describe_terms(verdict.operation, element)]
    bias = _bias(verdict, element)
    if not np.isfinite([*(v for pair in values for v in pair), bias or 0.0]).all():
        return _number(verdict.exact[at])
    total = sum((Fraction(x) * Fraction(w) for x, w in values), start=Fraction(bias or 0))
    try:
        return f"{float(total):.17g}"
    except OverflowError:
        return "beyond float64"


def _bias(verdict, element):
    operation = verdict.operation
    if operation.bias is None:
        return None
    return _value(operation.bias[np.unravel_index(element, operation.shape)[1]])


def _terms(verdict) -> list[str]:
    """The terms of the worst element, the largest first."""
    operation = verdict.operation
    element = int(np.ravel_multi_index(verdict.worst, verdict.exact.shape))
    rows = describe_terms(operation, element)
    with np.errstate(all="ignore"):
        ranked = sorted(rows, key=lambda row: -abs(_value(row[1]) * _value(row[3])))
    x_name, w_name = operation.names
    lines = [f"    {len(rows)} terms{', the largest:' if len(rows) > _TERMS_SHOWN else ':'}"]
    for x_at, x, w_at, w in ranked[:_TERMS_SHOWN]:
        with np.errstate(all="ignore"):
            product = _value(x) * _value(w)
        left, right = f"{x_name}{list(x_at)}", f"{w_name}{list(w_at)}"
        lines.append(f"        {left} {_short(x):>9}  *  {right} {_short(w):>9}  = {product:9.4g}")
    bias = _bias(verdict, element)
    if bias is not None:
        lines.append(f"        bias {bias:.4g}")
    return lines


def _short(value) -> str:
    return f"{_value(value):.4g}"


def _value(number) -> float | complex:
    """A number as one of Python's; float() would drop an imaginary part."""
    return complex(number) if np.iscomplexobj(number) else float(number)


def looks_like(verdict, function=None) -> str:
    """What a wrong result looks like, in words; `function`, which gave it, is called for more if it is given.

    A search that fails is a bug of refconv's; it is said here, and does not hide the wrong result that it is about.
    """
    try:
        return str((verdict.explain(function) if function else verdict.explanation) or "")
    except Exception as error:
        return f"(the search for what this looks like failed, a bug of refconv: {type(error).__name__}: {error})"


def _looks_like(verdict) -> list[str]:
    first, *rest = looks_like(verdict).splitlines()
    return [f"    looks like: {first}", *(f"    {line}" for line in rest)]


def _problem(verdict) -> list[str]:
    operation = verdict.operation
    lines = [f"    claim: {verdict.claim!r}"]
    if operation.problem is not None:
        lines.insert(0, f"    problem: {operation.problem.descriptor}, {operation.dtype.name}")
    return lines


def _code(verdict) -> list[str]:
    """Code that judges the same result again, if the operands can be printed or are made elsewhere."""
    call = verdict.call
    if not call:
        return []
    lines = ["    import numpy as np", "    import refconv.testing"]
    names = {}
    for name in ("input", "weight", "bias", "grad_output"):
        value = call.get(name)
        if value is None:
            continue
        if isinstance(value, tuple):
            names[name] = repr(value)
            continue
        names[name] = name
        lines.append(f"    {name} = {_literal(np.asarray(value))}")
    arguments = [f"{name}={value}" for name, value in names.items()]
    defaults = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1, "output_padding": 0}
    arguments += [f"{name}={call[name]!r}" for name, default in defaults.items() if call.get(name, default) != default]
    if verdict.operation.op != "conv2d":
        arguments.append(f"op={verdict.operation.op!r}")
    if not verdict.operation.is_integer and verdict.claim != Claim.of(verdict.operation.dtype):
        arguments.append(f"claim=refconv.testing.{verdict.claim!r}")
    lines.append("    actual = ...  # yours")
    lines += _wrapped_call("refconv.testing.assert_conv_close", ["actual", *arguments])
    return ["    to see it again:", *(f"    {line}" for line in lines)]


def _wrapped_call(function, arguments) -> list[str]:
    """A call, in one line or with its arguments in lines of their own."""
    line = f"    {function}({', '.join(arguments)})"
    if len(line) <= 96:
        return [line]
    return [f"    {function}(", *(f"        {argument}," for argument in arguments), "    )"]


def _literal(array) -> str:
    if array.size <= _MOST_PRINTED:
        numbers = pformat(array.tolist(), width=90, compact=True).replace("\n", "\n" + " " * 16)
        return f"np.array({numbers}, {array.dtype.name!r})"
    return f"...  # shape {array.shape}, {array.dtype.name}"


def html(verdict) -> str:
    """The verdict for notebooks: the text under a coloured grade."""
    colours = {"EXACT": "#2e7d32", "WITHIN": "#2e7d32", "SUSPICIOUS": "#e65100", "WRONG": "#c62828"}
    badge = f"<b style='color:{colours[verdict.grade]}'>{verdict.grade}</b>"
    return f"<div>{badge} {escape(verdict.operation.op)}<pre>{escape(text(verdict))}</pre></div>"
