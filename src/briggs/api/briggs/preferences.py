"""Preferences: which of several answers is best. They are feedback of a built-in task."""

from __future__ import annotations

from collections.abc import AsyncIterator

from starlette.requests import Request
from starlette.responses import StreamingResponse

from briggs.api.answers import Json, find_store, read_body
from briggs.api.bodies import read_members
from briggs.api.organizations import check_organization
from briggs.feedback.preferences import Pair, PreferencePost, create_preference, export_pairs
from briggs.feedback.presented import present
from briggs.feedback.reviewers import check_kind, find_blinded
from briggs.storage import FeedbackQuery
from briggs.types import json
from briggs.types.keys import Key


async def create(request: Request) -> Json:
    """`POST /api/v1/preferences`: say which of 2 to 4 completions is best, or that none is."""
    body = await read_body(request)
    organization = await check_organization(request, body=body)
    post = read_members(body, PreferencePost)
    key: Key = request.state.key
    check_kind(post.reviewer_kind, key=key)
    preference = await create_preference(
        find_store(request), post, organization_id=organization.id, reviewer=key.name
    )
    return Json(present(preference))


async def export(request: Request) -> StreamingResponse:
    """`GET /api/v1/preferences/export`: pairs as JSON lines, for training with TRL."""
    organization = await check_organization(request)
    query = FeedbackQuery(
        organization_id=organization.id, hidden_from=find_blinded(request.state.key)
    )
    pairs = export_pairs(find_store(request), query=query)
    return StreamingResponse(_write_lines(pairs), media_type="application/x-ndjson")


async def _write_lines(pairs: AsyncIterator[Pair]) -> AsyncIterator[bytes]:
    async for pair in pairs:
        line = {
            "prompt": pair.prompt,
            "chosen": pair.chosen,
            "rejected": pair.rejected,
            **({"tools": pair.tools} if pair.tools else {}),
            "chosen_id": pair.chosen_id,
            "rejected_id": pair.rejected_id,
            "preference": present(pair.preference),
        }
        yield json.encode(line) + b"\n"
