"""A row in a table of routes, and the rules by which a path finds its row."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from briggs.accounts.scopes import require
from briggs.types.keys import Scope

_SLASHES = re.compile(rb"/{2,}")
_OPENAI = re.compile(r"/(chat/completions|models)(/|$)|^/v1/v1(/|$)")
_OTHERS = re.compile(
    r"^(/v1)?/(responses|completions|embeddings|assistants|threads|batches|files|images|audio|moderations)"
    r"(/|$)"
)
"""Other APIs of OpenAI's."""
Endpoint = Callable[[Request], Awaitable[Response]]


def route(
    method: str, path: str, endpoint: Endpoint, *, scope: Scope, graders: bool = False
) -> Route:
    """Create a route for keys with this scope, and for graders' keys too if `graders`."""
    scopes: tuple[Scope, ...] = (scope, "grade") if graders else (scope,)

    async def guarded(request: Request) -> Response:
        require(request.state.key, *scopes)
        return await endpoint(request)

    return Route(path, guarded, methods=[method], name=endpoint.__name__)


def normalise(path: bytes) -> bytes:
    """Remove doubled and trailing slashes, which clients add when they join parts of a URL."""
    return _SLASHES.sub(b"/", path).rstrip(b"/") or b"/"


def explain_missing(path: str, *, address: str) -> str:
    """The error message for an unknown path. `address` is the one that the caller used."""
    found = _OPENAI.search(path)
    is_ours = path.startswith("/v1/chat/completions/") and "completions/chat/" not in path
    if found is None or is_ours:
        return f"There is nothing at {path}.{_suggest_chat(path)}"
    return (
        f"There is nothing at {path}. A client's base URL must end in /v1, and the client adds "
        f"the rest: set the base URL to {address}/v1."
    )


def _suggest_chat(path: str) -> str:
    """What to do if a client calls another of OpenAI's APIs."""
    if _OTHERS.search(path) is None:
        return ""
    return (
        " Briggs answers chat completions only: set the client to /v1/chat/completions, instead of "
        "the Responses API."
        if "/responses" in path
        else " Briggs answers chat completions only: POST /v1/chat/completions."
    )
