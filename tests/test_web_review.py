"""Questions on the page: "was this ...?", answered over the wire, for the store and the daemon."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edge.config import DeviceConfig, GallerySettings
from edge.people.opening import open_store
from edge.people.review import keep, pending
from tests.people import SPACE, sample, unit
from tests.web_browser import chromium
from tests.web_visitor import Visitor, served

pytest.importorskip("starlette", reason="needs the page's server: pip install 'earsight[web]'")
pytest.importorskip("python_multipart", reason="needs: pip install 'earsight[web]'")


@pytest.fixture
def config(tmp_path: Path) -> DeviceConfig:
    """Give a device that heard somebody who may be Ada, twice."""
    path = tmp_path / "people.gallery"
    with open_store(path, SPACE) as store:
        store.add("Ada", [sample(1)], None)
        for seed in (2, 3):
            keep(store, "u0001", unit(seed), 0.7, 0.4)
    return DeviceConfig(gallery=GallerySettings(path=str(path)))


def waiting(visitor: Visitor) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = visitor.ask("GET", "/api/reviews").json()["waiting"]
    return found


def test_a_question_is_answered_once(config: DeviceConfig) -> None:
    path = Path(config.gallery.path)
    with served(config=config) as visitor:
        second, first = waiting(visitor)
        assert (second["number"], first["number"]) == (2, 1)
        assert (first["name"], first["person"], first["probability"]) == ("Ada", "u0001", 0.4)
        assert visitor.ask("POST", "/api/reviews/1", b'{"yes": true}').status == 200
        assert visitor.device.asked == ["reload"]
        assert visitor.ask("POST", "/api/reviews/2", b'{"yes": false}').status == 200
        assert visitor.device.asked == ["reload"]
        assert waiting(visitor) == []
        again = visitor.ask("POST", "/api/reviews/1", b'{"yes": true}')
        assert again.status == 404
        assert "answered already" in again.json()["error"]
    with open_store(path) as store:
        assert pending(store) == ()
        assert (store.find("Ada").photos, store.find("Ada").voices) == (1, 1)


@pytest.mark.parametrize("body", [b"", b"{}", b'{"yes": 1}', b"[]", b'{"yes": "no"}'])
def test_what_is_no_answer_changes_nothing(config: DeviceConfig, body: bytes) -> None:
    with served(config=config) as visitor:
        assert visitor.ask("POST", "/api/reviews/1", body).status == 400
        assert len(waiting(visitor)) == 2


def test_nobody_enrolled_is_no_question(tmp_path: Path) -> None:
    missing = DeviceConfig(gallery=GallerySettings(path=str(tmp_path / "none.gallery")))
    with served(config=missing) as visitor:
        assert waiting(visitor) == []
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_store_is_said(config: DeviceConfig) -> None:
    path = Path(config.gallery.path)
    content = bytearray(path.read_bytes())
    content[100:4000] = bytes(3900)
    path.write_bytes(content)
    with served(config=config) as visitor:
        answer = visitor.ask("GET", "/api/reviews")
        assert answer.status == 503
        assert "damaged" in answer.json()["error"]


def test_questions_are_seen_and_answered_in_a_browser(config: DeviceConfig) -> None:
    with chromium() as browser, served(config=config) as visitor:
        options = {"viewport": {"width": 360, "height": 740}, "is_mobile": True}
        with browser.page(f"http://127.0.0.1:{visitor.port}/", **options) as page:
            page.wait_for_selector("#reviews:not([hidden]) li:has-text('Was this Ada?')")
            assert page.locator("#reviews li").count() == 2
            wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
            assert page.evaluate(wide) == 0
            page.click("#reviews li:last-child button:has-text('Yes')")
            page.wait_for_selector("#review-said:has-text('Ada is known by this voice too')")
            page.click("#reviews button:has-text('No')")
            page.wait_for_selector("#reviews", state="hidden")
    with open_store(Path(config.gallery.path)) as store:
        assert store.find("Ada").voices == 1
