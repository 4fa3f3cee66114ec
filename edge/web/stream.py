"""Server-sent events: what happens, to one browser, until it goes or is let go.

::

    event: event    id: RUN-SEQUENCE   every event, as JSON lines have it; portrait: true or false
    event: portrait                    of the newest event that has one: its sequence number, PNG
    event: status                      the state, at once and whenever it changes
    event: sound                       level and spectrogram, ten times a second; ?sound=0: none

https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from ..sinks.jsonl import as_line
from .feed import Feed, Message, Watcher

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

LOOK_S = 0.25  # between two looks at the state
PING_S = 15.0  # without anything to say: shows that the other side is there
SLOW_S = 10.0  # a browser that takes nothing for so long is let go
RETRY_MS = 2000  # after which a browser connects again


class Stream:
    """The ASGI application behind `/events`."""

    def __init__(self, feed: Feed, look: Callable[[], dict[str, Any]]) -> None:
        self._feed = feed
        self._look = look

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one browser."""
        from starlette.responses import PlainTextResponse

        query = parse_qs(scope["query_string"].decode("latin-1"))
        headers = {key: text.decode("latin-1") for key, text in scope["headers"]}
        last_id = headers.get(b"last-event-id") or query.get("since", [""])[0]
        watcher = self._feed.watch(last_id, sound=query.get("sound") != ["0"])
        if watcher is None:
            answer = PlainTextResponse("Too many watch.\n", 503, {"Retry-After": "10"})
            await answer(scope, receive, send)
            return
        gone = asyncio.create_task(_until_gone(receive, watcher))
        try:
            await self._serve(watcher, send)
        except TimeoutError:
            self._feed.leave(watcher)
            await gone  # the kernel ends the connection, see server.py
        finally:
            self._feed.leave(watcher)
            gone.cancel()
            with suppress(asyncio.CancelledError):
                await gone

    async def _serve(self, watcher: Watcher, send: Send) -> None:
        start = {"type": "http.response.start", "status": 200}
        kind = (b"content-type", b"text/event-stream; charset=utf-8")
        await send({**start, "headers": [kind, (b"x-accel-buffering", b"no")]})
        await _send(send, f"retry: {RETRY_MS}\n\n")
        said, looked_s, spoke_s = "", 0.0, time.monotonic()
        while (messages := await watcher.take(LOOK_S)) is not None:
            now = time.monotonic()
            if now - looked_s >= LOOK_S:
                looked_s = now
                if (state := as_line(self._look())) != said:
                    said = state
                    messages.append(Message("status", state))
            text = "".join(map(encode, messages))
            if not text and now - spoke_s > PING_S:
                text = ": still here\n\n"
            if text:
                spoke_s = now
                await _send(send, text)
        await _send(send, "", more=False)


def encode(message: Message) -> str:
    """Return a message as it stands in the stream."""
    number = f"id: {message.id}\n" if message.id else ""
    return f"event: {message.name}\n{number}data: {message.data}\n\n"


async def _send(send: Send, text: str, more: bool = True) -> None:
    """Send text; raise TimeoutError when the browser takes nothing."""
    async with asyncio.timeout(SLOW_S):
        await send({"type": "http.response.body", "body": text.encode(), "more_body": more})


async def _until_gone(receive: Receive, watcher: Watcher) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    watcher.end()
