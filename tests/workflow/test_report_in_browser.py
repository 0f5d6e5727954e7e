"""The report as a person sees it, in a headless Chromium: both widths, both schemes, by mouse, keyboard and without."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import browser
from tests.conftest import REPORT

pytestmark = pytest.mark.workflow


@pytest.fixture(scope="module")
def tab() -> Iterator[browser.Page]:
    with browser.page() as found:
        yield found


@pytest.fixture
def page(tab: browser.Page, tiny: Path) -> Iterator[browser.Page]:
    """The tiny budget's report, opened anew; whatever a test does, the console stays empty and nothing is requested."""
    tab.said.clear()
    tab.requests.clear()
    tab.look(width=1200)
    tab.open(tiny / REPORT)
    tab.run("localStorage.clear()")
    tab.open(tiny / REPORT)
    yield tab
    tab.run("1")  # what was said meanwhile is heard
    assert tab.said == []
    assert {url for url in tab.requests if not url.startswith("data:")} == {(tiny / REPORT).resolve().as_uri()}


def column(page: browser.Page, name: str, table: str = "mnist-main") -> list[str]:
    """The values of a column as they stand, references left out."""
    return list(
        page.run(
            f"(() => {{ const t = document.getElementById('{table}');"
            f" const k = t.querySelector('th[data-column={name}]').cellIndex;"
            " return [...t.tBodies[0].rows].map(row => row.cells[k].dataset.value); })()"
        )
    )


def head(name: str, table: str = "mnist-main") -> str:
    return f"document.querySelector('#{table} th[data-column={name}] button')"


@pytest.mark.parametrize("width", [380, 1600])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_it_fits_its_window_and_is_pictured(page: browser.Page, tiny: Path, width: int, dark: bool) -> None:
    page.look(width=width, dark=dark)
    page.open(tiny / REPORT)
    assert page.run("document.documentElement.scrollWidth") == width, "no sideways scrolling of the whole page"
    assert page.run("[...document.images].every(image => image.complete && image.naturalWidth > 0)")
    ground = page.run("getComputedStyle(document.body).backgroundColor")
    assert ground == ("rgb(18, 18, 18)" if dark else "rgb(251, 250, 247)")
    folder = Path(os.environ.get("EASEL_SCREENSHOTS", tiny.parent / "screenshots"))
    file = folder / f"report_{width}_{'dark' if dark else 'light'}.png"
    page.picture(file)
    assert file.stat().st_size > 50_000


def contrasts(page: browser.Page) -> list[float]:
    """Contrast of text against its ground (WCAG 2.2) wherever a kind of text stands."""
    script = """(() => {
      const part = (text) => text.match(/[\\d.]+/g).map(Number);
      const linear = v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
      const light = (c) => c.slice(0, 3).map(v => linear(v / 255))
        .reduce((sum, v, k) => sum + v * [0.2126, 0.7152, 0.0722][k], 0);
      const ground = (e) => { for (; e; e = e.parentElement) {
        const c = part(getComputedStyle(e).backgroundColor); if (c.length < 4 || c[3] === 1) return c; }
        return [255, 255, 255]; };
      const kinds = 'p, .best, .interval, .hint, dt, dd, th, td, nav a, button, code, figcaption, h2, h3, summary';
      return [...document.querySelectorAll(kinds)].filter(e => e.textContent.trim() && e.offsetParent).map(e => {
        const [a, b] = [light(part(getComputedStyle(e).color)), light(ground(e))];
        return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05); });
    })()"""
    return [float(value) for value in page.run(script)]


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_every_text_can_be_read_on_its_ground(page: browser.Page, tiny: Path, dark: bool) -> None:
    page.look(width=1200, dark=dark)
    page.open(tiny / REPORT)
    found = contrasts(page)
    assert len(found) > 100 and min(found) >= 4.5


def test_a_press_sorts_by_the_better_end_first_and_again_the_other_way(page: browser.Page) -> None:
    before = column(page, "model")
    page.run(f"{head('fd_classifier')}.click()")
    values = [float(value) for value in column(page, "fd_classifier")]
    assert values == sorted(values) and len(values) == len(before) == 3
    assert page.run(f"{head('fd_classifier')}.closest('th').getAttribute('aria-sort')") == "ascending"
    page.run(f"{head('fd_classifier')}.click()")
    assert [float(value) for value in column(page, "fd_classifier")] == values[::-1]
    page.run(f"{head('elbo')}.click()")
    assert page.run("document.querySelectorAll('#mnist-main [aria-sort]').length") == 1
    elbo = column(page, "elbo")
    assert elbo[0] and elbo[1:] == ["", ""], "what has no value comes last"
    page.run(f"{head('elbo')}.click()")
    assert column(page, "elbo") == elbo
    rows = page.run("[...document.querySelectorAll('#mnist-main .reference th')].map(cell => cell.textContent.trim())")
    assert rows == ["real", "noise", "mean_image"], "references stay below"


def test_the_keyboard_does_it_too_and_is_told_what_a_column_means(page: browser.Page) -> None:
    page.run(f"{head('fd_classifier')}.focus()")
    page.run("new Promise(done => setTimeout(done, 200))")  # the focus may scroll
    shown = page.run("document.getElementById('the-tip').innerText")
    assert (
        shown.startswith("Frechet distance")
        and "better" in shown
        and not page.run("document.getElementById('the-tip').hidden")
    )
    page.press("Enter")
    values = [float(value) for value in column(page, "fd_classifier")]
    assert values == sorted(values)
    page.press("Escape")
    assert page.run("document.getElementById('the-tip').hidden")
    page.press("Tab")
    assert page.run("document.activeElement.closest('th').dataset.column") != "fd_classifier"


def test_columns_and_models_can_be_chosen(page: browser.Page) -> None:
    visible = "[...document.querySelectorAll('#mnist-main thead th')].filter(cell => cell.offsetWidth > 0).length"
    few = page.run(visible)
    page.run("document.querySelector('[data-more=mnist-main]').click()")
    every = page.run(visible)
    assert few < every == page.run("document.querySelectorAll('#mnist-main thead th').length")
    page.run(
        "(() => { const field = document.querySelector('[data-filter=mnist-main]'); field.value = 'gran draw';"
        " field.dispatchEvent(new Event('input')); })()"
    )
    names = "[...document.querySelectorAll('#mnist-main tbody:not(.reference) tr')].filter(row => !row.hidden).length"
    assert page.run(names) == 2
    assert page.run("document.querySelector('[data-count=mnist-main]').textContent") == "2 of 3 models"


ANIMATION = "document.querySelectorAll('.animation')[0]"
FRAME = f"[...{ANIMATION}.querySelectorAll('.frames img')].findIndex(image => !image.hidden) + 1"


def do(page: browser.Page, what: str) -> None:
    page.run(f"{ANIMATION}.querySelector('[data-do={what}]').click()")


def test_canvases_are_stepped_played_and_paused(page: browser.Page) -> None:
    last = page.run(f"{ANIMATION}.querySelectorAll('.frames img').length")
    assert page.run(FRAME) == last > 2
    do(page, "back")
    assert page.run(FRAME) == last - 1
    do(page, "on")
    do(page, "on")
    assert page.run(FRAME) == 1, "after the last comes the first"
    page.run(
        f"(() => {{ const slider = {ANIMATION}.querySelector('input'); slider.value = 2;"
        " slider.dispatchEvent(new Event('input')); })()"
    )
    assert page.run(FRAME) == 2 and page.run(f"{ANIMATION}.querySelector('output').textContent") == "2"
    do(page, "play")
    page.until(f"{FRAME} >= 4")
    do(page, "play")
    paused = page.run(FRAME)
    page.run("new Promise(done => setTimeout(done, 500))")
    assert page.run(FRAME) == paused
    assert page.run(f"{ANIMATION}.querySelector('[data-do=play]').textContent") == "Play"


def test_nothing_moves_by_itself_and_once_through_where_motion_is_unwelcome(page: browser.Page, tiny: Path) -> None:
    page.look(width=1200, still=True)
    page.open(tiny / REPORT)
    last = page.run(f"{ANIMATION}.querySelectorAll('.frames img').length")
    page.run("new Promise(done => setTimeout(done, 500))")
    assert page.run(FRAME) == last
    page.run(
        f"(() => {{ const slider = {ANIMATION}.querySelector('input'); slider.value = {last - 1};"
        " slider.dispatchEvent(new Event('input')); })()"
    )
    do(page, "play")
    page.until(f"{FRAME} === {last} && {ANIMATION}.querySelector('[data-do=play]').textContent === 'Play'")


def test_the_scheme_can_be_chosen_and_is_remembered(page: browser.Page, tiny: Path) -> None:
    ground = "getComputedStyle(document.body).backgroundColor"
    light = page.run(ground)
    page.run("document.getElementById('the-scheme').click()")
    assert page.run(ground) == light
    page.run("document.getElementById('the-scheme').click()")
    assert page.run(ground) == "rgb(18, 18, 18)"
    page.open(tiny / REPORT)
    assert page.run(ground) == "rgb(18, 18, 18)"
    page.run("document.getElementById('the-scheme').click()")
    assert page.run(ground) == light


def test_without_its_script_everything_is_there(page: browser.Page, tiny: Path) -> None:
    page.call("Emulation.setScriptExecutionDisabled", value=True)
    try:
        page.open_without_script(tiny / REPORT)
        widths = page.widths("#mnist-main thead th")
        assert len(widths) > 20
        assert min(widths) > 0, "every column is shown"
    finally:
        page.call("Emulation.setScriptExecutionDisabled", value=False)
