"""The pages in a browser: the page to play with says what refconv says; animations can be stepped and paused.

`make docs` runs this after the build.
"""

import json
import random
import re
import time
from pathlib import Path

import pytest

from refconv import ConvError, ConvProblem
from refconv.geometry import equation

SITE = Path(__file__).parents[1] / "_build" / "html"
DRAWN = 500


def complaints(browser):
    """What the browser's console has to complain about."""
    return [entry["message"] for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]


# ---- The page to play with ----

# Sets the fields as a user would, presses the right arrow key on the picture a number of times, and reads the page.
PLAY = """
const [fields, moves] = arguments;
for (const [id, value] of Object.entries(fields)) { document.getElementById(id).value = value; }
document.getElementById("window-form").dispatchEvent(new Event("input", { bubbles: true }));
const picture = document.getElementById("window-picture");
for (const key of ["Home", ...moves]) { picture.dispatchEvent(new KeyboardEvent("keydown", { key })); }
const text = (id) => document.getElementById("window-" + id).textContent;
return {
  error: document.getElementById("window-error").hidden ? null : text("error"),
  shown: !document.getElementById("window-result").hidden,
  output: text("output"), height: text("height"), width: text("width"), macs: text("macs"), weights: text("weights"),
  position: text("position"), terms: document.getElementById("window-taps").dataset.terms,
  taps: picture.querySelectorAll(".dot").length,
  shaded: picture.querySelectorAll(".cell.tap").length,
  outputs: picture.querySelectorAll(".cell.output, .cell.now").length,
};
"""


@pytest.fixture
def page(browser):
    browser.get((SITE / "interactive.html").as_uri())
    return browser


def drawn_fields(rng):
    """What somebody might type: mostly convolutions, sometimes a mistake."""
    fields = {}
    for axis in "hw":
        fields[f"input_{axis}"] = rng.randint(1, 14)
        fields[f"kernel_{axis}"] = rng.randint(1, 5)
        fields[f"stride_{axis}"] = rng.randint(1, 4)
        fields[f"padding_{axis}"] = rng.randint(0, 4)
        fields[f"dilation_{axis}"] = rng.randint(1, 3)
    groups, per_kernel = rng.choice([1, 1, 1, 2, 3]), rng.randint(1, 4)
    fields |= {
        "groups": groups,
        "c_kernel": per_kernel,
        "c_in": per_kernel * groups,
        "c_out": groups * rng.randint(1, 4),
    }
    if rng.random() < 0.3:
        fields[rng.choice(list(fields))] = rng.choice([0, 0, -1, -2, 7, 11, 100])
    if rng.random() < 0.1:
        fields[rng.choice(list(fields))] = rng.choice([0, -1, 5])
    return fields


def described(fields):
    """The problem that refconv sees, or its complaint."""

    def pair(name):
        return fields[f"{name}_h"], fields[f"{name}_w"]

    try:
        return ConvProblem.from_shapes(
            (1, fields["c_in"], *pair("input")),
            (fields["c_out"], fields["c_kernel"], *pair("kernel")),
            None,
            pair("stride"),
            pair("padding"),
            pair("dilation"),
            fields["groups"],
        )
    except ConvError as error:
        return str(error)


def test_its_numbers_and_messages_are_those_of_refconv(page):
    rng = random.Random(0)
    problems, messages = 0, set()
    for _ in range(DRAWN):
        fields = drawn_fields(rng)
        expected = described(fields)
        if isinstance(expected, str):
            seen = page.execute_script(PLAY, fields, [])
            assert (seen["error"], seen["shown"]) == (expected, False), fields
            messages.add(re.sub(r"-?\d+", "N", expected))
            continue
        problems += 1
        oh, ow = (rng.randrange(size) for size in expected.output_size)
        seen = page.execute_script(PLAY, fields, ["ArrowDown"] * oh + ["ArrowRight"] * ow)
        assert (seen["error"], seen["shown"]) == (None, True), fields
        axes = zip(
            expected.input_size, expected.kernel_size, expected.stride, expected.padding, expected.dilation, strict=True
        )
        assert [seen["height"], seen["width"]] == [equation(*axis) for axis in axes], fields
        assert seen["output"] == str(expected.output_shape), fields
        assert seen["macs"] == str(expected.macs), fields
        assert seen["weights"].startswith(str(expected.weight_shape)), fields
        taps = expected.taps(oh, ow)
        assert json.loads(seen["terms"]) == [
            f"weight[{kh}, {kw}]\N{MIDDLE DOT}input[{ih}, {iw}]" for (kh, kw), (ih, iw) in taps
        ], fields
        count = expected.kernel_size[0] * expected.kernel_size[1]
        assert seen["position"] == f"output[{oh}, {ow}]: {len(taps)} of {count} taps inside", fields
        if max(*expected.input_size, *expected.output_size) <= 40:
            assert seen["taps"] == len(taps), fields
            assert seen["shaded"] == 2 * len(taps), fields  # in the image and in the kernel
            assert seen["outputs"] == expected.output_size[0] * expected.output_size[1], fields
    assert problems > 250
    assert len(messages) >= 9, messages
    assert not complaints(page)


def test_the_call_of_the_slide(page):
    fields = {"input_h": 28, "input_w": 28, "kernel_h": 5, "kernel_w": 5, "c_in": 1, "c_kernel": 3, "c_out": 16}
    seen = page.execute_script(PLAY, fields, [])
    assert seen["error"] == (
        "Given groups=1, weight of size [16, 3, 5, 5], expected input[1, 1, 28, 28] to have 3 channels, "
        "but got 1 channels instead"
    )


@pytest.mark.parametrize("value", ["", "1.5", "1e400", "x"])
def test_a_field_without_a_whole_number(page, value):
    seen = page.execute_script(PLAY, {"kernel_h": value}, [])
    assert seen["error"] == "Every field needs a whole number."
    assert page.execute_script(PLAY, {"kernel_h": 3}, [])["error"] is None


def test_everything_can_be_reached_by_keyboard(page):
    keys = pytest.importorskip("selenium.webdriver.common.keys").Keys
    page.execute_script("document.getElementById('input_h').focus()")
    reached = set()
    for _ in range(20):
        reached.add(page.switch_to.active_element.get_attribute("id"))
        page.switch_to.active_element.send_keys(keys.TAB)
    assert {"input_h", "dilation_w", "groups", "window-back", "window-play", "window-on", "window-picture"} <= reached
    picture = page.find_element("id", "window-picture")
    before = page.current_url
    picture.send_keys(keys.ARROW_RIGHT)
    assert page.find_element("id", "window-position").text.startswith("output[0, 1]")
    assert page.current_url == before, "the theme must not take the key for 'next page'"


def test_it_plays_and_pauses(page):
    page.find_element("id", "window-play").click()
    time.sleep(1.2)
    page.find_element("id", "window-play").click()
    position = page.find_element("id", "window-position").text
    assert not position.startswith("output[0, 0]")
    time.sleep(0.8)
    assert page.find_element("id", "window-position").text == position


# ---- The animation of the course ----


def test_the_animation_steps_pauses_and_follows_the_taps(browser):
    browser.get((SITE / "course" / "02_window.html").as_uri())
    player = browser.find_element("class name", "refconv-window")
    caption = player.find_element("class name", "caption")
    frames = player.find_elements("class name", "frame")
    assert len(frames) == 9
    assert caption.text == "output[0, 0]: a sum of 9 products"
    browser.execute_script("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", caption)
    player.find_element("css selector", "[data-do=on]").click()
    assert caption.text.startswith("output[0, 1]")
    assert [frame.is_displayed() for frame in frames].index(True) == 1
    player.send_keys(pytest.importorskip("selenium.webdriver.common.keys").Keys.ARROW_LEFT)
    assert caption.text.startswith("output[0, 0]")
    play = player.find_element("css selector", "[data-do=play]")
    play.click()
    assert play.text == "Pause"
    time.sleep(1.0)
    play.click()
    assert not caption.text.startswith("output[0, 0]")
    assert not complaints(browser)


# ---- All pages ----


@pytest.mark.parametrize("width", [390, 1320, 1500])
def test_no_page_is_wider_than_the_screen(browser, width):
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    wide = []
    for path in sorted(SITE.rglob("*.html")):
        browser.get(path.as_uri())
        if browser.execute_script("return document.documentElement.scrollWidth") > width:
            wide.append(path.name)
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    assert not wide


@pytest.mark.parametrize(("theme", "shown"), [("light", "only-light"), ("dark", "only-dark")])
def test_each_theme_shows_its_own_pictures(browser, theme, shown):
    browser.get((SITE / "course" / "04_sizes.html").as_uri())
    browser.execute_script(f"document.body.dataset.theme = '{theme}'")
    pictures = browser.find_elements("css selector", "img.picture")
    assert len(pictures) == 4
    assert [p.is_displayed() for p in pictures] == [shown in p.get_attribute("class") for p in pictures]


# ---- The survey ----

# Scrolls the matrix, and says how far its names are from the corner of its box.
SCROLLED = """
const [x, y] = arguments;
const box = document.querySelector("#who-conforms-to-what .table-wrapper");
box.scrollTo(x, y);
const corner = box.getBoundingClientRect();
const away = (cell) => {
  const place = box.querySelector(cell).getBoundingClientRect();
  return [Math.round(place.left - corner.left), Math.round(place.top - corner.top)];
};
return {
  x: box.scrollLeft, y: box.scrollTop, share: box.querySelector("td").offsetWidth / box.clientWidth,
  corner: away("th"), target: away("th:nth-child(9)"), clause: away("tr:nth-child(20) td"),
  mark: away("td:nth-child(9)"),
};
"""


@pytest.mark.parametrize("width", [1500, 420])
def test_names_of_targets_and_clauses_stay_while_the_matrix_is_scrolled(browser, width):
    browser.set_window_size(width, 900)
    browser.get((SITE / "survey.html").as_uri())
    before, after = (browser.execute_script(SCROLLED, *by) for by in ((0, 0), (200, 300)))
    assert (after["x"], after["y"]) == (200, 300)
    assert before["corner"] == after["corner"] == [0, 0]
    assert after["target"] == [before["target"][0] - 200, 0]
    assert after["clause"] == [0, before["clause"][1] - 300]
    assert after["mark"] == [before["mark"][0] - 200, before["mark"][1] - 300]
    assert after["share"] < 0.5
