"""Sphinx: `make docs` builds the site into docs/_build/html; every warning is an error."""

import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(Path(__file__).parent / "_ext")]

import refconv  # noqa: E402

project = "refconv"
author = "the refconv developers"
copyright = "the refconv developers"
release = version = refconv.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
    "sphinx_copybutton",
    "sphinx_design",
    "offline_math",
    "pictures",
    "loops",
    "notebooks",
    "clauses",
    "command_line",
]
# Written by tools, and listed once they are there.
GENERATED_PAGES = ("tolerance", "kill_matrix", "mistakes", "survey")


def with_what_is_there(_app, docname, source):
    """Leave pages that have not been generated out of the table of contents; show pictures of benchmarks there are."""
    here = Path(__file__).parent
    if docname == "index":
        for page in GENERATED_PAGES:
            if not (here / f"{page}.md").exists():
                source[0] = source[0].replace(f"\n{page}\n", "\n")
    if docname == "benchmarks":
        pictures = sorted(path for path in here.glob("benchmarks/*") if path.suffix in (".svg", ".png"))
        if pictures:
            source[0] += "\n## On one machine\n"
        for path in pictures:
            source[0] += f"\n![{path.stem.replace('_', ' ')}](benchmarks/{path.name})\n"


def setup(app):
    """Sphinx calls this."""
    app.connect("source-read", with_what_is_there)


exclude_patterns = ["_build", "_ext", "_templates"]
templates_path = ["_templates"]
nitpicky = True
# Types of other packages; and names in single backticks that are importable but have no page, or are arguments.
nitpick_ignore_regex = [
    ("py:(class|obj)", r"(optional|array_like|ndarray.*|.*dtype|matplotlib\..*|numpy\..*|torch\..*)"),
    ("py:obj", r".*"),
]

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath", "fieldlist"]
myst_heading_anchors = 3
suppress_warnings = []

# A name in single backticks is a link if it is one of ours, and otherwise just a name.
default_role = "autolink"
autosummary_generate = True
autodoc_typehints = "none"
autodoc_member_order = "bysource"
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False

copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

html_theme = "furo"
html_title = "refconv"
html_math_renderer = "offline"
html_static_path = ["_static"]
html_css_files = ["refconv.css"]
html_show_sourcelink = False
html_show_copyright = False
html_extra_path = []
# Arrow keys move windows here, and not from page to page.
html_theme_options = {"navigation_with_keys": False}
pygments_style = "tango"
pygments_dark_style = "github-dark"
