"""The directives ``picture`` and ``animation``: code whose last line is a figure or an animation of refconv.figures.

Pictures are drawn twice, for light and for dark pages; the theme shows the one that fits.
"""

import hashlib
from pathlib import Path

from docutils import nodes
from docutils.parsers.rst import directives
from matplotlib import rc_context
from pages import Session
from sphinx.util.docutils import SphinxDirective

from refconv import figures
from refconv.figures.theme import THEMES

__all__ = ["setup"]

SVG = {"svg.fonttype": "path", "svg.hashsalt": "refconv"}


class _Drawing(SphinxDirective):
    has_content = True
    optional_arguments = 1
    final_argument_whitespace = True
    option_spec = {"alt": directives.unchanged_required, "name": directives.unchanged, "code": directives.flag}  # noqa: RUF012

    @property
    def session(self) -> Session:
        sessions = self.env.temp_data.setdefault("refconv_sessions", {})
        path = Path(self.env.doc2path(self.env.docname))
        if path not in sessions:
            sessions[path] = Session(path)
        return sessions[path]

    def draw(self, themes):
        """Run the page up to here, then this block, once for each theme."""
        line = self.state_machine.abs_line_number() if self.lineno is None else self.lineno
        if problems := self.session.run_until(line):
            raise self.error("".join(problems))
        code = "\n".join(self.content)
        drawn = []
        for name in themes:
            with figures.theme(name):
                drawn.append(self.session.value(code))
        self.session.skip_to(line)
        if "alt" not in self.options:
            raise self.error("a picture needs the option alt, a description for those who do not see it")
        return drawn

    def shown_code(self):
        """The code itself, folded, for those who want to draw the picture themselves."""
        code = "\n".join(self.content)
        block = nodes.literal_block(code, code, language="python")
        summary = nodes.raw(
            "", "<details class='picture-code'><summary>The code of this picture</summary>", format="html"
        )
        return [summary, block, nodes.raw("", "</details>", format="html")]

    def caption(self, figure):
        if self.arguments:
            caption = nodes.caption(self.arguments[0], "")
            caption += self.parse_inline(self.arguments[0])[0]
            figure += caption


class Picture(_Drawing):
    """A figure as two SVG files, one of which is shown."""

    def run(self):
        figure = nodes.figure()
        folder = Path(self.env.app.srcdir, "_pictures")
        folder.mkdir(exist_ok=True)
        key = hashlib.sha256(f"{self.env.docname}\0{self.lineno}".encode()).hexdigest()[:8]
        stem = f"{Path(self.env.docname).name}-{key}"
        for name, drawn in zip(THEMES, self.draw(THEMES), strict=True):
            path = folder / f"{stem}-{name}.svg"
            with rc_context(SVG):
                drawn.savefig(path, transparent=True, metadata={"Date": None})
            image = nodes.image(
                uri=f"/_pictures/{path.name}",
                alt=self.options["alt"],
                classes=[f"only-{name}", "picture"],
                align="center",
                width=f"{96 * drawn.get_size_inches()[0]:.0f}px",
            )
            figure += image
        self.caption(figure)
        self.add_name(figure)
        return [figure, *self.shown_code()]


class Animation(_Drawing):
    """An animation as an element of the page, in the page's colours."""

    def run(self):
        (animation,) = self.draw(["light"])
        figure = nodes.figure(classes=["animation"])
        figure += nodes.raw("", animation.to_html(), format="html")
        self.caption(figure)
        self.add_name(figure)
        return [figure, *self.shown_code()]


def setup(app):
    """Register the directives."""
    app.add_directive("picture", Picture)
    app.add_directive("animation", Animation)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
