"""The page in a real browser: whose word it takes, what it looks like, and what it lets nobody do."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from PIL import Image
from selenium.webdriver.common.by import By

from .site import STAGE, Begin, Site

if TYPE_CHECKING:
    from conftest import Person
    from selenium.webdriver import Chrome

EVIL = "x</title></script><img src=x onerror='evil=1'><script>window.evil=1</script>{0}&amp;"


def test_unknown_stage_in_the_browser(site: Site, begin: Begin, person: Person, chromium: Chrome) -> None:
    """A stage that nobody knows is done the moment its page says so; the page says that the person is done, too."""
    _, url, thread = begin(site)
    site.is_done = True

    chromium.get(url)
    assert chromium.title == chromium.find_element(By.TAG_NAME, "h1").text == f"To do: {STAGE}"
    assert chromium.find_element(By.TAG_NAME, "a").get_attribute("href") == site.fallback_url(STAGE, "S1").replace(
        "</script>", "%3C/script%3E"
    )
    chromium.find_element(By.ID, "open").click()

    thread.join(10)
    assert site.requests == [None, {"session": "S1"}]
    person.until(lambda driver: driver.find_element(By.TAG_NAME, "h1").text == "Done")
    person.until(lambda driver: len(driver.window_handles) == 1)


def test_the_homeserver_is_not_told_where_the_page_is(
    site: Site, begin: Begin, person: Person, chromium: Chrome
) -> None:
    """Neither the button nor the link takes the page's address along."""
    _, url, _ = begin(site)

    for element in ("button", "a"):
        chromium.get(url)
        chromium.find_element(By.TAG_NAME, element).click()
        person.until(lambda driver: driver.title == f"Checking: {STAGE}")

    assert site.referrers == [None, None]


def test_a_word_that_was_wrong(site: Site, begin: Begin, person: Person, chromium: Chrome) -> None:
    """If the homeserver's page says that it is done and it is not, the loop waits on, and the button comes back."""
    _, url, thread = begin(site)
    chromium.get(url)
    chromium.find_element(By.ID, "open").click()
    person.until(lambda driver: driver.title == f"Checking: {STAGE}")
    assert not chromium.find_element(By.ID, "open").is_displayed()
    assert thread.is_alive()

    site.is_done = True
    person.until(lambda driver: driver.find_element(By.ID, "open").is_displayed())
    assert chromium.title == f"To do: {STAGE}"
    assert "does not say that this step is done" in chromium.find_element(By.ID, "state").text
    chromium.find_element(By.ID, "open").click()

    thread.join(10)
    assert site.requests == [None, {"session": "S1"}, {"session": "S1"}]


def test_in_a_frame(site: Site, begin: Begin, chromium: Chrome, new_site: Callable[[], Site]) -> None:
    """Nobody can put the page into a frame, to have its button pressed unawares."""
    _, url, _ = begin(site)
    chromium.get(new_site().base_url)

    chromium.execute_async_script(
        "const frame = document.createElement('iframe'); frame.onload = arguments[1]; frame.src = arguments[0];"
        "document.documentElement.append(frame)",
        url,
    )

    chromium.switch_to.frame(chromium.find_element(By.TAG_NAME, "iframe"))
    assert chromium.find_elements(By.ID, "open") == []
    chromium.switch_to.default_content()


def test_markup_in_names(new_site: Callable[[], Site], begin: Begin, chromium: Chrome) -> None:
    """What a server calls a stage is text, wherever it stands."""
    site = new_site()
    site.stage = EVIL
    _, url, _ = begin(site)

    chromium.get(url)

    assert chromium.find_element(By.TAG_NAME, "h1").text == f"To do: {EVIL}"
    assert chromium.title == f"To do: {EVIL}"
    assert chromium.find_elements(By.TAG_NAME, "img") == []
    assert chromium.execute_script("return window.evil") is None
    assert chromium.execute_script("return document.scripts.length") == 1


def test_another_site_s_word(
    site: Site, new_site: Callable[[], Site], begin: Begin, person: Person, chromium: Chrome
) -> None:
    """The same message of another origin is nothing: no poll, and the page waits on."""
    _, url, _ = begin(site)
    site.requests.clear()
    chromium.get(url)
    page = chromium.current_window_handle

    chromium.execute_script("window.open(arguments[0], 'stage')", new_site().base_url)

    person.until(lambda driver: len(driver.window_handles) == 2)
    chromium.switch_to.window(next(w for w in chromium.window_handles if w != page))
    person.until(lambda driver: driver.title == "said")
    chromium.close()
    chromium.switch_to.window(page)
    # What came before is dealt with before this script is.
    chromium.execute_async_script("setTimeout(arguments[0], 50)")
    assert chromium.find_element(By.TAG_NAME, "h1").text == f"To do: {STAGE}"
    assert site.requests == []


def test_blocked_popup(site: Site, begin: Begin, person: Person, chromium: Chrome) -> None:
    """If the browser lets no window open the page says so, and the loop's polls find out what was done elsewhere."""
    _, url, thread = begin(site, poll_interval=0.05)
    chromium.get(url)
    chromium.execute_script("window.open = () => null")

    chromium.find_element(By.ID, "open").click()

    assert chromium.find_element(By.ID, "state").text == "The browser let no window open: follow the link below."
    site.is_done = True
    thread.join(10)
    assert not thread.is_alive()


def test_the_link_instead_of_the_button(site: Site, begin: Begin, person: Person, chromium: Chrome) -> None:
    """The link below the button does the same: its page's word is heard."""
    _, url, thread = begin(site)
    site.is_done = True
    chromium.get(url)

    chromium.find_element(By.TAG_NAME, "a").click()

    thread.join(10)
    assert not thread.is_alive()
    person.until(lambda driver: len(driver.window_handles) == 1)


def luminance(colour: tuple[int, ...]) -> float:
    """Return a colour's relative luminance, as WCAG 2 defines it."""
    linear = [c / 3294.6 if c <= 10 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in colour]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def paper_and_contrast(png: bytes) -> tuple[float, float]:
    """Return the luminance of a picture's background, and the contrast of its strongest ink to that, as WCAG 2 does."""
    colours = Image.open(io.BytesIO(png)).convert("RGB").getcolors(1 << 24)
    assert colours is not None
    paper = luminance(max(colours)[1])  # type: ignore[arg-type]  # RGB: a tuple each
    inks = [luminance(colour) for _, colour in colours]  # type: ignore[arg-type]  # and so here
    return paper, max((max(ink, paper) + 0.05) / (min(ink, paper) + 0.05) for ink in inks)


@pytest.mark.parametrize("width", [360, 1280], ids=["phone", "desk"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_is_readable(
    site: Site, begin: Begin, chromium: Chrome, scheme: str, width: int, tmp_path: Path
) -> None:
    """It is drawn without anything from elsewhere, in good contrast on light or dark paper, and fits a phone."""
    _, url, _ = begin(site)
    emulate = chromium.execute_cdp_cmd
    emulate("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]})
    screen = {"width": width, "height": 720, "deviceScaleFactor": 1, "mobile": False}
    emulate("Emulation.setDeviceMetricsOverride", screen)
    chromium.get_log("browser")  # what went before
    try:
        chromium.get(url)
        (tmp_path / f"{scheme}-{width}.png").write_bytes(chromium.get_screenshot_as_png())
        paper, contrast = paper_and_contrast(chromium.get_screenshot_as_png())
        parts = {
            name: paper_and_contrast(chromium.find_element(By.CSS_SELECTOR, name).screenshot_as_png)[1]
            for name in ("h1", "#what", "button", "a")
        }
        asked = chromium.execute_script("return performance.getEntriesByType('resource').map(each => each.name)")
        room = chromium.execute_script("return [document.documentElement.scrollWidth, innerWidth]")
    finally:
        emulate("Emulation.clearDeviceMetricsOverride", {})
        emulate("Emulation.setEmulatedMedia", {"features": []})

    assert paper < 0.05 if scheme == "dark" else paper > 0.9
    assert contrast > 7
    assert {name: ratio for name, ratio in parts.items() if ratio < 4.5} == {}
    assert {urlsplit(name).netloc for name in asked} <= {urlsplit(url).netloc}
    assert room[0] <= room[1]
    assert [entry for entry in chromium.get_log("browser") if "favicon" not in entry["message"]] == []
