"""A row of a face's table of routes, and how a path finds its row."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from briggs.api.gate import require
from briggs.types.keys import Scope

_SLASHES = re.compile(rb"/{2,}")
_OPENAI = re.compile(r"/(chat/completions|models)(/|$)|^/v1/v1(/|$)")
Endpoint = Callable[[Request], Awaitable[Response]]


def route(
    method: str, path: str, endpoint: Endpoint, *, scope: Scope, graders: bool = False
) -> Route:
    """A route that is open to keys of this scope only, or also to those of graders."""
    scopes: tuple[Scope, ...] = (scope, "grade") if graders else (scope,)

    async def guarded(request: Request) -> Response:
        require(request.state.key, *scopes)
        return await endpoint(request)

    return Route(path, guarded, methods=[method], name=endpoint.__name__)


def normalise(path: bytes) -> bytes:
    """A path without the slashes that a client adds where it joins two parts of an address."""
    return _SLASHES.sub(b"/", path).rstrip(b"/") or b"/"


def explain_missing(path: str, *, address: str) -> str:
    """What to say of a path where there is nothing; `address` is how the caller reached us."""
    found = _OPENAI.search(path)
    is_ours = path.startswith("/v1/chat/completions/") and "completions/chat/" not in path
    if found is None or is_ours:
        return f"There is nothing at {path}."
    return (
        f"There is nothing at {path}. The base URL that a client is given ends in /v1, and the "
        f"client adds the rest: set the base URL to {address}/v1."
    )
