"""A row of a face's table of routes: who may go there is part of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from briggs.api.gate import require
from briggs.types.keys import Scope

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
