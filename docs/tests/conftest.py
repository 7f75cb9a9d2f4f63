"""A browser for the tests of pages.

It needs Chromium and its driver (Debian: chromium, chromium-driver). Where they are not there the tests are skipped,
except in CI, where REFCONV_BROWSER=required makes that a failure.
"""

import os
import shutil

import pytest


def program(*names):
    return next(filter(None, map(shutil.which, names)), None)


@pytest.fixture(scope="module")
def browser():
    """Chromium, without a window."""
    webdriver = pytest.importorskip("selenium.webdriver")
    chromium = program("chromium", "chromium-browser", "google-chrome")
    driver = program("chromedriver", "chromium.chromedriver")
    if chromium is None or driver is None:
        message = "there is no Chromium with a driver here (Debian: apt install chromium chromium-driver)"
        if os.environ.get("REFCONV_BROWSER") == "required":
            pytest.fail(message)
        pytest.skip(message)
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1200,1000"):
        options.add_argument(argument)
    with webdriver.Chrome(options=options, service=webdriver.ChromeService(driver)) as started:
        yield started
