"""Log10's analysis of prompts, which Briggs does not do."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from briggs.types.errors import NotOffered


async def refuse(request: Request) -> Response:
    """`POST /api/experimental/autoprompt/...`. Raises `NotOffered`."""
    raise NotOffered(
        "Briggs does not analyze prompts: compare two of them by feedback on the completions "
        "of each instead."
    )
