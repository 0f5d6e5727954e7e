"""The report as a person sees it, in a headless Chromium: both widths, both schemes, by mouse, keyboard and without."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import browser, made_up_report


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report of 20 models on MNIST and of an imbalanced data set, by published tables."""
    balanced = made_up_report.context("mnist-all", "mnist")
    imbalanced = made_up_report.context("telugu_print", "telugu_print", bands=made_up_report.BANDS)
    return made_up_report.write(tmp_path_factory.mktemp("report") / "report.html", balanced, imbalanced)


@pytest.fixture(scope="module")
def tab() -> Iterator[browser.Page]:
    with browser.page() as found:
        yield found


@pytest.fixture
def page(tab: browser.Page, file: Path) -> Iterator[browser.Page]:
    """The report, opened again for each test, after which the console must be empty and nothing requested."""
    tab.said.clear()
    tab.requests.clear()
    tab.look(width=1200)
    tab.open(file)
    yield tab
    tab.run("localStorage.clear()")  # and what was said meanwhile is heard
    assert tab.said == []
    assert {url for url in tab.requests if not url.startswith("data:")} == {file.resolve().as_uri()}


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
def test_it_fits_its_window_and_every_text_can_be_read(page: browser.Page, file: Path, width: int, dark: bool) -> None:
    page.look(width=width, dark=dark)
    page.open(file)
    assert page.run("document.documentElement.scrollWidth") == width, "no sideways scrolling of the whole page"
    assert page.run("[...document.images].every(image => image.complete && image.naturalWidth > 0)")
    ground = page.run("getComputedStyle(document.body).backgroundColor")
    assert ground == ("rgb(18, 18, 18)" if dark else "rgb(251, 250, 247)")
    found = contrasts(page)
    assert len(found) > 100 and min(found) >= 4.5
    folder = Path(os.environ.get("EASEL_SCREENSHOTS", file.parent / "screenshots"))
    picture = folder / f"report_{width}_{'dark' if dark else 'light'}.png"
    page.picture(picture)
    assert picture.stat().st_size > 50_000


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


def test_a_press_sorts_by_the_better_end_first_and_again_the_other_way(page: browser.Page) -> None:
    before = column(page, "model")
    page.run(f"{head('fd_classifier')}.click()")
    values = [float(value) for value in column(page, "fd_classifier")]
    assert values == sorted(values) and len(values) == len(before) == 20
    assert page.run(f"{head('fd_classifier')}.closest('th').getAttribute('aria-sort')") == "ascending"
    page.run(f"{head('fd_classifier')}.click()")
    assert [float(value) for value in column(page, "fd_classifier")] == values[::-1]
    page.run(f"{head('elbo')}.click()")
    assert page.run("document.querySelectorAll('#mnist-main [aria-sort]').length") == 1
    elbo = column(page, "elbo")
    known = [float(value) for value in elbo if value]
    assert elbo == [str(value) for value in sorted(known)[::-1]] + [""] * (20 - len(known)), "no value: last"
    page.run(f"{head('elbo')}.click()")
    assert column(page, "elbo") == [str(value) for value in sorted(known)] + [""] * (20 - len(known))
    rows = page.run("[...document.querySelectorAll('#mnist-main .reference th')].map(cell => cell.dataset.value)")
    assert rows == ["real", "noise", "mean_image"], "references stay below"


def test_the_keyboard_does_it_too_and_is_told_what_a_column_means(page: browser.Page) -> None:
    page.run(f"{head('fd_classifier')}.focus()")
    page.run("new Promise(done => setTimeout(done, 200))")  # the focus may scroll
    shown = page.run("document.getElementById('the-tip').innerText")
    assert shown.startswith("Frechet distance") and "better" in shown
    assert not page.run("document.getElementById('the-tip').hidden")
    page.press("Enter")
    values = [float(value) for value in column(page, "fd_classifier")]
    assert values == sorted(values)
    page.press("Escape")
    assert page.run("document.getElementById('the-tip').hidden")
    page.press("Tab")
    assert page.run("document.activeElement.closest('th').dataset.column") != "fd_classifier"


@pytest.mark.parametrize("name", ["knn_error", "copying", "density"])
def test_where_nearer_to_real_is_better_a_press_sorts_by_that_distance(page: browser.Page, name: str) -> None:
    real = float(page.run(f"{head(name)}.dataset.real"))
    page.run("document.querySelector('[data-more=mnist-main][data-view=\"\"]').click()")
    page.run(f"{head(name)}.click()")
    distances = [abs(float(value) - real) for value in column(page, name)]
    assert distances == sorted(distances) and distances[0] < distances[-1]
    page.run(f"{head(name)}.click()")
    assert [abs(float(value) - real) for value in column(page, name)] == distances[::-1]


VISIBLE = "[...document.querySelectorAll('#mnist-main .heads th')].filter(cell => cell.offsetWidth > 0)"


def press(page: browser.Page, selector: str) -> None:
    page.run(f"document.querySelector('{selector}').click()")


def test_columns_are_chosen_by_group_and_their_heads_stand_over_them(page: browser.Page) -> None:
    few = page.run(f"{VISIBLE}.length")
    press(page, '[data-more=mnist-main][data-view="Two-sample tests"]')
    names = page.run(f"{VISIBLE}.map(cell => cell.dataset.column)")
    assert names[:3] == ["model", "status", "knn_error"] and "naive_bayes_error" in names and "recall" not in names
    heads = "[...document.querySelectorAll('#mnist-main .groups th')].filter(cell => cell.offsetWidth > 0)"
    assert page.run(f"{heads}.map(cell => [cell.dataset.group, cell.colSpan])") == [
        ["", 2],
        ["Two-sample tests", len(names) - 2],
    ]
    press(page, '[data-more=mnist-main][data-view=""]')
    every = page.run(f"{VISIBLE}.length")
    assert few < len(names) < every == page.run("document.querySelectorAll('#mnist-main .heads th').length")
    assert every >= 40
    wide = page.run("document.querySelector('#mnist-main').closest('.edges').className")
    assert "more-right" in wide and "more-left" not in wide, "an edge beyond which there is more is shaded"
    page.run("document.querySelector('#mnist-main').closest('.scroll').scrollLeft = 1e6")
    page.until("document.querySelector('#mnist-main').closest('.edges').matches('.more-left:not(.more-right)')")


def write(page: browser.Page, selector: str, text: str) -> None:
    """Text in a field, as typed."""
    page.run(
        f"(() => {{ const field = document.querySelector('{selector}'); field.value = '{text}';"
        " field.dispatchEvent(new Event('input')); })()"
    )


def test_rows_are_filtered_by_name_and_by_value(page: browser.Page) -> None:
    names = (
        "[...document.querySelectorAll('#mnist-main tbody:not(.reference) tr')]"
        ".filter(row => !row.hidden).map(row => row.cells[0].dataset.value)"
    )
    count = "document.querySelector('[data-count=mnist-main]').textContent"
    write(page, "[data-filter=mnist-main]", "gran1 gan_conv")
    assert page.run(names) == ["gran1", "gan_conv"] and page.run(count) == "2 of 20 models"
    write(page, "[data-filter=mnist-main]", "")
    press(page, "[data-filters=mnist-main]")
    index = page.run(f"{head('fd_classifier')}.closest('th').cellIndex + 1")
    field = f"#mnist-main .filters th:nth-child({index}) input"
    for text, kept in (("< 2", lambda v: v < 2), (">=13", lambda v: v >= 13), ("2..4", lambda v: 2 <= v <= 4)):
        write(page, field, text)
        values = {name: float(value) for name, value in pairs(page)}
        assert page.run(names) == [name for name, value in values.items() if kept(value)] != []
    write(page, field, "< much")
    assert page.run(f"document.querySelector('{field}').getAttribute('aria-invalid')") == "true"
    assert page.run(count) == 'found "< much"; expected < 5, >= 0.3, 0.2..0.5 or part of a text'
    press(page, "[data-filters=mnist-main]")
    assert len(page.run(names)) == 20 and page.run(count) == "", "without the fields every row is there"


def pairs(page: browser.Page) -> list[tuple[str, str]]:
    return list(zip(column(page, "model"), column(page, "fd_classifier"), strict=True))


DIALOG = "document.getElementById('the-view')"


@pytest.mark.parametrize("key", ["Enter", " "])
def test_a_picture_is_enlarged_by_the_keyboard_and_put_away_by_escape(page: browser.Page, key: str) -> None:
    page.run("document.querySelector('#mnist-figure-scores img').focus()")
    page.press(key)
    assert page.run(f"{DIALOG}.open")
    assert page.run(f"{DIALOG}.querySelector('img').src === document.querySelector('#mnist-figure-scores img').src")
    assert page.run(f"{DIALOG}.querySelector('b').textContent") == "scores: a wave"
    page.press("Escape")
    assert not page.run(f"{DIALOG}.open")
    assert page.run("document.activeElement.dataset.name") == "mnist_scores", "the focus goes back"


def test_a_drawing_is_saved_as_svg_and_png_and_a_picture_as_png(page: browser.Page) -> None:
    page.run(
        "(() => { window.saved = []; HTMLAnchorElement.prototype.click = function () {"
        " window.saved.push([this.download, this.href]); }; })()"
    )
    press(page, "#mnist-figure-scores img")
    for kind in ("svg", "png"):
        press(page, f"#the-view [data-save={kind}]")
    page.press("Escape")
    press(page, "#mnist-samples-real img")
    assert page.run(f"{DIALOG}.querySelector('[data-save=svg]').hidden")
    press(page, "#the-view [data-save=png]")
    saved = page.run("window.saved")
    assert [name for name, _ in saved[:2]] == ["mnist_scores.svg", "mnist_scores.png"]
    contents = [base64.b64decode(address.split(",")[1]) for _, address in saved]
    assert contents[0].startswith(b"<svg")
    assert all(content.startswith(b"\x89PNG") for content in contents[1:]) and len(contents) == 3


def test_a_row_leads_to_its_samples_curves_and_run(page: browser.Page) -> None:
    row = "#mnist-main tbody:first-of-type tr:first-child"
    name = page.run(f"document.querySelector('{row}').cells[0].dataset.value")
    links = page.run(f"[...document.querySelectorAll('{row} a')].map(a => a.hash)")
    assert links == [f"#mnist-samples-{name}", "#mnist-figure-losses", f"#mnist-run-{name}"]
    for link in links:
        assert page.run(f"document.querySelector('{link}') !== null")
    page.run(f"location.hash = '{links[-1]}'")
    page.until(f"document.querySelector('{links[-1]}').open")


# --- the first screen -------------------------------------------------------------------------------------------------

BOTTOM = "document.querySelector('#{} {}').getBoundingClientRect().bottom"


def test_the_verdict_and_every_model_are_on_a_large_first_screen(page: browser.Page, file: Path) -> None:
    page.look(width=1600, height=1000)
    page.open(file)
    for dataset in ("mnist", "telugu_print"):
        page.run(f"document.getElementById('{dataset}').scrollIntoView({{behavior: 'instant'}})")
        assert page.run(BOTTOM.format(dataset, ".strips")) < 1000
    words = page.run("document.querySelector('#mnist .verdict').innerText")
    assert "gran5_at9 and gran5_at7 lead on Frechet distance (classifier)" in words and "With one seed" in words
    stamp = page.run("document.querySelector('#mnist .stamp').innerText").split()
    assert {"laptop", "2026-11-30", "0123456789ab", "10,000"} <= set(stamp)
    assert page.run("document.querySelectorAll('#mnist .strip').length") == 21
    first = page.run("document.querySelector('#telugu_print .points').innerText")
    assert "Rare classes" in first and "Coverage, tail" in first
    tail = page.run("[...document.querySelectorAll('#telugu_print-tail thead th')].map(head => head.dataset.column)")
    assert tail[:3] == ["model", "status", "coverage_tail"] and page.run("!document.getElementById('mnist-tail')")


def test_the_verdict_and_a_strip_of_samples_are_on_a_telephones_first_screen(page: browser.Page, file: Path) -> None:
    page.look(width=380, height=800)
    page.open(file)
    assert page.run(BOTTOM.format("mnist", ".leader img")) < page.run(BOTTOM.format("mnist", ".points")) < 800


def test_text_is_large_enough_on_a_small_laptop(page: browser.Page, file: Path) -> None:
    page.look(width=1024, height=768)
    page.open(file)
    smallest = page.run(
        "Math.min(...[...document.querySelectorAll('body *')].filter(e => e.offsetParent"
        " && [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim()))"
        ".map(e => parseFloat(getComputedStyle(e).fontSize)))"
    )
    assert smallest >= 11


def test_print_has_every_column_and_keeps_to_the_page(page: browser.Page, file: Path) -> None:
    page.look(width=1032, height=700)
    page.call("Emulation.setEmulatedMedia", media="print")
    try:
        page.open(file)
        table = "document.querySelector('#mnist-main').closest('.instrument')"
        words = ".map(e => e.textContent.trim().replace(/\\s+/g, ' '))"
        printed = page.run(f"[...{table}.querySelectorAll('.part th')].filter(e => e.offsetWidth > 0){words}")
        labels = page.run(f"[...document.querySelectorAll('#mnist-main .heads .sort')]{words}")
        assert len(labels) >= 40 and set(labels) <= set(printed)
        right = page.run(
            "Math.max(...[...document.querySelectorAll('table')].map(e => e.getBoundingClientRect().right))"
        )
        assert right <= 1032
        assert page.run("getComputedStyle(document.querySelector('.gallery')).breakInside") == "avoid"
    finally:
        page.call("Emulation.setEmulatedMedia", media="")


ANIMATION = "document.querySelectorAll('.animation')[0]"
FRAME = f"[...{ANIMATION}.querySelectorAll('.frames img')].findIndex(image => !image.hidden) + 1"


def do(page: browser.Page, what: str) -> None:
    press(page, f".animation [data-do={what}]")


def test_canvases_are_stepped_played_and_paused(page: browser.Page) -> None:
    last = page.run(f"{ANIMATION}.querySelectorAll('.frames img').length")
    assert page.run(FRAME) == last > 2
    do(page, "back")
    assert page.run(FRAME) == last - 1
    do(page, "on")
    do(page, "on")
    assert page.run(FRAME) == 1, "after the last comes the first"
    write(page, ".animation input", "2")
    assert page.run(FRAME) == 2 and page.run(f"{ANIMATION}.querySelector('output').textContent") == "2"
    do(page, "play")
    page.until(f"{FRAME} >= 4")
    do(page, "play")
    paused = page.run(FRAME)
    page.run("new Promise(done => setTimeout(done, 500))")
    assert page.run(FRAME) == paused
    assert page.run(f"{ANIMATION}.querySelector('[data-do=play]').textContent") == "Play"


def test_nothing_moves_by_itself_and_once_through_where_motion_is_unwelcome(page: browser.Page, file: Path) -> None:
    page.look(width=1200, still=True)
    page.open(file)
    last = page.run(f"{ANIMATION}.querySelectorAll('.frames img').length")
    page.run("new Promise(done => setTimeout(done, 500))")
    assert page.run(FRAME) == last
    write(page, ".animation input", f"{last - 1}")
    do(page, "play")
    page.until(f"{FRAME} === {last} && {ANIMATION}.querySelector('[data-do=play]').textContent === 'Play'")


def test_the_scheme_can_be_chosen_and_is_remembered(page: browser.Page, file: Path) -> None:
    ground = "getComputedStyle(document.body).backgroundColor"
    light = page.run(ground)
    for expected in (light, "rgb(18, 18, 18)"):
        press(page, "#the-scheme")
        assert page.run(ground) == expected
    page.open(file)
    assert page.run(ground) == "rgb(18, 18, 18)"
    press(page, "#the-scheme")
    assert page.run(ground) == light


def test_without_its_script_everything_is_there(page: browser.Page, file: Path) -> None:
    page.call("Emulation.setScriptExecutionDisabled", value=True)
    try:
        page.open_without_script(file)
        widths = page.widths("#mnist-main .heads th")
        assert len(widths) > 20
        assert min(widths) > 0, "every column is shown"
    finally:
        page.call("Emulation.setScriptExecutionDisabled", value=False)
