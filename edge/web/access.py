"""Who may ask the page for what, and the headers every answer carries.

* The name that the browser used must be ours: another site's name pointing here (DNS rebinding)
  is refused. An address is no name, so it is always allowed.
* A request that another site makes a browser send is refused, unless it only opens the page:
  `Sec-Fetch-Site` where the browser sends it, else `Origin` against `Host` (the rules of Go's
  http.CrossOriginProtection).
* Where others than this machine's users can ask, a token is needed: as a cookie, which the first
  visit leaves, or as `Authorization: Bearer`.
"""

from __future__ import annotations

import hmac
import ipaddress
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from .settings import WebSettings
from .token import cookie_of, is_token

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

COOKIE = "earsight"
OPEN_PATHS = ("/healthz", "/login")  # without a token, as is all below:
OPEN_FOLDER = "/static/"
HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' blob:; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",  # faces and names stay out of the browser's disk
}

Verdict = Literal["pass", "wrong name", "other site", "no token"]


@dataclass(frozen=True, slots=True)
class Rules:
    """Decides on a request by its method, path and headers alone."""

    names: frozenset[str]  # host names that are ours, lower case
    token: str | None  # None: nobody needs one

    def judge(self, method: str, path: str, headers: Mapping[str, str]) -> Verdict:
        """Return what to do with a request; names of headers are in lower case."""
        if not self._is_ours(headers.get("host", "")):
            return "wrong name"
        if _is_from_other_site(method, headers):
            return "other site"
        if self.token is None or path in OPEN_PATHS or path.startswith(OPEN_FOLDER):
            return "pass"
        return "pass" if self._is_known(self.token, headers) else "no token"

    def _is_ours(self, host: str) -> bool:
        name = host.rpartition(":")[0] if host.rpartition(":")[2].isdecimal() else host
        try:
            ipaddress.ip_address(name.strip("[]"))
        except ValueError:
            return name.lower().removesuffix(".") in self.names
        return True

    def _is_known(self, token: str, headers: Mapping[str, str]) -> bool:
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and is_token(given.strip(), token):
            return True
        cookies = (part.strip().partition("=") for part in headers.get("cookie", "").split(";"))
        wanted = cookie_of(token).encode()
        return any(
            name == COOKIE and hmac.compare_digest(value.encode(), wanted)
            for name, _, value in cookies
        )


def make_rules(settings: WebSettings, token: str | None) -> Rules:
    """Return the rules for a page that is reached by this machine's names."""
    host = socket.gethostname().lower()
    ours = {"localhost", host, host.partition(".")[0], f"{host.partition('.')[0]}.local"}
    return Rules(frozenset(ours | {name.lower() for name in settings.names}), token)


def _is_from_other_site(method: str, headers: Mapping[str, str]) -> bool:
    reading = method in ("GET", "HEAD")
    site = headers.get("sec-fetch-site")
    if site is not None:
        opens = reading and headers.get("sec-fetch-mode") == "navigate"
        return site not in ("same-origin", "none") and not opens
    origin = headers.get("origin")
    return not reading and origin is not None and origin.partition("://")[2] != headers.get("host")


class Gate:
    """Lets through what the rules allow, and adds `HEADERS` to every answer (ASGI)."""

    def __init__(self, app: ASGIApp, rules: Rules) -> None:
        self._app = app
        self._rules = rules

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Judge one request."""
        from starlette.datastructures import MutableHeaders

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = {key.decode("latin-1"): text.decode("latin-1") for key, text in scope["headers"]}
        verdict = self._rules.judge(scope["method"], scope["path"], given)
        app = self._app if verdict == "pass" else _refusal(verdict, given)
        await app(scope, receive, send_with_headers)


def _refusal(verdict: Verdict, headers: Mapping[str, str]) -> ASGIApp:
    from starlette.responses import PlainTextResponse, RedirectResponse

    if verdict == "wrong name":
        text = "This page does not answer to that name; see web.names.\n"
        return PlainTextResponse(text, 421)
    if verdict == "other site":
        return PlainTextResponse("Another site asked; nothing was done.\n", 403)
    if "text/html" in headers.get("accept", ""):
        return RedirectResponse("/login", 303)
    return PlainTextResponse("A token is needed.\n", 401, {"WWW-Authenticate": "Bearer"})
