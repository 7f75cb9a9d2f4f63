"""The built site: links and anchors lead somewhere, nothing comes from another site, the notebooks are there.

`make docs` runs this after the build.
"""

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

SITE = Path(__file__).parents[1] / "_build" / "html"
PAGES = sorted(SITE.rglob("*.html"))


class Page(HTMLParser):
    """The links, the anchors and the loaded files of a page."""

    def __init__(self, path):
        super().__init__()
        self.links, self.loaded, self.ids, self.without_alt = [], [], [], 0
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if "id" in attributes:
            self.ids.append(attributes["id"])
        if tag == "a" and attributes.get("href"):
            self.links.append(attributes["href"])
        if tag in ("img", "script", "iframe") and attributes.get("src"):
            self.loaded.append(attributes["src"])
        if tag == "link" and attributes.get("rel") in ("stylesheet", "icon"):
            self.loaded.append(attributes["href"])
        if tag == "img":
            self.without_alt += not attributes.get("alt")


@pytest.fixture(scope="module")
def pages():
    assert len(PAGES) > 30, "build the site first: make docs"
    return {path: Page(path) for path in PAGES}


def test_links_and_anchors_lead_somewhere(pages):
    broken = []
    for path, page in pages.items():
        for link in page.links + page.loaded:
            parts = urlsplit(link)
            if parts.scheme in ("http", "https", "mailto"):
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if target.is_dir():
                target /= "index.html"
            anchors = pages[target].ids if target in pages else [unquote(parts.fragment)]
            if not target.is_file() or (parts.fragment and unquote(parts.fragment) not in anchors):
                broken.append((path.name, link))
    assert not broken


def test_nothing_is_loaded_from_another_site(pages):
    loaded = {source for page in pages.values() for source in page.loaded if urlsplit(source).netloc}
    assert not loaded


def test_ids_are_unique(pages):
    twice = {path.name: {name for name in page.ids if page.ids.count(name) > 1} for path, page in pages.items()}
    assert not {name: ids for name, ids in twice.items() if ids}


def test_every_picture_has_a_description(pages):
    assert not [path.name for path, page in pages.items() if page.without_alt]


def test_no_markup_is_left(pages):
    """A role or a directive that was not understood would be shown as it is written."""
    left = []
    for path in pages:
        text = re.sub(r"<(script|pre|code)\b.*?</\1>", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
        left += [(path.name, found) for found in re.findall(r":::|\{(?:doc|ref|term)\}|\]\([\w./#]*\)", text)]
    assert not left


def test_the_course_can_be_downloaded():
    notebooks = sorted((SITE / "course").glob("*.ipynb"))
    assert len(notebooks) == 10
    for path in notebooks:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        assert len(cells) > 10
