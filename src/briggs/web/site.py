"""Answers browsers: finds the session, runs the page, and makes every answer safe to show."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http import HTTPStatus

from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from briggs.accounts.sign_ins import SESSION_DAYS
from briggs.parts import Parts, find_address
from briggs.types.errors import (
    AuthenticationFailed,
    BriggsError,
    MethodNotAllowed,
    NotFound,
)
from briggs.types.keys import Key
from briggs.web.alphas import Alphas
from briggs.web.attempts import Attempts
from briggs.web.counts import Counter
from briggs.web.rendering import render
from briggs.web.route import ask_to_sign_in
from briggs.web.routes import ROUTES
from briggs.web.session import Cookies

HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    # 'no-referrer' would make browsers send 'Origin: null' with our own forms.
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
_API = ("v1", "api", "graphql", "metrics", "health", "app", "uploads", "openai")
"""The first parts of the paths of the APIs."""


def is_page(path: str, headers: Mapping[bytes, bytes]) -> bool:
    """Whether a request without an API key is a browser's, for a page or what belongs to one."""
    if path.split("/", 2)[1] in _API:
        return False
    return (
        path.startswith("/static/")
        or b"text/html" in headers.get(b"accept", b"")
        or b"briggs_" in headers.get(b"cookie", b"")
    )


class Site:
    """All pages."""

    def __init__(self, parts: Parts, *, explain_missing: Callable[..., str]) -> None:
        self._parts = parts
        self._cookies = Cookies(parts.store.made_at)
        self._explain_missing = explain_missing
        self._starlette = Starlette(
            routes=ROUTES,
            exception_handlers={
                AuthenticationFailed: self._ask_to_sign_in,
                BriggsError: _show_error,
                HTTPException: self._show_missing,
                Exception: _show_defect,
            },
        )
        self._starlette.router.redirect_slashes = False
        self._starlette.state.parts = parts
        self._starlette.state.attempts = Attempts()
        self._starlette.state.counter = Counter(parts.store)
        self._starlette.state.alphas = Alphas(parts.store)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        scope["app"] = self._starlette
        request = Request(scope)
        state = request.state
        state.session, state.new_session = self._cookies.read(request.cookies), None
        state.key = None

        async def send_safely(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._add_headers(message, request)
            await send(message)

        try:
            self._parts.gate.check_address(dict(scope["headers"]))
            state.key = await self._find_key(state.session)
        except BriggsError as error:
            await (await _show_error(request, error))(scope, receive, send_safely)
            return
        await self._starlette(scope, receive, send_safely)

    async def _find_key(self, secret: str | None) -> Key | None:
        """The key of a session that was not signed out, while it is neither revoked nor expired."""
        key = None if secret is None else await self._parts.sign_ins.find_key(secret)
        return self._parts.gate.keys.use(key)

    async def _ask_to_sign_in(self, request: Request, error: Exception) -> Response:
        return ask_to_sign_in(request)

    async def _show_missing(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        url = request.url
        refusal: BriggsError
        if error.status_code == 405:
            refusal = MethodNotAllowed(
                f"{request.method} is not allowed on {url.path}.", headers=dict(error.headers or {})
            )
        else:
            address = find_address(request)
            refusal = NotFound(self._explain_missing(url.path, address=address))
        return await _show_error(request, refusal)

    def _add_headers(self, message: Message, request: Request) -> None:
        headers = MutableHeaders(scope=message)
        for name, value in HEADERS.items():
            headers[name] = value
        headers.setdefault("cache-control", "no-store")
        new: str | None = request.state.new_session
        if new is not None:
            cookie = Response()
            cookie.set_cookie(
                self._cookies.name,
                new,
                max_age=SESSION_DAYS * 86_400,
                httponly=True,
                samesite="lax",
                secure=_is_encrypted(request),
            )
            headers.append("set-cookie", cookie.headers["set-cookie"])


async def _show_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, BriggsError)
    status = error.http_status
    answer: Response = await render(
        request,
        "errors/toast.html" if "hx-request" in request.headers else "errors/error.html",
        status=status,
        title=HTTPStatus(status).phrase,
        message=error.message,
    )
    answer.headers.update(error.headers)
    return answer


async def _show_defect(request: Request, error: Exception) -> Response:
    return await _show_error(
        request,
        BriggsError("Briggs failed on this page. The reason is in its log: please report it."),
    )


def _is_encrypted(request: Request) -> bool:
    """Whether the browser speaks TLS, to a proxy in front of us.

    Whoever writes these headers decides about nobody's cookie but their own.
    """
    headers = request.headers
    return headers.get("x-forwarded-proto") == "https" or any(
        headers.get(name, "").startswith("https://") for name in ("origin", "referer")
    )
