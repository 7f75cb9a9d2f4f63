"""The directive ``clauses``: what ``refconv check`` demands, from the texts in refconv.conformance.clauses itself."""

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

from refconv.conformance.clauses import CLAUSES

__all__ = ["setup"]


class Clauses(SphinxDirective):
    """A section for each clause."""

    def run(self):
        found = []
        for clause in CLAUSES:
            section = nodes.section(ids=[f"clause-{clause.key}"])
            section += nodes.title(clause.title, clause.title)
            section += nodes.paragraph(clause.text, clause.text)
            line = nodes.paragraph()
            line += [nodes.Text("Run it alone: "), nodes.literal("", f"refconv check TARGET -k {clause.key}")]
            section += line
            found.append(section)
        return found


def setup(app):
    """Register the directive."""
    app.add_directive("clauses", Clauses)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
