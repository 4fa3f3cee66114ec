"""The daemon as a process on a sound file, and Chromium looking at its page; skips without them."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest

from tests.fakes import RATE

soundfile = pytest.importorskip("soundfile")
soxr = pytest.importorskip("soxr")

ROOT = Path(__file__).parents[1]
WORDS = Path("/usr/share/sounds/alsa/Front_Center.wav")
PATIENCE_MS = 120_000  # on a machine that is busy with other things


def write_speech(path: Path, minutes: float) -> None:
    """Write somebody speaking for four seconds, then not for three, again and again."""
    if not WORDS.exists():
        pytest.skip("the sounds of alsa-utils are not installed")
    words = soxr.resample(*soundfile.read(WORDS), RATE)
    turn = np.concatenate([words, words, words, 1e-4 * np.ones(3 * RATE)])
    count = round(60 * minutes * RATE / len(turn))
    soundfile.write(path, np.tile(turn, count), RATE)


class DaemonProcess:
    """`earsight run --web` with a state folder of its own."""

    def __init__(self, folder: Path, speech: Path | None, web: str, **environment: str) -> None:
        """Listen to a sound file, or to the microphone of the configuration."""
        source = [] if speech is None else ["--input", speech]
        self._log = folder / "stderr.txt"  # a pipe that nobody reads could hold the daemon up
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "edge", "run", *source, "--web", web],
                env={
                    **os.environ,
                    "PYTHONPATH": str(ROOT),
                    "STATE_DIRECTORY": str(folder),
                    **environment,
                },
                stderr=log,
            )
        self.address = self._read_address()

    def _read_address(self) -> str:
        deadline = time.monotonic() + PATIENCE_MS / 1e3
        while time.monotonic() < deadline and self._process.poll() is None:
            if found := re.search(r"page: (\S+)\s", self._log.read_text()):
                return found[1]
            time.sleep(0.05)
        raise AssertionError(self._log.read_text())

    def stop(self) -> None:
        """End it, which takes less than five seconds."""
        self._process.send_signal(signal.SIGTERM)
        assert self._process.wait(timeout=60) == 0, self._log.read_text()


@contextmanager
def chromium() -> Iterator[Browser]:
    """Run a Chromium that can resolve no name, so that only addresses are reached."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs: pip install playwright")
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        pytest.skip("needs Chromium: apt install chromium")
    options = ["--disable-gpu", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"]
    if os.geteuid() == 0:
        options.append("--no-sandbox")  # Chromium's own does not work for root
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=options)
        yield Browser(browser)
        browser.close()


def until(page, expression: str) -> None:
    """Wait until an expression holds; the page's policy forbids Playwright's own way."""
    deadline = time.monotonic() + PATIENCE_MS / 1e3
    while not page.evaluate(expression):
        assert time.monotonic() < deadline, expression
        time.sleep(0.1)


class Browser:
    """Opens pages and keeps what went wrong in them, and every request they made."""

    def __init__(self, browser) -> None:
        self.faults: list[str] = []
        self.hosts: set[str] = set()
        self._browser = browser

    @contextmanager
    def page(self, address: str, **options: object):
        """Open an address in a profile of its own; options are those of Playwright's contexts."""
        context = self._browser.new_context(**options)
        context.set_default_timeout(PATIENCE_MS)
        page = context.new_page()
        page.on("console", self._hear)
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on("request", lambda request: self._follow(request.url))
        page.on("response", self._check)
        page.goto(address)
        try:
            yield page
        except Exception:
            print(f"{page.url} shows:\n{page.inner_text('body')[:2000]}")  # beside the failure
            raise
        context.close()

    def _hear(self, message) -> None:
        if message.type in ("error", "warning"):
            self.faults.append(message.text)

    def _check(self, response) -> None:
        if response.status >= 400:
            self.faults.append(f"{response.status} {response.url}")

    def _follow(self, url: str) -> None:
        if not url.startswith("blob:"):  # the preview of a photo: in the browser itself
            self.hosts.add(urlsplit(url).hostname or "")
