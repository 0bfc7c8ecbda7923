"""`/health` for service managers and monitors."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.routing import Route

from briggs.api.answers import Json, find_store
from briggs.api.metrics import show_metrics
from briggs.api.route import route
from briggs.parts import find_parts
from briggs.types.errors import BriggsError

LOOKED_S = 0.5
"""How long an answer may wait for what the database says of its background work."""


async def health(request: Request) -> Json:
    """200 while calls can be recorded, 503 while they cannot. In between, `spool` says what waits
    for the database, and why. `background` says how far the work on older completions is.
    """
    store, parts = find_store(request), find_parts(request)
    more: dict[str, Any] = {**parts.peers.describe()}
    if store.failure is not None:
        reason = store.failure
        return Json({"status": "store_unavailable", "reason": reason, **more}, status_code=503)
    if (spool := store.spool) is not None and (spool.count or spool.reason):
        more["spool"] = msgspec.structs.asdict(spool)
    with suppress(TimeoutError, BriggsError):
        async with asyncio.timeout(LOOKED_S):
            if backlogs := await store.backlogs.list():
                more["background"] = backlogs
    firing = parts.alerts.list_firing(organization_id=None)
    return Json({"status": "ok", **({"alerts_firing": len(firing)} if firing else {}), **more})


PATH = "/health"
OPEN_PATHS = frozenset({PATH})
ROUTES = [Route(PATH, health), route("GET", "/metrics", show_metrics, scope="read")]
OPEN_PREFIXES = ("/app/", "/uploads/")


def is_open(path: str) -> bool:
    """Whether a path needs no key: it shows nothing of the record, or contains a secret itself."""
    return path in OPEN_PATHS or path.startswith(OPEN_PREFIXES)
