"""The HTML report as people meet it: in a real browser, on three widths, and on paper."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import pytest

from orchestrator.render.html import write_html
from swarm_tasks.models.report import Report
from tests.support import reports
from tests.support.quarrels import quarrelsome

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, ViewportSize

pytestmark = pytest.mark.browser

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-quic",
    "--no-first-run",
    "--disable-sync",
)
PHONE, TABLET, DESKTOP = 375, 768, 1280
HEIGHT = 900

BUILDERS = (reports.complete, reports.partial, reports.healthy, reports.large, reports.hostile)

Show = Callable[..., "Page"]
"""Open a report in a page of its own; keywords are the window's width and the colour scheme."""


def missing(what: str) -> NoReturn:
    """Skip with the reason; in CI, where it must be installed, fail."""
    if os.environ.get("CI"):
        pytest.fail(f"CI must have {what}")
    pytest.skip(f"there is no {what}")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        missing("playwright (pip install playwright)")
    chromium = shutil.which("chromium")
    if chromium is None:
        missing("Chromium (apt install chromium)")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, args=list(FLAGS))
        yield started
        started.close()


@pytest.fixture
def show(browser: Browser, tmp_path: Path) -> Iterator[Show]:
    """Opens reports, and fails at the end if one asked for anything or complained of anything."""
    asked: list[str] = []
    complaints: list[str] = []
    path = tmp_path / "report.html"

    def opened(report: Report, width: int = DESKTOP, scheme: str = "light") -> Page:
        write_html(report, path)
        size: ViewportSize = {"width": width, "height": HEIGHT}
        page = browser.new_page(viewport=size, color_scheme="dark" if scheme == "dark" else "light")
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda dialog: complaints.append(dialog.message))
        page.goto(path.as_uri())
        return page

    yield opened
    for context in browser.contexts:
        context.close()
    assert complaints == []
    assert set(asked) == {path.as_uri()}


@pytest.mark.parametrize("width", [PHONE, TABLET, DESKTOP])
@pytest.mark.parametrize("build", [*BUILDERS, reports.thoughtful], ids=lambda build: build.__name__)
def test_no_page_scrolls_sideways(build: Callable[[], Report], width: int, show: Show) -> None:
    page = show(build(), width)
    # With all of it open: what is wide must scroll in a box of its own.
    page.locator("details:not([open]) > summary").first.click()
    assert page.evaluate("document.scrollingElement.scrollWidth <= innerWidth")
    cut = page.locator("h1, h2, h3, p, td, li, dd").evaluate_all(
        "all => all.filter(one => one.getBoundingClientRect().right > innerWidth + 1).length"
    )
    assert cut == 0


def test_a_disclosure_opens_and_shows_the_evidence(show: Show) -> None:
    page = show(reports.complete(), PHONE)
    card = page.locator("article.finding").first
    heading = card.get_by_role("heading", name="Evidence from")
    assert not heading.first.is_visible()
    card.get_by_text("Evidence", exact=True).click()
    assert heading.count() == 2
    assert heading.first.is_visible()
    assert card.locator("mark").inner_text() == '"used_percent": 97.3'
    assert card.get_by_text("/var/lib/postgresql/15/main/pg_wal").is_visible()


def test_a_disclosure_opens_from_the_keyboard(show: Show) -> None:
    page = show(reports.complete())
    page.locator("article.finding summary").first.focus()
    page.keyboard.press("Enter")
    assert page.locator("article.finding h4").first.is_visible()


@pytest.mark.parametrize(
    ("build", "width"),
    [(reports.hostile, PHONE), (reports.hostile, DESKTOP), (reports.hostile_model, TABLET)],
    ids=["host on a phone", "host", "model"],
)
def test_hostile_text_is_read_and_never_run(
    build: Callable[[], Report], width: int, show: Show
) -> None:
    page = show(build(), width)
    for summary in page.locator("summary").all():
        if summary.is_visible():
            summary.click()
    page.mouse.move(width // 2, HEIGHT // 2)
    assert page.evaluate("window.pwned") is None
    assert page.locator("script, img, body a:not([href^='#'])").count() == 0
    text = page.locator("body").inner_text()
    for shown in (
        "<script>window.pwned=1</script>",
        '"><img src=x onerror="window.pwned=2">',
        "{{7*7}}",
        "\\x1b[31mred",
        "\\u202eorder",
    ):
        assert shown in text
    assert "\u202e" not in text


@pytest.mark.parametrize("build", BUILDERS, ids=lambda build: build.__name__)
def test_the_timeline_has_a_bar_for_every_part(build: Callable[[], Report], show: Show) -> None:
    report = build()
    page = show(report)
    boxes = page.locator(".timeline .part").evaluate_all(
        "all => all.map(one => [one.getBBox().x, one.getBBox().width, one.getBBox().height])"
    )
    assert len(boxes) == sum(len(line.parts) for line in report.hosts)
    assert all(left >= 0 and width > 1 and height > 1 for left, width, height in boxes)
    assert page.locator(".timeline .part > title").count() == len(boxes)


def test_the_words_of_the_timeline_stay_on_the_page(show: Show) -> None:
    for width in (PHONE, DESKTOP):
        page = show(reports.complete(), width)
        edges = page.locator(".lanes text").evaluate_all(
            "all => all.map(one => one.getBoundingClientRect()).map(box => [box.left, box.right])"
        )
        assert all(0 < left < right < width for left, right in edges)


def test_critical_stands_before_warning(show: Show) -> None:
    page = show(reports.complete())
    words = page.locator(".badge").all_inner_texts()
    assert words == ["Critical", "Critical", "Warning", "Info", "Warning", "Refuted"]
    # A word and a shape, so that colour is never alone in telling them apart.
    shapes = page.locator(".badge use").evaluate_all(
        "all => all.map(one => one.getAttribute('href'))"
    )
    assert shapes[0] == "#icon-critical"
    assert shapes[2] == "#icon-warning"


def test_a_dark_host_is_named_at_the_top(show: Show) -> None:
    page = show(reports.partial(), PHONE)
    assert page.locator("header .coverage").inner_text() == (
        "4 of 6 hosts answered; 1 dark (db-2); 1 failed (cache-1)"
    )
    notice = page.locator(".notice.dark")
    assert "db-2 is dark" in notice.inner_text()
    assert "last seen 2026-03-02 08:47:56 UTC" in notice.inner_text()
    assert page.get_by_role("row", name=re.compile("^db-2")).get_by_text("dark").is_visible()


def test_a_healthy_report_has_no_finding(show: Show) -> None:
    page = show(reports.healthy())
    assert page.locator("article, .finding, .badge").count() == 0
    assert page.locator("h1").inner_text() == "No findings"


def test_a_host_leads_to_its_finding(show: Show) -> None:
    page = show(reports.complete())
    page.get_by_role("link", name="1 critical").first.click()
    target = page.locator("article:target")
    assert target.is_visible()
    assert target.locator("h3").inner_text() == "Volume nearly full"


def test_a_host_leads_into_the_pattern_that_it_is_part_of(show: Show) -> None:
    page = show(reports.complete())
    assert not page.locator("article.row").first.is_visible()
    page.get_by_role("row", name=re.compile("^web-2")).get_by_role("link").click()
    target = page.locator("article:target")
    assert target.is_visible()
    assert "web-2" in target.inner_text()


def test_a_step_leads_to_what_it_settles(show: Show) -> None:
    page = show(reports.complete(), PHONE)
    steps = page.locator(".steps > li")
    assert steps.count() == 3
    steps.nth(1).get_by_role("link").click()
    assert page.locator("article:target h3").inner_text() == "Volume nearly full"


def test_what_a_model_said_is_set_apart(show: Show) -> None:
    page = show(reports.thoughtful())
    assert page.locator(".summary p").first.inner_text().startswith("The database volume on db-1")
    assert page.locator("article.finding .said").count() == 3
    assert page.locator(".notice").count() == 2
    assert page.locator("section[aria-labelledby=bill] tbody tr").first.is_visible()
    # A note counts for nothing, and the head of the page does not count it.
    assert page.locator("h1").inner_text() == (
        "2 critical, 2 warnings, 1 info; 1 could not be measured again"
    )
    page.get_by_text("Each agent", exact=True).click()
    assert page.get_by_role("table", name="What each agent took").get_by_role("row").count() == 37


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    "build",
    [reports.thoughtful, reports.partial, quarrelsome],
    ids=["whole", "partial", "quarrelsome"],
)
def test_text_stands_out_from_what_is_behind_it(
    build: Callable[[], Report], scheme: str, show: Show
) -> None:
    page = show(build(), DESKTOP, scheme)
    page.locator("details:not([open]) > summary").first.click()
    faint = page.evaluate(CONTRAST)
    assert faint == []


def test_on_paper_every_disclosure_is_open(show: Show) -> None:
    page = show(reports.complete())
    page.emulate_media(media="print")
    headings = page.locator("article.finding h4")
    assert headings.count() > 6
    for heading in headings.all():
        assert heading.evaluate(
            "one => one.checkVisibility({contentVisibilityAuto: true})"
            " && one.getBoundingClientRect().height > 0"
        )
    document = page.pdf(format="A4", outline=True, tagged=True)
    assert document.startswith(b"%PDF")
    # The outline is made from the headings that were laid out, and stands uncompressed.
    assert rb"(Evidence from disk_usage\(\))" in document


CONTRAST = """
() => {
  const canvas = new OffscreenCanvas(1, 1).getContext('2d', {willReadFrequently: true});
  const rgba = colour => {
    canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const light = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map(v => v / 255)
      .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const behind = one => {
    for (; one; one = one.parentElement) {
      const colour = rgba(getComputedStyle(one).backgroundColor);
      if (colour[3] === 255) return colour;
    }
    return [255, 255, 255];
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const faint = new Set();
  while (walker.nextNode()) {
    const one = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || one.closest('svg') || !one.checkVisibility()) continue;
    const [a, b] = [light(rgba(getComputedStyle(one).color)), light(behind(one))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) faint.add(`${one.className || one.tagName}: ${ratio.toFixed(2)}`);
  }
  return [...faint];
}
"""
"""Every kind of text whose contrast is under 4.5, which WCAG 2.2 asks for at level AA (1.4.3)."""
