"""The page of the live path: a browser's view of one daemon, off unless it is asked for.

::

    source ─ sound.py ──────────────┐                        ┌→ stream.py  server-sent events
    fan-out ─ feed.py: PageSink ────┼→ feed.py ─ watchers ───┤
    daemon ─ vitals ─ status.py ────┘                        └→ views.py   JSON, pictures, metrics

    page.py     what the daemon starts; server.py runs app.py in a thread of its own
    access.py   who may ask: host names, other sites, the token of token.py

It reads what the daemon does and asks for little: to mute, to enrol, to remove. Nothing waits for
a browser, and nothing is computed for the page while nobody looks.
"""
