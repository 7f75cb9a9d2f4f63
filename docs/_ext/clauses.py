"""What ``refconv check`` demands, from refconv.conformance itself.

clauses    a section for each clause
features   a table of what a profile may declare unsupported
"""

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

from refconv.conformance.clauses import CLAUSES
from refconv.conformance.features import FEATURES

__all__ = ["setup"]

_KINDS = {
    "forward": "convolutions",
    "transposed": "transposed convolutions",
    "by input": "gradients by the input",
    "by weight": "gradients by the weight",
    "by bias": "gradients by the bias",
}


class Clauses(SphinxDirective):
    """A section for each clause."""

    def run(self):
        return [_section(clause) for clause in CLAUSES]


def _section(clause):
    section = nodes.section(ids=[f"clause-{clause.key}"])
    title = f"{clause.number}. {clause.title}"
    section += nodes.title(title, title)
    section += nodes.paragraph(clause.text, clause.text)
    facts = nodes.paragraph()
    facts += nodes.Text(f"About: {', '.join(_KINDS[kind] for kind in clause.kinds)}")
    facts += nodes.Text(" in floating-point formats only. " if clause.floats else ". ")
    if clause.needs:
        facts += nodes.Text("Not asked where the profile declares to be without ")
        facts += _literals(clause.needs, " or ")
        facts += nodes.Text(". ")
    if clause.spelling:
        facts += nodes.Text(f"Only where padding is passed as in {' and '.join(clause.spelling)}. ")
    if clause.on_request:
        facts += [nodes.Text("Only where the profile says "), nodes.literal("", f"{clause.on_request} = true"), _stop()]
    if clause.exact:
        facts += nodes.Text("On numbers whose sums are exact in any order. ")
    facts += [nodes.Text("Run it alone: "), nodes.literal("", f"refconv check TARGET -k {clause.key}")]
    section += facts
    return section


def _literals(words, separator):
    """Words as code, with text between them."""
    shown = [node for word in words for node in (nodes.Text(separator), nodes.literal("", word))]
    return shown[1:]


def _stop():
    return nodes.Text(". ")


class Features(SphinxDirective):
    """A table: the name of a feature, what it is, and the clauses that are not asked without it."""

    def run(self):
        body = nodes.tbody()
        for feature, (meaning, _) in FEATURES.items():
            keys = [clause.key for clause in CLAUSES if feature in clause.needs]
            body += _row([nodes.literal("", feature)], [nodes.Text(meaning)], _literals(keys, ", "))
        head = nodes.thead("", _row(*([nodes.Text(text)] for text in ("feature", "which is", "clauses about it"))))
        group = nodes.tgroup("", *(nodes.colspec(colwidth=width) for width in (20, 45, 35)), head, body, cols=3)
        return [nodes.table("", group)]


def _row(*cells):
    return nodes.row("", *(nodes.entry("", nodes.paragraph("", "", *cell)) for cell in cells))


def setup(app):
    """Register the directives."""
    app.add_directive("clauses", Clauses)
    app.add_directive("features", Features)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
