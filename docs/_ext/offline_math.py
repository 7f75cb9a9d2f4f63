"""Formulas as MathML, which browsers draw by themselves: no script, nothing from another site."""

from docutils.nodes import SkipNode
from docutils.utils.math.latex2mathml import tex2mathml

__all__ = ["setup"]


def mathml(node, *, as_block: bool) -> str:
    """Return a formula as MathML. Brackets that are set large in LaTeX grow by themselves here."""
    tex = node.astext().replace(r"\Big(", r"\left(").replace(r"\Big)", r"\right)")
    return tex2mathml(tex, as_block=as_block)


def visit_math(self, node):
    """Write a formula within a line."""
    self.body.append(mathml(node, as_block=False))
    raise SkipNode


def visit_math_block(self, node):
    """Write a formula on a line of its own."""
    self.body.append(f'<div class="math">{mathml(node, as_block=True)}</div>')
    raise SkipNode


def setup(app):
    """Register the renderer."""
    app.add_html_math_renderer("offline", (visit_math, None), (visit_math_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
