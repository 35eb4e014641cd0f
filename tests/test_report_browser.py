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
        for (const e of document.querySelectorAll('section p, section li, figcaption, td, summary'))
            seen.add(getComputedStyle(e).color);
        for (const e of document.querySelectorAll('section svg text')) seen.add(getComputedStyle(e).fill);
        return [...seen].map(ratio);
        })()"""
    )
    page.scheme("light")
    assert ratios
    assert min(ratios) >= 4.5  # WCAG AA for text


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_chips_and_tables_stand_out_from_the_ground_they_lie_on(page: Page, scheme: str) -> None:
    page.scheme(scheme)
    found = page.evaluate(
        """(() => {
        const parts = c => c.match(/[\\d.]+/g).map(Number);
        const light = c => parts(c).slice(0, 3).map(v => v / 255)
            .map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
            .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
        const ground = e => {
            const own = getComputedStyle(e).backgroundColor;
            return parts(own).length < 4 || parts(own)[3] === 1 ? own : ground(e.parentElement);
        };
        const ratio = e => {
            const [ink, under] = [light(getComputedStyle(e).color), light(ground(e))];
            return (Math.max(ink, under) + 0.05) / (Math.min(ink, under) + 0.05);
        };
        return ['.chip', '.chips a', '.chips b', '.rule', '.topic', 'th', 'td', '.interval', '.note']
            .map(what => [what, [...document.querySelectorAll(what)].map(ratio)]);
        })()"""
    )
    shown = page.evaluate("[...new Set([...document.querySelectorAll('.chip')].map(e => e.className))]")
    page.scheme("light")
    assert {"chip present", "chip absent", "chip unsettled"} <= set(shown)
    for what, ratios in found:
        assert ratios, what
        assert min(ratios) >= 4.5, what


def test_the_first_screen_holds_the_verdict_three_figures_and_every_chip(page: Page) -> None:
    page.resize(1280, 900)
    boxes = page.evaluate(
        """['#verdict .verdict', '#verdict figure svg', '#verdict .chips li', '#verdict .untested']
        .map(what => [...document.querySelectorAll(what)].map(e => e.getBoundingClientRect())
        .map(b => [b.left, b.top, b.right, b.bottom]))"""
    )
    sentence, figures, chips, untested = boxes
    assert (len(sentence), len(figures)) == (1, 3)
    assert len(chips) == page.evaluate("document.querySelectorAll('#answers .answers li').length") > 10
    for left, top, right, bottom in (*sentence, *figures, *chips, *untested):
        assert left >= 0
        assert top >= 0
        assert right <= 1280
        assert bottom <= 900
    assert sentence[0][3] <= min(top for _, top, _, _ in figures)  # the sentence first, then what it rests on
    assert max(bottom for *_, bottom in figures) <= min(top for _, top, _, _ in chips)
    assert min(right - left for left, _, right, _ in figures) >= 300  # side by side, and still to be read


def test_the_table_can_be_used_on_a_phone(page: Page) -> None:
    page.resize(400)
    found = page.evaluate(
        """(() => {
        const box = document.querySelector('[aria-label="Table of the numbers"]');
        box.scrollIntoView({behavior: 'instant', block: 'start'});
        box.scrollLeft = 1e6;
        const frame = box.getBoundingClientRect(), seen = [];
        for (const row of [...box.querySelectorAll('tbody tr:not(.arm)')].slice(0, 6)) {
            const [first, last] = [row.querySelector('th'), row.lastElementChild];
            const [a, b] = [first, last].map(e => e.getBoundingClientRect());
            const at = (r, x) => document.elementFromPoint(x, (r.top + r.bottom) / 2);
            seen.push([
                a.left - frame.left, frame.right - a.right, frame.right - b.right,
                first.contains(at(a, (a.left + a.right) / 2)), last.contains(at(b, b.right - 8)),
            ]);
        }
        return [box.scrollLeft, box.scrollWidth - box.clientWidth, seen];
        })()"""
    )
    page.resize(1280)
    scrolled, most, rows = found
    assert scrolled == pytest.approx(most, abs=1)
    assert most > 0
    assert len(rows) == 6
    for from_left, left_over, behind, named, number in rows:
        assert from_left == pytest.approx(0, abs=1.5)  # the name stays where it was
        assert left_over >= 200  # and leaves room for the numbers
        assert behind >= -1
        assert named
        assert number
