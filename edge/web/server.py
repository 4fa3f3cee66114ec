"""Serves an ASGI application from a thread of its own, with uvicorn.

An address that cannot be had, as before the network is up, is tried again for ever: hearing never
depends on the page.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .settings import WebSettings

if TYPE_CHECKING:
    from starlette.types import ASGIApp

RETRY_S = 10.0  # between two attempts to have the address
CONNECTIONS = 64  # open at a time; a process has 1024 files
IDLE_S = 15  # before a connection that asks for nothing is closed
STUCK_MS = 30_000  # before the kernel ends a connection whose other side takes nothing
THREADS = 2  # for what waits for a disk
CLOSE_S = 1.0

_log = logging.getLogger(__name__)


class PageServer(threading.Thread):
    """Serves until `close`."""

    def __init__(
        self, settings: WebSettings, app: ASGIApp, note: str, ending: Callable[[], None]
    ) -> None:
        """Prepare; `start` begins.

        Args:
            settings: the address.
            app: what is served.
            note: what the log says behind the address.
            ending: lets the browsers that watch go.

        Raises:
            ImportError: uvicorn is not installed.
        """
        super().__init__(name="page", daemon=True)
        self.port: int | None = None  # once it is served
        self._settings, self._note = settings, note
        self._ending = ending
        self._closed = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._end = asyncio.Event()
        self._uvicorn = make_uvicorn(settings, app, self._end)

    def run(self) -> None:
        """Serve until closed."""
        said = ""
        while not self._closed.is_set():
            try:
                listener = listen(self._settings)
            except OSError as exc:
                if (why := exc.strerror or str(exc)) != said:
                    said = why
                    _log.error("page: %s: %s; tried again", self._settings.host, why)
                self._closed.wait(RETRY_S)
                continue
            try:
                asyncio.run(self._serve(listener))
            except Exception as exc:
                _log.error("page: ended: %r", exc)
            return

    def close(self) -> None:
        """Stop serving, within a second."""
        self._closed.set()
        self._ending()
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # it has ended by itself
                self._loop.call_soon_threadsafe(self._end.set)
        self.join(CLOSE_S)

    async def _serve(self, listener: socket.socket) -> None:
        from anyio.to_thread import current_default_thread_limiter

        self._loop = asyncio.get_running_loop()
        self.port = listener.getsockname()[1]
        _log.info("page: %s%s", address(self._settings, self.port), self._note)
        current_default_thread_limiter().total_tokens = THREADS
        if self._closed.is_set():
            self._end.set()
        await self._uvicorn.serve([listener])


def address(settings: WebSettings, port: int) -> str:
    """Return what a person types into a browser."""
    anywhere = settings.host in ("0.0.0.0", "::")
    host = socket.gethostname() if anywhere else settings.host
    scheme = "https" if settings.cert_file else "http"
    return f"{scheme}://[{host}]:{port}/" if ":" in host else f"{scheme}://{host}:{port}/"


def listen(settings: WebSettings) -> socket.socket:
    """Return a listening socket; what it accepts cannot get stuck for ever.

    Raises:
        OSError: the address cannot be had now.
    """
    family, *_, place = socket.getaddrinfo(
        settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    listener = socket.create_server(place[:2], family=family)
    with contextlib.suppress(OSError, AttributeError):  # Linux only
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, STUCK_MS)
    return listener


def make_uvicorn(settings: WebSettings, app: ASGIApp, end: asyncio.Event) -> Any:
    """Return a server that ends when `end` is set, and until then wakes up for requests only.

    Raises:
        ImportError: uvicorn is not installed.
    """
    from uvicorn.config import Config
    from uvicorn.protocols.http.h11_impl import H11Protocol
    from uvicorn.server import Server

    class Bounded(H11Protocol):
        """Closes connections that are too many, or that ask for nothing."""

        def connection_made(  # type: ignore[override]  # as uvicorn's own
            self, transport: asyncio.Transport
        ) -> None:
            super().connection_made(transport)
            if len(self.connections) > CONNECTIONS:
                transport.abort()
            else:
                self.timeout_keep_alive_task = self.loop.call_later(
                    IDLE_S, self.timeout_keep_alive_handler
                )

    class Quiet(Server):
        """Does not look ten times a second whether it should end."""

        async def main_loop(self) -> None:
            await end.wait()
            self.should_exit = True

    config = Config(
        app,
        http=Bounded,
        ws="none",
        lifespan="off",
        loop="asyncio",
        log_config=None,
        log_level="warning",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=False,  # it would stand still
        timeout_keep_alive=IDLE_S,
        timeout_graceful_shutdown=1,
        ssl_certfile=settings.cert_file or None,
        ssl_keyfile=settings.key_file or None,
    )
    return Quiet(config)
