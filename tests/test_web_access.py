"""Who may ask the page: names, other sites, the token; and where it is served."""

from __future__ import annotations

import socket
from dataclasses import replace
from pathlib import Path

import pytest

from edge.errors import ConfigError
from edge.web.access import COOKIE, Rules, make_rules
from edge.web.settings import WebSettings, with_address
from edge.web.token import cookie_of, is_token, load_token

TOKEN = "a-token-of-a-test-123"
OPEN = Rules(frozenset({"localhost", "ear.local"}), None)
CLOSED = replace(OPEN, token=TOKEN)


@pytest.mark.parametrize(
    ("host", "verdict"),
    [
        ("localhost", "pass"),
        ("LOCALHOST:8765", "pass"),
        ("ear.local.:80", "pass"),
        ("127.0.0.1:8765", "pass"),
        ("192.168.1.7", "pass"),
        ("[::1]:8765", "pass"),
        ("[fe80::1]", "pass"),
        ("evil.example", "wrong name"),
        ("evil.example:8765", "wrong name"),
        ("localhost.evil.example", "wrong name"),
        ("127.0.0.1.evil.example:8765", "wrong name"),
        ("", "wrong name"),
    ],
)
def test_only_our_names_and_addresses_are_answered(host: str, verdict: str) -> None:
    assert OPEN.judge("GET", "/", {"host": host}) == verdict


@pytest.mark.parametrize(
    ("method", "headers", "verdict"),
    [
        ("GET", {"sec-fetch-site": "same-origin"}, "pass"),
        ("GET", {"sec-fetch-site": "none"}, "pass"),
        ("GET", {"sec-fetch-site": "cross-site"}, "other site"),
        ("GET", {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"}, "other site"),
        ("GET", {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}, "pass"),
        ("POST", {"sec-fetch-site": "same-origin"}, "pass"),
        ("POST", {"sec-fetch-site": "same-site"}, "other site"),
        ("POST", {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}, "other site"),
        ("POST", {"origin": "http://localhost:8765"}, "pass"),
        ("POST", {"origin": "https://evil.example"}, "other site"),
        ("POST", {"origin": "null"}, "other site"),
        ("DELETE", {"origin": "http://localhost:1"}, "other site"),
        ("POST", {}, "pass"),  # not a browser
        ("GET", {"origin": "https://evil.example"}, "pass"),  # it cannot read the answer
    ],
)
def test_another_site_may_only_open_the_page(
    method: str, headers: dict[str, str], verdict: str
) -> None:
    assert OPEN.judge(method, "/", {"host": "localhost:8765", **headers}) == verdict


@pytest.mark.parametrize(
    ("path", "headers", "verdict"),
    [
        ("/", {}, "no token"),
        ("/metrics", {}, "no token"),
        ("/static", {}, "no token"),
        ("/static/style.css", {}, "pass"),
        ("/login", {}, "pass"),
        ("/healthz", {}, "pass"),
        ("/", {"authorization": f"Bearer {TOKEN}"}, "pass"),
        ("/", {"authorization": f"bearer {TOKEN} "}, "pass"),
        ("/", {"authorization": f"Basic {TOKEN}"}, "no token"),
        ("/", {"authorization": "Bearer \xe9"}, "no token"),
        ("/", {"cookie": f"a=b; {COOKIE}={cookie_of(TOKEN)}"}, "pass"),
        ("/", {"cookie": f"{COOKIE}={TOKEN}"}, "no token"),
        ("/", {"cookie": f"{COOKIE}={cookie_of('another-token-123456')}"}, "no token"),
        ("/", {"cookie": f"{COOKIE}="}, "no token"),
    ],
)
def test_a_token_opens_all_but_a_few_paths(
    path: str, headers: dict[str, str], verdict: str
) -> None:
    assert CLOSED.judge("GET", path, {"host": "localhost", **headers}) == verdict


def test_a_machine_answers_to_its_own_names_and_those_given() -> None:
    own = socket.gethostname().partition(".")[0].lower()
    rules = make_rules(WebSettings(names=("Ear.Example.org",)), None)
    assert {"localhost", own, f"{own}.local", "ear.example.org"} <= rules.names


@pytest.mark.parametrize(
    ("settings", "needed"),
    [
        (WebSettings(), False),
        (WebSettings(host="localhost"), False),
        (WebSettings(host="::1"), False),
        (WebSettings(host="127.0.0.2"), False),
        (WebSettings(host="0.0.0.0"), True),
        (WebSettings(host="::"), True),
        (WebSettings(host="192.168.1.7"), True),
        (WebSettings(host="ear.local"), True),
        (WebSettings(names=("ear.example.org",)), True),  # behind a proxy
    ],
)
def test_a_token_is_needed_where_others_can_ask(settings: WebSettings, needed: bool) -> None:
    assert settings.needs_token is needed


@pytest.mark.parametrize(
    ("address", "host", "port"),
    [
        ("", "127.0.0.1", 8765),
        ("9000", "127.0.0.1", 9000),
        (":9000", "127.0.0.1", 9000),
        ("0.0.0.0", "0.0.0.0", 8765),
        ("ear-1.local:80", "ear-1.local", 80),
        ("[::1]:80", "::1", 80),
        ("[::]", "::", 8765),
    ],
)
def test_an_address_on_the_command_line(address: str, host: str, port: int) -> None:
    found = with_address(WebSettings(), address)
    assert (found.enabled, found.host, found.port) == (True, host, port)


@pytest.mark.parametrize("address", ["a:b", "99999", ":", "::1", "x y:3", "a/b:3", "u@h:3"])
def test_a_wrong_address_is_refused(address: str) -> None:
    with pytest.raises(ConfigError, match="--web: "):
        with_address(WebSettings(), address)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"host": ""}, "web.host"),
        ({"cert_file": "x.pem"}, "give both or none"),
        ({"names": ("http://ear",)}, "is no host name"),
    ],
)
def test_wrong_settings_are_refused(settings: dict[str, object], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        WebSettings(**settings)


def test_a_token_is_made_once_and_kept_private(tmp_path: Path) -> None:
    path = tmp_path / "state" / "web.token"
    token = load_token(path)
    assert len(token) >= 32
    assert path.stat().st_mode & 0o777 == 0o600
    assert load_token(path) == token
    assert load_token(tmp_path / "other") != token
    assert is_token(token, token)
    assert not is_token("", token)
    assert token not in cookie_of(token)


@pytest.mark.parametrize(
    "content", [b"", b"\n", b"short\n", b"\xe9" * 20, b"with\ta tab, and long\n"]
)
def test_an_unusable_token_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "web.token"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"web\.token: "):
        load_token(path)
