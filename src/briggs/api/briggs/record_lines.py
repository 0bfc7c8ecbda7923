"""The record as JSON lines, which read back as the same record."""

from __future__ import annotations

from collections.abc import AsyncIterator

from starlette.requests import Request
from starlette.responses import StreamingResponse

from briggs.api.answers import find_store
from briggs.api.queries import catch_up, read_choice, read_export, read_parameters
from briggs.feedback.record_lines import export_lines
from briggs.feedback.reviewers import find_blinded
from briggs.storage import FeedbackQuery


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


async def _join(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for lines in rest:
        yield lines
