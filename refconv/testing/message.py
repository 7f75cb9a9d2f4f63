"""What a verdict says to people: one line, a text that fits a terminal, or HTML."""

__all__ = ["html", "one_line", "text"]


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
        return f"<Verdict SUSPICIOUS: {op}, {verdict.statistics.anomaly}>"
    return f"<Verdict WRONG: {verdict.wrong.sum()} of {total} elements of {op}, worst at {verdict.worst}>"


def text(verdict) -> str:
    """The whole verdict."""
    return one_line(verdict)


def html(verdict) -> str:
    """The verdict for notebooks."""
    return f"<pre>{text(verdict)}</pre>"
