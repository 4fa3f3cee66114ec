"""The ASGI application: which path is answered by what."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from .access import COOKIE, Gate, Rules
from .enrolment import Photo
from .feed import Feed
from .stream import Stream
from .token import cookie_of, is_token
from .views import Answer, Views, refuse

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import ASGIApp

    Endpoint = Callable[[Request], Awaitable[Response]]

STATIC = Path(__file__).parent / "static"
LARGEST_BODY = 24_000_000  # bytes: eight photos from a telephone, which the page makes smaller
MOST_PHOTOS = 8
A_YEAR = 365 * 86_400  # seconds


def build_app(views: Views, feed: Feed, rules: Rules, secure: bool) -> ASGIApp:
    """Return the application.

    Args:
        views: what answers.
        feed: what is shown live.
        rules: who may ask.
        secure: whether it is served over TLS; the cookie then never goes without.

    Raises:
        ImportError: starlette or python-multipart is not installed.
    """
    import python_multipart  # noqa: F401
    from starlette.applications import Starlette
    from starlette.middleware.body_limit import RequestBodyLimitMiddleware
    from starlette.routing import Mount, Route
    from starlette.staticfiles import StaticFiles

    def get(path: str, endpoint: Endpoint) -> Route:
        return Route(path, endpoint, methods=["GET"])

    login = partial(_login, rules.token or "", secure)
    routes = [
        get("/", _file("index.html")),
        get("/login", login),
        Route("/login", login, methods=["POST"]),
        Route("/events", Stream(feed, views.state)),
        get("/healthz", _at_once(lambda _: views.health())),
        get("/metrics", _at_once(lambda _: views.metrics())),
        get("/api/state", _at_once(lambda _: views.describe())),
        get("/api/about", _at_once(lambda _: views.about())),
        get("/api/settings", _at_once(lambda _: views.settings())),
        get("/api/history", _in_thread(lambda r: views.history(r.query_params.get("until", "")))),
        get("/api/people", _at_once(lambda _: views.people())),
        Route("/api/people", partial(_enrol, views), methods=["POST"]),
        Route(
            "/api/people/{id}",
            _in_thread(lambda r: views.remove(r.path_params["id"])),
            methods=["DELETE"],
        ),
        get("/api/reviews", _in_thread(lambda _: views.reviews())),
        Route("/api/reviews/{number:int}", partial(_answer, views), methods=["POST"]),
        get("/people/{id}", _in_thread(lambda r: views.person_picture(r.path_params["id"]))),
        get(
            "/portraits/kept/{id:int}",
            _in_thread(lambda r: views.kept_portrait(r.path_params["id"])),
        ),
        Route("/api/mute", partial(_mute, views), methods=["POST"]),
        Mount("/static", StaticFiles(directory=STATIC)),
    ]
    return Gate(RequestBodyLimitMiddleware(Starlette(routes=routes), LARGEST_BODY), rules)


def _respond(answer: Answer, headers: Mapping[str, str] | None = None) -> Response:
    from starlette.responses import Response

    return Response(
        answer.content, answer.status, {**answer.headers, **(headers or {})}, answer.media_type
    )


def _at_once(view: Callable[[Request], Answer]) -> Endpoint:
    """Return the endpoint of a view that waits for nothing."""

    async def endpoint(request: Request) -> Response:
        return _respond(view(request))

    return endpoint


def _in_thread(view: Callable[[Request], Answer]) -> Endpoint:
    """Return the endpoint of a view that waits for a disk or a process."""

    async def endpoint(request: Request) -> Response:
        from starlette.concurrency import run_in_threadpool

        return _respond(await run_in_threadpool(view, request))

    return endpoint


def _file(name: str) -> Endpoint:
    async def endpoint(_: Request) -> Response:
        from starlette.responses import FileResponse

        return FileResponse(STATIC / name)

    return endpoint


async def _mute(views: Views, request: Request) -> Response:
    return _respond(views.mute(await request.body()))


async def _answer(views: Views, request: Request) -> Response:
    from starlette.concurrency import run_in_threadpool

    number, body = request.path_params["number"], await request.body()
    return _respond(await run_in_threadpool(views.answer_review, number, body))


async def _enrol(views: Views, request: Request) -> Response:
    """Take a form: `name`, `consent_by`, perhaps `expires`, some `photo`s; in memory only."""
    from starlette.concurrency import run_in_threadpool
    from starlette.datastructures import UploadFile
    from starlette.formparsers import MultiPartException, MultiPartParser

    parser = MultiPartParser(request.headers, request.stream(), max_files=MOST_PHOTOS, max_fields=8)
    parser.spool_max_size = LARGEST_BODY  # what the whole body is held to: no photo on a disk
    try:
        form = await parser.parse()
    except (MultiPartException, KeyError) as exc:
        return _respond(
            refuse(f"not a form with a name and up to {MOST_PHOTOS} photos: {exc}", 400)
        )
    uploads = [upload for upload in form.getlist("photo") if isinstance(upload, UploadFile)]
    photos = [Photo(u.filename or "photo", await u.read()) for u in uploads if u.size]
    name, consent_by, expires = (str(form.get(k, "")) for k in ("name", "consent_by", "expires"))
    await form.close()
    answer = await run_in_threadpool(views.enrol, name, consent_by, photos, expires)
    return _respond(answer)


async def _login(token: str, secure: bool, request: Request) -> Response:
    """Exchange the token, from the form or from a link, for a cookie."""
    from urllib.parse import parse_qs

    from starlette.responses import FileResponse, RedirectResponse

    given = request.query_params.get("token")
    if request.method == "POST":
        form = parse_qs((await request.body()).decode("latin-1"))
        given = form.get("token", [""])[0].strip()
    if not token:
        return RedirectResponse("/", 303)
    if given is None:
        return FileResponse(STATIC / "login.html")
    if not is_token(given, token):
        return RedirectResponse("/login#wrong", 303)
    response = RedirectResponse("/", 303)
    response.set_cookie(
        COOKIE, cookie_of(token), max_age=A_YEAR, httponly=True, samesite="lax", secure=secure
    )
    return response
