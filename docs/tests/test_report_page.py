"""The page that ``refconv check --html`` writes, in a browser."""

import pytest
from report_samples import report

from refconv.conformance.report import page


@pytest.fixture
def shown(browser, tmp_path):
    """The page of a report with everything in it."""
    page.save(report(), tmp_path / "report.html")
    browser.get((tmp_path / "report.html").as_uri())
    yield browser
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_nothing_is_fetched_and_nothing_complained_about(shown):
    fetched = shown.execute_script("return performance.getEntriesByType('resource').map(entry => entry.name)")
    assert [name for name in fetched if not name.startswith("data:")] == []
    assert shown.get_log("browser") == []


@pytest.mark.parametrize("width", [1200, 380, 320])
def test_the_page_is_not_wider_than_the_screen(shown, width):
    size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": False}
    shown.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    assert shown.execute_script("return document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read_in_light_and_in_dark(shown, scheme):
    """Every text has a contrast of at least 4.5 to the page, as WCAG 2 asks for."""
    shown.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    )
    colours = shown.execute_script(
        "const seen = new Set();"
        "for (const element of document.querySelectorAll('main *')) seen.add(getComputedStyle(element).color);"
        "return [getComputedStyle(document.body).backgroundColor, ...seen];"
    )
    ground, *inks = [luminance(colour) for colour in colours]
    assert (ground > 0.5) == (scheme == "light")
    for ink in inks:
        lighter, darker = max(ink, ground), min(ink, ground)
        assert (lighter + 0.05) / (darker + 0.05) >= 4.5


def luminance(colour):
    """Relative luminance of rgb(r, g, b), by WCAG 2."""
    parts = [int(part) / 255 for part in colour[colour.index("(") + 1 : -1].split(",")[:3]]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_a_cell_leads_to_its_failure(shown):
    shown.find_element("css selector", "td.fail a").click()
    (article,) = shown.find_elements("css selector", "article:target")
    assert article.find_element("css selector", "h3").text == "The stride is respected, per axis"


def test_the_picture_is_that_of_the_mode(shown):
    sources = set()
    for scheme in ("light", "dark"):
        shown.execute_cdp_cmd(
            "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        )
        shown.refresh()
        sources.add(shown.execute_script("return document.querySelector('picture img').currentSrc"))
    assert len(sources) == 2
