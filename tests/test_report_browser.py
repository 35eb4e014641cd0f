"""The page in a real browser: no error, no request, a slider that works, and a layout that fits 1280 and 400 pixels."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chiasm.report import write_report
from tests.devtools import Page, chromium
from tests.report_fakes import make

BROWSER = chromium()
pytestmark = pytest.mark.skipif(
    BROWSER is None, reason="no Chromium is installed here (Debian: apt-get install chromium)"
)

#: What the stages show: the words, and where every visible unit stands.
SHOWN = """(() => [...document.querySelectorAll('.stage')].map(stage => [
    stage.querySelector('.phase').textContent,
    [...stage.querySelectorAll('circle')].filter(c => c.style.display !== 'none')
        .map(c => c.getAttribute('cx') + ',' + c.getAttribute('cy')).join(' '),
    [...stage.querySelectorAll('rect')].map(r => r.getAttribute('height')).join(' '),
]))()"""


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_report(make(seeds=3), tmp_path_factory.mktemp("browser"))


@pytest.fixture(scope="module")
def browser() -> Iterator[Page]:
    assert BROWSER is not None
    with Page(BROWSER) as page:
        yield page


@pytest.fixture
def page(browser: Page, report: Path) -> Page:
    browser.resize(1280)
    browser.open(report.as_uri())
    return browser


def slide(page: Page, place: int) -> Any:
    page.evaluate(
        f"(() => {{ const s = document.getElementById('epoch'); s.value = {place};"
        " s.dispatchEvent(new Event('input', {bubbles: true})); })()"
    )
    return page.evaluate(SHOWN)


def test_no_error_and_no_request_but_the_page_itself(page: Page, report: Path) -> None:
    page.evaluate("new Promise(done => setTimeout(done, 300))")  # for what comes late, if anything does
    assert [event["request"]["url"] for event in page.of("Network.requestWillBeSent")] == [report.as_uri()]
    assert page.of("Runtime.exceptionThrown") == []
    assert page.of("Log.entryAdded") == []
    assert page.of("Runtime.consoleAPICalled") == []


def test_the_policy_stops_what_would_leave_the_page(page: Page) -> None:
    stopped = page.evaluate(
        """new Promise(done => {
        const stopped = [];
        addEventListener('securitypolicyviolation', e => { if (stopped.push(e.blockedURI) === 2) done(stopped); });
        new Image().src = 'https://example.org/x.png';
        fetch('https://example.org/').catch(() => 0);
        })"""
    )
    assert sorted(stopped) == ["https://example.org/", "https://example.org/x.png"]
    assert "Content Security Policy" in page.wait_for("Log.entryAdded")["entry"]["text"]
    assert not [e for e in page.of("Network.responseReceived") if "example.org" in e["response"]["url"]]


def test_the_slider_changes_what_is_shown(page: Page) -> None:
    end = page.evaluate(SHOWN)
    assert len(end) == 2  # control and longest deficit
    assert page.evaluate("document.getElementById('epoch-shown').textContent") == "epoch 140"
    start = slide(page, 0)
    assert page.evaluate("document.getElementById('epoch-shown').textContent") == "epoch 0"
    for before, after in zip(start, end, strict=True):
        assert all(one != other for one, other in zip(before, after, strict=True))  # words, units and bars
    assert start[1][0] == "before training"
    middle = slide(page, 2)
    assert middle[1][0] == "silence(right), epochs 0 to 80"
    assert end[0][0].endswith("this run ended at epoch 60")
    assert end[1][0] == "clean, epochs 80 to 140: 60 epochs after release"


def test_the_keyboard_moves_the_slider(page: Page) -> None:
    page.evaluate("document.getElementById('epoch').focus()")
    before = page.evaluate("document.getElementById('epoch-shown').textContent")
    page.press("ArrowLeft", 37)
    after = page.evaluate("document.getElementById('epoch-shown').textContent")
    assert (before, after) == ("epoch 140", "epoch 120")
    told = page.evaluate("document.getElementById('epoch').getAttribute('aria-valuetext')")
    assert told.startswith("epoch 120; control: ")


def test_a_seed_can_be_picked(page: Page) -> None:
    def visible() -> int:
        return len(page.evaluate(SHOWN)[1][1].split())

    every = visible()
    assert every == 3 * 12 - 1  # one unit of seed 0 is dead
    page.evaluate("document.querySelector('input[name=seed][value=\"0\"]').click()")
    assert visible() == 11
    page.evaluate("document.querySelector('input[name=seed][value=\"1\"]').click()")
    assert visible() == 12


def test_playing_moves_the_slider_and_stops(page: Page) -> None:
    # Stopped by the page itself at its first move, as a busy machine may not hear of it in time.
    moved = page.evaluate(
        """new Promise(done => {
        const [slider, play] = ['epoch', 'play'].map(id => document.getElementById(id));
        play.click();
        const look = () => slider.value === '0' ? setTimeout(look, 1) : (play.click(), done(slider.value));
        look();
        })"""
    )
    assert moved == "1"
    assert page.evaluate("document.getElementById('play').getAttribute('aria-pressed')") == "false"
    assert (
        page.evaluate("new Promise(done => setTimeout(() => done(document.getElementById('epoch').value), 700))") == "1"
    )


@pytest.mark.parametrize("width", [1280, 768, 400])
def test_the_page_fits_the_window(page: Page, width: int) -> None:
    page.resize(width)
    assert page.evaluate("innerWidth") == width
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    # Nothing sticks out of its section either, save what scrolls inside a box of its own.
    wide = page.evaluate(
        """[...document.querySelectorAll('section *')].filter(e => !e.closest('.scroll, pre, svg'))
        .filter(e => e.getBoundingClientRect().right > e.closest('section').getBoundingClientRect().right + 0.5)
        .map(e => e.outerHTML.slice(0, 80))"""
    )
    assert wide == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_stand_out_from_their_ground(page: Page, scheme: str) -> None:
    page.scheme(scheme)
    ratios = page.evaluate(
        """(() => {
        const light = c => c.match(/[\\d.]+/g).slice(0, 3).map(v => v / 255)
            .map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
            .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
        const ground = light(getComputedStyle(document.querySelector('section')).backgroundColor);
        const ratio = c => (Math.max(light(c), ground) + 0.05) / (Math.min(light(c), ground) + 0.05);
        const seen = new Set();
        for (const e of document.querySelectorAll('section p, section li, figcaption, td, .tag, summary'))
            seen.add(getComputedStyle(e).color);
        for (const e of document.querySelectorAll('section svg text')) seen.add(getComputedStyle(e).fill);
        return [...seen].map(ratio);
        })()"""
    )
    page.scheme("light")
    assert ratios
    assert min(ratios) >= 4.5  # WCAG AA for text
