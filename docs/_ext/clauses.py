"""The directive ``clauses``: what ``refconv check`` demands, from the texts in refconv.conformance.clauses itself."""

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
        needed = "; ".join(FEATURES[feature][0] for feature in clause.needs)
        facts += nodes.Text(f"Not asked of what declares to be without: {needed}. ")
    if clause.spelling:
        facts += nodes.Text(f"Only where padding is passed as in {' and '.join(clause.spelling)}. ")
    if clause.exact:
        facts += nodes.Text("On numbers whose sums are exact in any order. ")
    facts += [nodes.Text("Run it alone: "), nodes.literal("", f"refconv check TARGET -k {clause.key}")]
    section += facts
    return section


def setup(app):
    """Register the directive."""
    app.add_directive("clauses", Clauses)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
