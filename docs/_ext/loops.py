"""The directives ``commentary``, a source with notes beside its lines, and ``generated-c``, the C of single lines."""

import re

from anchors import ROOT, AnchorError, generated_c, notes, segments
from docutils import nodes
from docutils.parsers.rst import directives
from docutils.statemachine import StringList
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import CythonLexer
from sphinx.util.docutils import SphinxDirective

__all__ = ["setup"]


class Commentary(SphinxDirective):
    """A whole source file, with notes beside its lines."""

    has_content = True
    required_arguments = 1

    def run(self):
        path = ROOT / self.arguments[0]
        self.env.note_dependency(str(path))
        source = path.read_text(encoding="utf-8").splitlines()
        try:
            parts = segments(source, notes(list(self.content)), path.name)
        except AnchorError as error:
            raise self.error(str(error)) from error
        # All at once, since a note may lie in the middle of a docstring. Every line is closed in itself.
        coloured = highlight("\n".join(source), CythonLexer(stripnl=False), HtmlFormatter(nowrap=True)).split("\n")
        container = nodes.container(classes=["commentary"])
        for note, first, end in parts:
            row = nodes.container(classes=["commentary-row"])
            prose = nodes.container(classes=["commentary-note"])
            if note is not None:
                lines = note.text.strip().splitlines()
                self.state.nested_parse(StringList(lines, self.arguments[0]), self.content_offset + note.line, prose)
            row += [prose, nodes.raw("", _as_html(source, coloured, first, end), format="html")]
            container += row
        return [container]


def _as_html(source: list[str], coloured: list[str], first: int, end: int) -> str:
    """Lines of a coloured source with their numbers, in the elements that the theme styles code by.

    What all lines are indented by is an element of its own, which narrow screens leave out.
    """
    depth = min(len(line) - len(line.lstrip()) for line in source[first:end] if line.strip())
    indent = re.compile(rf"^((?:<span[^>]*>)?)( {{{depth}}})")
    lines = []
    for i in range(first, end):
        line = indent.sub(r'\1<span class="indent">\2</span>', coloured[i])
        lines.append(f'<span class="linenos">{i + 1:4}</span>{line}')
    text = "\n".join(lines)
    classes = "commentary-code highlight-cython notranslate"
    return f'<div class="{classes}"><div class="highlight"><pre>{text}</pre></div></div>'


class GeneratedC(SphinxDirective):
    """A line of a kernel, and the C that Cython makes of it."""

    has_content = True
    required_arguments = 1
    option_spec = {"after": directives.unchanged_required}  # noqa: RUF012

    def run(self):
        path = ROOT / self.arguments[0]
        self.env.note_dependency(str(path))
        source = path.read_text(encoding="utf-8").splitlines()
        found = []
        for anchor in self.content:
            if not anchor.strip():
                continue
            try:
                number, code = generated_c(path, anchor.strip(), self.options["after"])
            except AnchorError as error:
                raise self.error(str(error)) from error
            line = source[number - 1].strip()
            found.append(nodes.literal_block(line, line, language="cython", classes=["generated-from"]))
            found.append(nodes.literal_block(code, code, language="c", classes=["generated"]))
        return found


def setup(app):
    """Register the directives."""
    app.add_directive("commentary", Commentary)
    app.add_directive("generated-c", GeneratedC)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
