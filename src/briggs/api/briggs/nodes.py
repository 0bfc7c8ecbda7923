"""The nodes: who answers here, since when, and with what on its hands."""

from __future__ import annotations

from starlette.requests import Request

from briggs.accounts.organizations import looks_after_all
from briggs.api.answers import Json
from briggs.parts import find_parts
from briggs.types.errors import Forbidden
from briggs.types.organizations import DEFAULT


async def list_all(request: Request) -> Json:
    """`GET /api/v1/nodes`: those that live, and those that ended within the last hour."""
    if not looks_after_all(request.state.key):
        raise Forbidden(f"Only administrators of '{DEFAULT}' can list the nodes.")
    return Json({"object": "list", "data": await find_parts(request).nodes.list()})
