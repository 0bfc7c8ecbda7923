"""A row in the table of pages: who may open it, and what happens to everyone else."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from briggs.accounts.scopes import require
from briggs.types.errors import AuthenticationFailed, Forbidden
from briggs.types.keys import Scope
from briggs.web.addresses import quote_part
from briggs.web.csrf import check_token

Endpoint = Callable[[Request], Awaitable[Response]]

SIGN_IN = "/sign-in"


def page(
    method: str,
    path: str,
    endpoint: Endpoint,
    *,
    scope: Scope,
    graders: bool = False,
    invited: bool = False,
) -> Route:
    """Create a page for keys with this scope, and for graders' keys too if `graders`.

    Reviewers who came by an invitation see a page only if `invited`. Such an endpoint must check
    that it shows nothing but `key.task_id`.
    """
    scopes: tuple[Scope, ...] = (scope, "grade") if graders else (scope,)

    async def guarded(request: Request) -> Response:
        if request.state.key is None:
            raise AuthenticationFailed("You are not signed in.")
        if request.state.key.task_id is not None and not invited:
            raise Forbidden("Your invitation opens the grading page of one task, and nothing else.")
        require(request.state.key, *scopes)
        await check_token(request)
        return await endpoint(request)

    return Route(path, guarded, methods=[method], name=endpoint.__name__)


def open_page(method: str, path: str, endpoint: Endpoint) -> Route:
    """Create a page for everyone. It shows nothing of the record."""

    async def guarded(request: Request) -> Response:
        await check_token(request)
        return await endpoint(request)

    return Route(path, guarded, methods=[method], name=endpoint.__name__)


def see_other(path: str) -> Response:
    """Answer a form with the page to look at now."""
    return RedirectResponse(path, status_code=303)


def ask_to_sign_in(request: Request) -> Response:
    """Send a visitor to the sign-in page, and from there back here."""
    url = request.url
    here = f"{url.path}?{url.query}" if url.query else url.path
    path = SIGN_IN if here == "/" else f"{SIGN_IN}?next={quote_part(here, safe='/')}"
    if "hx-request" in request.headers:
        return Response(status_code=401, headers={"hx-redirect": SIGN_IN})
    return see_other(path if request.method in ("GET", "HEAD") else SIGN_IN)


def read_next(path: str | None) -> str:
    """The path to go to after signing in: one of ours, whatever the address says."""
    if not path or not path.startswith("/") or path[1:2] in ("/", "\\") or not path.isprintable():
        return "/"
    return path
