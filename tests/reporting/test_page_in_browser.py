"""The page as a reader sees it: in headless Chromium, from a file, without a network."""

import io
import re
import shutil

import numpy as np
import pytest
import results_files
import trajectories
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import sync_playwright

from jaxrecon.reporting.comparability import comparable_measurements
from jaxrecon.reporting.examples import load_examples
from jaxrecon.reporting.measurements import load_results
from jaxrecon.reporting.pair_table import make_pair_tables
from jaxrecon.reporting.report_files import report_files, write_files
from jaxrecon.reporting.tables import make_tables
from jaxrecon.reporting.zoom_box import busiest_box

SSIM = {"zero_filled": 0.5, "best": 0.9, "middle": 0.7}
EXAMPLES = [
    results_files.example(tuple(SSIM), shape=(64, 64), seed=seed, index=seed) for seed in (0, 1)
]
DESKTOP = {"width": 1280, "height": 900}


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    # At the second acceleration "middle" is the best one.
    rows = [
        results_files.row(
            method,
            ((ssim + (0.4 if method == "middle" and acceleration == 8 else 0), 30.0, 0.1),) * 2,
            acceleration=acceleration,
            effective_acceleration=acceleration / 1.3,
            center_fraction=fraction,
            acs=round(320 * fraction),
            data="simulated: phantom of ellipses with analytic k-space",
        )
        for acceleration in (4.0, 8.0)
        for fraction in (0.08, 0.04)
        for method, ssim in SSIM.items()
    ]
    files = load_results([results_files.write(folder, rows, examples=EXAMPLES)])
    found = comparable_measurements(files)
    pairs = [results_files.row(f"inr_{prior}") for prior in ("tv", "semantic")]
    pairs = load_results([results_files.write(folder / "pairs", pairs)])
    followed = [trajectories.made(prompt=f"Prompt {n}?", seed=n, noise=0.01) for n in range(2)]
    contents = report_files(
        "Results",
        files,
        make_tables(found),
        load_examples(files, found),
        pair_tables=make_pair_tables(comparable_measurements(pairs)),
        trajectories=list(map(trajectories.shown, followed)),
    )
    write_files(folder / "report", contents)
    return (folder / "report" / "index.html").as_uri()


@pytest.fixture(scope="module")
def browser():
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
    if program is None:
        pytest.skip("Chromium is not installed")
    switches = (
        "--headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking "
        "--disable-component-update --disable-sync"
    )
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=switches.split())
        yield browser
        browser.close()


@pytest.fixture
def visit(browser, address):
    """Opens the page; afterwards it must have asked for nothing and complained of nothing."""
    contexts, requests, complaints = [], [], []

    def open_page(viewport=DESKTOP, **options):
        contexts.append(browser.new_context(viewport=viewport, **options))
        page = contexts[-1].new_page()
        page.on("request", lambda request: requests.append(request.url))
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(address)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert [url for url in requests if not url.startswith("data:")] == [address] * len(contexts)
    assert complaints == []


def _methods(page):
    """The methods of the first table from top to bottom, block by block."""
    return page.eval_on_selector_all(
        "table.results tbody",
        "bodies => bodies.map("
        "  body => [...body.querySelectorAll('tr.line th')].map(cell => cell.dataset.value))",
    )


GIVEN = [["Zero-filled", "best", "middle"]] * 2
BEST_FIRST = [["best", "middle", "Zero-filled"], ["middle", "best", "Zero-filled"]]


def test_a_click_sorts_every_block_best_first(visit):
    page = visit()
    header = page.locator("th[data-column='1']")
    assert _methods(page) == GIVEN
    assert header.get_attribute("aria-sort") is None
    header.get_by_role("button").click()
    assert _methods(page) == BEST_FIRST
    assert header.get_attribute("aria-sort") == "descending"
    assert page.get_by_role("status").inner_text().startswith("Sorted by SSIM ↑, higher is better")
    header.get_by_role("button").click()
    assert _methods(page) == [block[::-1] for block in BEST_FIRST]
    assert header.get_attribute("aria-sort") == "ascending"
    header.get_by_role("button").click()
    assert _methods(page) == GIVEN
    assert header.get_attribute("aria-sort") is None


def test_the_header_of_a_block_stays_above_its_lines(visit):
    page = visit()
    page.locator("th[data-column='1'] button").click()
    first = page.eval_on_selector_all(
        "table.results tbody", "bodies => bodies.map(body => body.rows[0].className)"
    )
    assert first == ["setting", "setting"]


def test_the_keyboard_alone_sorts(visit):
    page = visit()
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.closest('th')?.dataset.column") == "1":
            break
    page.keyboard.press("Enter")
    assert _methods(page) == BEST_FIRST
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    sorted_by = page.eval_on_selector_all(
        "th[aria-sort]", "headers => headers.map(h => [h.dataset.column, h.ariaSort])"
    )
    assert sorted_by == [["2", "descending"]]


def _pixels(locator):
    return np.asarray(Image.open(io.BytesIO(locator.screenshot())).convert("L"), np.int16)


def test_the_keyboard_moves_the_slider_and_the_picture_follows(visit):
    page = visit()
    stage = page.locator(".stage.whole").first
    slider = page.get_by_role("slider").first
    assert slider.get_attribute("aria-valuetext") == "50 % Target, 50 % best"
    before = _pixels(stage)
    slider.focus()
    for _ in range(30):
        page.keyboard.press("ArrowRight")
    assert slider.get_attribute("aria-valuetext") == "80 % Target, 20 % best"
    after = _pixels(stage)
    width = before.shape[1]
    changed = np.abs(after - before).max(axis=0) > 8
    # What lies left of the old and right of the new divider, whose handle is 32 pixels wide,
    # stays as it is.
    assert changed[width // 2 + 20 : int(0.8 * width) - 20].mean() > 0.9
    assert not changed[: width // 2 - 20].any()
    assert not changed[int(0.8 * width) + 20 :].any()


def test_a_pointer_drags_the_divider(visit):
    page = visit()
    stage = page.locator(".stage.whole").first
    stage.scroll_into_view_if_needed()
    box = stage.bounding_box()
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] / 2, middle)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 4, middle)
    page.mouse.up()
    assert page.get_by_role("slider").first.input_value() == "25"


def test_any_two_images_can_be_compared(visit):
    page = visit()
    example = page.locator(".example").nth(1)
    left, right = example.get_by_label("Left image"), example.get_by_label("Right image")
    assert left.locator("option").all_inner_texts() == ["Target", "Zero-filled", "best", "middle"]
    left.select_option("middle")
    right.focus()
    page.keyboard.press("ArrowUp")
    shown = example.locator(".stage.whole img").evaluate_all("images => images.map(i => i.src)")
    grid = example.locator("img[data-image]").evaluate_all("images => images.map(i => i.src)")
    assert shown == [grid[3], grid[1]]
    assert example.get_by_role("slider").get_attribute("aria-valuetext") == (
        "50 % middle, 50 % Zero-filled"
    )


def test_the_box_is_enlarged_to_the_pixel(visit):
    page = visit()
    target = EXAMPLES[0].target
    box = busiest_box(target)
    assert box.size == 16
    part = target[box.row : box.row + box.size, box.column : box.column + box.size]
    grey = np.round(part / target.max() * 255)
    slider = page.get_by_role("slider").first
    slider.focus()
    page.keyboard.press("End")  # The target everywhere.

    frame = page.locator(".example .frame").first
    outline, whole = frame.locator(".box").bounding_box(), frame.bounding_box()
    assert outline["width"] == pytest.approx(whole["width"] / 4, abs=1)
    page.get_by_label("Enlarge the boxed part").first.check()
    assert not frame.locator(".box").is_visible()
    for name in ("enlarged", "whole"):
        shown = _pixels(page.locator(f".stage.{name}").first)
        centres = ((np.arange(box.size) + 0.5) * shown.shape[0] / box.size).astype(int)
        # Without the names of the images, at the top, and the divider, at the right.
        sampled = shown[np.ix_(centres, centres)][2:, :-1]
        assert np.abs(sampled - grey[2:, :-1]).max() <= 1, name


@pytest.mark.parametrize("width", [390, 320])
def test_a_phone_scrolls_tables_but_not_the_page(visit, width):
    page = visit({"width": width, "height": 844}, is_mobile=True, has_touch=True)
    for summary in page.locator("summary").all():
        if summary.is_visible():
            summary.click()
    sizes = page.evaluate(
        "[document.documentElement.scrollWidth, window.innerWidth,"
        " document.querySelector('.scroll').scrollWidth]"
    )
    assert sizes[:2] == [width, width]
    assert sizes[2] > width
    # The name of the method stays in sight.
    page.eval_on_selector(".scroll", "element => element.scrollLeft = 200")
    assert page.locator("tr.line th").first.bounding_box()["x"] >= 0


def test_a_number_leads_to_where_it_comes_from(visit):
    page = visit()
    page.get_by_role("link", name="results file 1").first.click()
    assert page.get_by_text("c84067e51b2d").last.is_visible()


def test_a_trajectory_shows_its_pictures_maps_and_answers(visit):
    page = visit()
    article = page.get_by_role("article", name="inr_semantic, knee.h5, slice 0").first
    pictures = article.get_by_role("img", name=re.compile(r"Step \d+,"))
    assert pictures.count() == 6
    assert article.get_by_text("High-quality", exact=True).count() == 3
    map_ = article.get_by_role("img", name="principal components of layer7: the path begins")
    map_.scroll_into_view_if_needed()
    assert np.ptp(_pixels(map_)) > 200
    sizes = page.locator(".trajectory img").evaluate_all(
        "images => images.map(image => [image.naturalWidth, image.alt.length])"
    )
    assert np.min(sizes) > 0
    assert page.get_by_role("img", name="Standard deviation").is_visible()


def test_tables_and_images_need_no_script(visit):
    page = visit(java_script_enabled=False)
    assert page.get_by_role("cell", name="effective 3.08, ACS 26").first.is_visible()
    assert page.get_by_role("cell", name="0.9000").first.is_visible()
    assert page.get_by_role("img", name="best, knee, file0.h5, slice 0").is_visible()
    assert not page.locator(".compare").first.is_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_barrier_in_both_colour_schemes(visit, scheme):
    page = visit(color_scheme=scheme)
    background = np.median(_pixels(page.locator("header")))
    assert (background > 240) == (scheme == "light")
    assert (background < 40) == (scheme == "dark")
    page.eval_on_selector_all("details", "all => all.forEach(each => { each.open = true; })")
    standards = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
    found = Axe().run(page, options={"runOnly": standards})
    assert found.violations_count == 0, found.generate_report()
    assert "color-contrast" in {rule["id"] for rule in found.response["passes"]}
