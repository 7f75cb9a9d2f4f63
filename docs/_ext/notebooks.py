"""The pages of the course as notebooks, made from the same text: ``NAME.ipynb`` lies beside ``NAME.html``.

Files that a page offers for download lie there as well, since its code reads them.
"""

import doctest
import re
import shutil
from pathlib import Path

import nbformat
from docutils import nodes
from pages import blocks
from sphinx.util.docutils import SphinxDirective

__all__ = ["notebook", "setup"]

INSTALL = """%matplotlib inline
# In a fresh environment: %pip install "refconv[figures,torch]" scikit-learn"""


def notebook(page: str, title: str) -> nbformat.NotebookNode:
    """Return a page as a notebook: text as Markdown, sessions and pictures as code, without their output."""
    cells = [nbformat.v4.new_code_cell(INSTALL)]
    position = 0
    for block in blocks(page):
        if not block.runs:
            continue
        _add_text(cells, page[position : block.start])
        if block.kind == "python":
            examples = doctest.DocTestParser().get_examples(block.text)
            cells.append(nbformat.v4.new_code_cell("".join(example.source for example in examples).rstrip()))
            if any(example.exc_msg for example in examples):
                cells[-1].metadata["tags"] = ["raises-exception"]  # Jupyter goes on after such a cell
        else:
            cells.append(nbformat.v4.new_code_cell(block.text.rstrip()))
            if block.argument:
                _add_text(cells, f"*{block.argument}*")
        position = block.end
    _add_text(cells, page[position:])
    for number, cell in enumerate(cells):
        cell["id"] = f"cell-{number}"
    metadata = {
        "title": title,
        "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"},
        "language_info": {"name": "python"},
    }
    made = nbformat.v4.new_notebook(cells=cells, metadata=metadata)
    nbformat.validate(made)
    return made


def _add_text(cells, text: str) -> None:
    """Add a cell of Markdown: without what only Sphinx understands."""
    text = re.sub(r"^```\{notebook\}\n```$", "", text, flags=re.M)
    text = re.sub(r"^\([\w-]+\)=$", "", text, flags=re.M)  # targets
    text = re.sub(r"\{download\}`([^`<]*)`", r"[\1](\1)", text)
    text = re.sub(r"\{(?:doc|ref|term|py:\w+)\}`([^`<]*?)(?:\s*<[^`]*>)?`", r"\1", text)
    text = re.sub(r"\[([^\]]+)\]\(([\w./-]+)\.md(#[\w-]+)?\)", r"[\1](\2.html\3)", text)
    # Folded answers: what Markdown cells fold is <details>.
    text = re.sub(r"^:::\{dropdown\} (.*)$", r"<details><summary>\1</summary>\n", text, flags=re.M)
    text = re.sub(r"^:::$", "\n</details>", text, flags=re.M)
    if text.strip():
        cells.append(nbformat.v4.new_markdown_cell(text.strip()))


class Notebook(SphinxDirective):
    """A link to the page as a notebook."""

    def run(self):
        self.env.metadata[self.env.docname]["notebook"] = True
        name = Path(self.env.docname).name
        link = f'<p class="notebook"><a download href="{name}.ipynb">This page as a notebook</a></p>'
        return [nodes.raw("", link, format="html")]


def write_notebooks(app, exception):
    """After the build, write the notebooks of all pages with the directive."""
    if exception is not None or app.builder.name != "html":
        return
    for docname, metadata in app.env.metadata.items():
        if "notebook" in metadata:
            page = Path(app.env.doc2path(docname)).read_text(encoding="utf-8")
            made = notebook(page, app.env.titles[docname].astext())
            nbformat.write(made, Path(app.outdir, docname + ".ipynb"))
            for name in re.findall(r"\{download\}`([^`<]*)`", page):
                source = Path(app.env.doc2path(docname)).with_name(name)
                shutil.copy(source, Path(app.outdir, docname).parent)


def setup(app):
    """Register the directive."""
    app.add_directive("notebook", Notebook)
    app.connect("build-finished", write_notebooks)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
