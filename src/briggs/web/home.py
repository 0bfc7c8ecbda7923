"""Home: is it working, what does it cost, what is slow, what is doubtful, what waits?"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from briggs.web.rendering import render


async def show(request: Request) -> Response:
    """`GET /`: the dashboard."""
    return await render(request, "home/home.html", title="Home")
