"""CORS: lets pages of other origins call, if briggs.toml allows it (fetch.spec.whatwg.org)."""

from __future__ import annotations

from collections.abc import Collection

from briggs.transport.callers.cycle import Cycle
from briggs.transport.callers.heads import Header

_METHODS = b"DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"
# The headers that a page may read. It can always read the status, the type and the body.
_SHOWN = (
    b"allow, retry-after, retry-after-ms, x-briggs-completion-id, x-briggs-dropped, "
    b"x-briggs-mended, x-ratelimit-limit-requests, x-ratelimit-limit-tokens, "
    b"x-ratelimit-remaining-requests, x-ratelimit-remaining-tokens, "
    b"x-ratelimit-reset-requests, x-ratelimit-reset-tokens, x-request-id, x-should-retry"
)
_REMEMBERED_S = b"600"


def is_preflight(cycle: Cycle) -> bool:
    """Whether a browser asks if a page may call. It asks without a key."""
    return cycle.method == "OPTIONS" and b"access-control-request-method" in cycle.fields


def admit_page(cycle: Cycle, *, origins: Collection[str]) -> bool:
    """Let an allowed page read the answer. Returns whether this already answered the request."""
    origin = cycle.fields.get(b"origin", b"")
    if origin.decode("latin-1").lower() not in origins:
        return False
    cycle.added = [
        (b"access-control-allow-origin", origin),
        (b"access-control-expose-headers", _SHOWN),
        (b"vary", b"Origin"),
    ]
    if not is_preflight(cycle):
        return False
    headers: list[Header] = [
        (b"content-length", b"0"),
        (b"access-control-allow-methods", _METHODS),
        (b"access-control-max-age", _REMEMBERED_S),
    ]
    if asked := cycle.fields.get(b"access-control-request-headers"):
        headers.append((b"access-control-allow-headers", asked))
    cycle.answer(200, headers, b"")
    return True
