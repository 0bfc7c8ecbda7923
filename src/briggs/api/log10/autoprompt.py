"""Log10's prompt analysis, which Briggs does not offer."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from briggs.types.errors import NotOffered


async def refuse(request: Request) -> Response:
    """`POST /api/experimental/autoprompt/...`: always refused. Raises `NotOffered`."""
    raise NotOffered(
        "Briggs does not analyze prompts. To compare two prompts, collect feedback on the "
        "completions of each."
    )
