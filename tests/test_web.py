"""The page over real sockets: what it answers, to whom, and that it never gets in the way."""

from __future__ import annotations

import select
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from http.client import HTTPSConnection
from pathlib import Path
from urllib.parse import quote

import pytest

from edge.config import DeviceConfig
from edge.errors import ConfigError
from edge.sinks.fanout import SinkStatus
from edge.sinks.journal import Journal, JournalSettings
from edge.web import server
from edge.web.access import HEADERS
from edge.web.app import LARGEST_BODY
from edge.web.page import Page
from edge.web.settings import WebSettings
from edge.web.token import load_token
from tests.web_visitor import LOCAL, STAMPER, FakeDevice, Visitor, heard, served, wait_for_port

pytest.importorskip("starlette", reason="needs the page's server: pip install 'earsight[web]'")
pytest.importorskip("uvicorn", reason="needs the page's server: pip install 'earsight[web]'")
STATIC = Path(server.__file__).parent / "static"


@pytest.fixture(scope="module")
def visitor() -> Iterator[Visitor]:
    config = DeviceConfig(journal=JournalSettings(enabled=False))
    with served(config=config) as found:
        yield found


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "text/html"),
        ("/login", ""),
        ("/static/page.js", "text/javascript"),
        ("/static/style.css", "text/css"),
        ("/static/icon.svg", "image/svg+xml"),
        ("/api/state", "application/json"),
        ("/api/about", "application/json"),
        ("/api/settings", "application/json"),
        ("/api/people", "application/json"),
        ("/api/history", "application/json"),
        ("/static/nobody.svg", "image/svg+xml"),
        ("/nothing", "text/plain"),
        ("/static/%2e%2e/app.py", "text/plain"),
        ("/static/nothing.js", "text/plain"),
    ],
)
def test_every_answer_has_its_type_and_the_headers_that_guard_it(
    visitor: Visitor, path: str, kind: str
) -> None:
    answer = visitor.get(path)
    assert answer.headers.get("content-type", "").startswith(kind)
    for name, value in HEADERS.items():
        assert answer.headers[name.lower()] == value
    assert "server" not in answer.headers
    missing = path == "/nothing" or path.startswith("/static/%") or path.endswith("/nothing.js")
    assert answer.status == (404 if missing else 303 if path == "/login" else 200)


@pytest.mark.parametrize("id", ["p1", "u0001"], ids=["known by voice only", "not there"])
def test_who_has_no_picture_is_shown_as_nobody(visitor: Visitor, id: str) -> None:
    answer = visitor.get(f"/people/{id}")
    assert (answer.status, answer.headers["location"]) == (303, "/static/nobody.svg")


def test_the_page_names_no_other_host() -> None:
    for file in STATIC.iterdir():
        text = file.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        assert "://" not in text, file.name
        assert "style=" not in text, file.name  # the policy allows no inline style


def test_other_names_and_other_sites_get_nothing(visitor: Visitor) -> None:
    assert visitor.get("/api/state", Host="evil.example").status == 421
    foreign = visitor.ask("POST", "/api/mute", b'{"muted": true}', Origin="https://evil.example")
    assert foreign.status == 403
    fetched = visitor.get("/api/people", Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="no-cors")
    assert fetched.status == 403
    assert visitor.device.asked == []


def test_muting(visitor: Visitor) -> None:
    assert visitor.ask("POST", "/api/mute", b'{"muted": true}').status == 202
    assert visitor.ask("POST", "/api/mute", b'{"muted": false}').status == 202
    for wrong in (b"", b"[]", b"{}", b'{"muted": 1}', b"\xff"):
        assert visitor.ask("POST", "/api/mute", wrong).status == 400
    assert visitor.get("/api/mute").status == 405
    assert visitor.device.asked == ["mute on", "mute off"]
    visitor.device.asked.clear()


def test_a_body_that_is_too_large_is_refused(visitor: Visitor) -> None:
    length = str(LARGEST_BODY + 1)
    with socket.create_connection(("127.0.0.1", visitor.port)) as connection:
        head = f"POST /api/people HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n"
        connection.sendall(head.encode())
        assert connection.recv(100).startswith(b"HTTP/1.1 413")


def test_a_form_that_is_none_is_refused(visitor: Visitor) -> None:
    for kind, body in (
        ("text/plain", b"x"),
        ("multipart/form-data", b"x"),
        ("multipart/form-data; boundary=b", b"x"),
    ):
        answer = visitor.ask("POST", "/api/people", body, Content_Type=kind)
        assert answer.status in (400, 422), (kind, answer.body)
        assert answer.json()["error"]
    assert visitor.device.asked == []


def test_the_state_and_the_settings(visitor: Visitor) -> None:
    state = visitor.get("/api/state").json()
    assert state["audio"]["state"] == "listening"
    assert (state["runs_on"], state["runtime"], state["people"]) == ("cpu", "fake 0", 5)
    assert state["board"]["throttled"] == ["under-voltage since boot", "throttled since boot"]
    settings = visitor.get("/api/settings").json()
    found = {key["key"]: key for key in settings["keys"]}
    assert found["web.enabled"]["value"] is True
    assert found["mqtt.host"] == {
        "key": "mqtt.host",
        "value": "localhost",
        "origin": "default",
        "text": "the broker",
    }
    assert {key.partition(".")[0] for key in found} == set(settings["sections"])
    about = visitor.get("/api/about").json()
    assert "guess" in about["caption"]
    assert "not predicted" in about["honesty"]


def test_health_follows_the_daemons_liveness(visitor: Visitor) -> None:
    device = visitor.device
    before = device.now
    assert before is not None
    assert visitor.get("/healthz").status == 200
    device.now = replace(before, alive=False)
    assert visitor.get("/healthz").status == 503
    device.now = None
    answer = visitor.get("/healthz")
    assert (answer.status, answer.json()) == (503, {"alive": False, "audio": "starting"})
    assert visitor.get("/api/state").json() == {"started": False}
    assert visitor.get("/metrics").status == 200
    device.now = before


def test_metrics_are_what_prometheus_reads(visitor: Visitor) -> None:
    parser = pytest.importorskip("prometheus_client.parser")
    visitor.tell("heard", heard("Ada"))
    visitor.tell("heard", heard(None, start_s=5.0))
    visitor.tell("gap", {"lost_s": 0.25})
    device = visitor.device
    before = device.now
    assert before is not None
    awkward = SinkStatus('a "quoted"\\ name\n', 7, 2, 1, 3, "broken")
    device.now = replace(before, sinks=(*before.sinks, awkward))
    answer = visitor.get("/metrics")
    device.now = before
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    families = {f.name: f for f in parser.text_string_to_metric_families(answer.body.decode())}
    assert all(name.startswith("earsight_") and f.documentation for name, f in families.items())

    def value(name: str, **labels: str) -> float:
        family = families[f"earsight_{name.removesuffix('_total')}"]
        (found,) = [s.value for s in family.samples if s.labels == labels]
        assert family.type == ("counter" if name.endswith("_total") else "gauge")
        return found

    assert value("events_total", kind="heard") == 2
    assert value("events_total", kind="dropped") == 0
    assert value("speech_seconds_total") == pytest.approx(4.0)
    assert value("audio_lost_seconds_total") == pytest.approx(0.25)
    assert value("latency_seconds_total") == pytest.approx(0.12)
    assert value("stage_seconds_total", stage="frontend") == pytest.approx(0.06)
    assert value("audio_state", state="listening") == 1
    assert value("audio_state", state="no_audio") == 0
    assert value("audio_level_dbfs") == -40.0
    assert value("sink_events_total", sink="journal") == 3
    assert value("sink_dropped_total", sink=awkward.name) == 1
    assert value("board_throttled", reason="under-voltage since boot") == 1
    assert value("board_throttled", reason="under-voltage now") == 0
    assert value("alive") == 1
    assert value("people") == 5
    assert value("process_resident_memory_bytes") > 1e6
    assert value("process_open_fds") > 3
    assert families["earsight_build_info"].samples[0].labels["bundle"] == "fake"


def test_history_comes_from_the_journal_a_page_at_a_time(tmp_path: Path) -> None:
    settings = JournalSettings(folder=str(tmp_path / "journal"), keep_free_mb=0)
    with closing(Journal(settings)) as journal:
        for number in range(45):
            portrait = b"png" if number == 44 else None
            event = STAMPER.event("heard", heard(f"Person {number}"), portrait)
            wall = f"2026-01-31T12:00:{number:02d}.000Z"
            journal.write(replace(event, stamp=replace(event.stamp, wall=wall)))
            journal.write(STAMPER.event("gap", {"lost_s": 0.1}))
    with served(config=DeviceConfig(journal=settings)) as visitor:
        names, until, pages = [], "", 0
        while True:
            page = visitor.get(f"/api/history?until={quote(until)}").json()
            assert page["kept"]
            names += [entry["decision"]["name"] for entry in page["entries"]]
            until, pages = page["entries"][-1]["time"], pages + 1
            if not page["more"]:
                break
        assert names == [f"Person {number}" for number in reversed(range(45))]
        assert pages == 3
        newest, second = visitor.get("/api/history").json()["entries"][:2]
        assert second["portrait"] is None
        assert visitor.get(newest["portrait"]).body == b"png"
        assert visitor.get("/portraits/kept/999999").status == 404
        assert visitor.get("/api/history?until=yesterday").status == 400


def test_history_without_a_journal(visitor: Visitor, tmp_path: Path) -> None:
    assert visitor.get("/api/history").json() == {"kept": False, "entries": [], "more": False}
    config = DeviceConfig(journal=JournalSettings(folder=str(tmp_path / "none")))
    with served(config=config) as other:
        answer = other.get("/api/history")
        assert answer.status == 503
        assert "holds no journal" in answer.json()["error"]


# --- a token --------------------------------------------------------------------------------------


@contextmanager
def with_token(tmp_path: Path) -> Iterator[tuple[Visitor, str]]:
    file = tmp_path / "web.token"
    with served(WebSettings(enabled=True, host="0.0.0.0", port=0, token_file=str(file))) as found:
        yield found, load_token(file)


def test_where_others_can_ask_a_token_is_needed(tmp_path: Path) -> None:
    with with_token(tmp_path) as (visitor, token):
        refused = visitor.get("/api/people")
        assert (refused.status, refused.headers["www-authenticate"]) == (401, "Bearer")
        assert visitor.get("/events").status == 401
        assert visitor.ask("POST", "/api/mute", b'{"muted": true}').status == 401
        page = visitor.get("/", Accept="text/html")
        assert (page.status, page.headers["location"]) == (303, "/login")
        assert visitor.get("/healthz").status == 200
        assert b'name="token"' in visitor.get("/login").body
        assert visitor.get("/metrics", Authorization=f"Bearer {token}").status == 200
        assert visitor.device.asked == []


def test_a_token_is_exchanged_for_a_cookie(tmp_path: Path) -> None:
    with with_token(tmp_path) as (visitor, token):
        form = f"token={token}".encode()
        for answer in (
            visitor.get(f"/login?token={token}"),
            visitor.ask("POST", "/login", form, Content_Type="application/x-www-form-urlencoded"),
        ):
            assert (answer.status, answer.headers["location"]) == (303, "/")
            cookie = answer.headers["set-cookie"]
            assert "HttpOnly" in cookie
            assert "SameSite=lax" in cookie
            assert token not in cookie
            assert visitor.get("/api/people", Cookie=cookie.partition(";")[0]).status == 200
        for wrong in ("", "x", token[:-1]):
            answer = visitor.get(f"/login?token={wrong}")
            assert (answer.status, answer.headers["location"]) == (303, "/login#wrong")
            assert "set-cookie" not in answer.headers


# --- where it is served ---------------------------------------------------------------------------


def test_tls(tmp_path: Path) -> None:
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    try:
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *subject,
             "-keyout", key, "-out", cert], check=True, capture_output=True,
        )  # fmt: skip
    except FileNotFoundError:
        pytest.skip("needs openssl: apt install openssl")
    web = replace(LOCAL, cert_file=str(cert), key_file=str(key))
    with served(web) as visitor:
        trusting = ssl.create_default_context(cafile=str(cert))
        with closing(HTTPSConnection("127.0.0.1", visitor.port, context=trusting)) as connection:
            connection.request("GET", "/healthz")
            assert connection.getresponse().status == 200
    key.write_text("broken")
    with pytest.raises(ConfigError, match=r"web\.cert_file"), served(web):
        raise AssertionError


def test_an_address_that_is_taken_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "RETRY_S", 0.05)
    taken = socket.create_server(("127.0.0.1", 0))
    config = DeviceConfig(web=replace(LOCAL, port=taken.getsockname()[1]))
    page = Page()
    with page.of(FakeDevice()):
        assert len(page.follow(config)) == 1  # hearing begins all the same
        time.sleep(0.2)
        assert page.port is None
        taken.close()
        assert wait_for_port(page) == config.web.port


def test_connections_are_bounded(visitor: Visitor) -> None:
    more = 8
    with ExitStack() as idle:
        count = server.CONNECTIONS + more
        address = ("127.0.0.1", visitor.port)
        open_ones = [idle.enter_context(socket.create_connection(address)) for _ in range(count)]
        closed: set[socket.socket] = set()
        while len(closed) < more:
            ready, _, _ = select.select(set(open_ones) - closed, [], [], 30)
            assert ready, f"{len(closed)} closed"
            closed |= set(ready)  # nothing is ever sent: it is the end
    assert visitor.get("/healthz").status == 200


def test_a_reload_keeps_the_page_and_changes_what_it_shows() -> None:
    device, page = FakeDevice(), Page()
    first = DeviceConfig(web=LOCAL)
    with page.of(device):
        page.follow(first)
        port = wait_for_port(page)
        visitor = Visitor(port, page, [], device)
        page.follow(replace(first, gallery=replace(first.gallery, top=7)))
        assert page.port == port
        found = {k["key"]: k["value"] for k in visitor.get("/api/settings").json()["keys"]}
        assert found["gallery.top"] == 7
        assert page.follow(DeviceConfig()) == []
        assert page.port is None
        with pytest.raises(ConnectionError):
            visitor.get("/healthz")
        page.follow(first)
        assert Visitor(wait_for_port(page), page, [], device).get("/healthz").status == 200
