"""The record as JSON lines, out and in again."""

from __future__ import annotations

from collections.abc import AsyncIterator

from starlette.requests import Request
from starlette.responses import StreamingResponse

from briggs.api.answers import Json, find_store, read_body
from briggs.api.queries import catch_up, read_choice, read_export, read_parameters
from briggs.feedback.record_lines import export_lines, import_lines
from briggs.feedback.reviewers import find_blinded
from briggs.storage import FeedbackQuery
from briggs.types.errors import InvalidRequest
from briggs.types.keys import Key

LINES_MAX = 1_000


async def export(request: Request) -> StreamingResponse:
    """`GET /api/v1/completions/export`: JSON lines, which `briggs import` reads.

    `include=feedback` adds the feedback about each completion, and its tasks.
    """
    parameters = read_parameters(request)
    organization_id = request.state.key.organization_id
    query = read_export(parameters, organization_id=organization_id)
    about = None
    if read_choice(parameters, "include", ("feedback",)):
        about = FeedbackQuery(
            organization_id=organization_id, hidden_from=find_blinded(request.state.key)
        )
    if query.asks_rules:
        await catch_up(request)
    lines = export_lines(find_store(request), query=query, about=about)
    # A query that is wrong, or that takes too long, is refused before the answer begins.
    first = await anext(lines)
    return StreamingResponse(_join(first, lines), media_type="application/x-ndjson")


async def import_all(request: Request) -> Json:
    """`POST /api/v1/completions/import`: take JSON lines in, and say what became of each."""
    body = await read_body(request)
    lines = [line for line in body.split(b"\n") if line.strip()]
    if len(lines) > LINES_MAX:
        raise InvalidRequest(f"Send at most {LINES_MAX:,} lines at once.")
    key: Key = request.state.key
    outcomes = await import_lines(
        find_store(request), lines, organization_id=key.organization_id, key_id=key.id
    )
    return Json({"data": outcomes})


async def _join(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for lines in rest:
        yield lines
