"""A row in a table of routes, and the rules by which a path finds its row."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Collection

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from briggs.accounts.scopes import require
from briggs.types.keys import Scope

_SLASHES = re.compile(rb"/{2,}")
_OTHERS = re.compile(
    r"/(v1/)?(assistants|audio|batches|completions|conversations|embeddings|files|fine_tuning|images"
    r"|messages|moderations|realtime|responses|threads|uploads|vector_stores|videos)(/|$)"
    r"|/openai/|/v1beta/|/v1/(?!chat/completions/|organization/)|/api/(?!v1/)"
)
"""Other APIs of those whose clients come here. What is below a completion is nobody else's."""
_SIGNALS = {"/v1/logs": "OTEL_LOGS_EXPORTER", "/v1/metrics": "OTEL_METRICS_EXPORTER"}
"""What exporters of OpenTelemetry send beside traces, and the variable that stops them."""
Endpoint = Callable[[Request], Awaitable[Response]]


def route(
    method: str,
    path: str,
    endpoint: Endpoint,
    *,
    scope: Scope,
    graders: bool = False,
    readers: bool = False,
) -> Route:
    """Create a route for keys with this scope.

    With `graders` and `readers` it is for the keys of those who grade and read too.
    """
    others: dict[Scope, bool] = {"grade": graders, "read": readers}
    scopes: list[Scope] = [scope, *(other for other, may in others.items() if may)]

    async def guarded(request: Request) -> Response:
        require(request.state.key, *scopes)
        return await endpoint(request)

    return Route(path, guarded, methods=[method], name=endpoint.__name__)


def normalise(path: bytes) -> bytes:
    """Remove doubled and trailing slashes, which clients add when they join parts of a URL."""
    return _SLASHES.sub(b"/", path).rstrip(b"/") or b"/"


def explain_missing(path: str, *, address: str, answered: Collection[str]) -> str:
    """The error message for an unknown path.

    `address` is the one that the caller used, and `answered` are the paths that models answer.
    """
    advice = _correct_base(path, address, answered)
    if not advice and path in _SIGNALS:
        advice = f" Briggs takes traces, at /v1/traces: set {_SIGNALS[path]}=none."
    elif not advice and _OTHERS.match(path):
        advice = (
            f" Briggs answers {', '.join(answered)}. Most clients can be told to use chat "
            "completions: docs/clients.md says how."
        )
    return f"There is nothing at {path}.{advice}"


def _correct_base(path: str, address: str, answered: Collection[str]) -> str:
    """What to do if a client adds a path of ours to the wrong base URL."""
    if path.startswith(("/v1/api/", "/v1/v1/messages")):
        return f" This client adds the whole path: set its base URL to {address}, without /v1."
    ends = [place.removeprefix("/v1") for place in answered if place.startswith("/v1/")]
    if path.startswith("/v1/v1/") or path.endswith((*ends, "/models")):
        return (
            " A client's base URL must end in /v1, and the client adds the rest: set the base URL "
            f"to {address}/v1."
        )
    return ""
