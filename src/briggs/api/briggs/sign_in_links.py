"""Sign-in links: with one, a browser opens the pages as the key that made it."""

from __future__ import annotations

from starlette.requests import Request

from briggs.accounts.sign_ins import LINK_EXPIRES_IN_S
from briggs.api.answers import Json
from briggs.parts import find_parts


async def create(request: Request) -> Json:
    """`POST /api/v1/sign_in_links`: make a link. It works once, for a few minutes."""
    path = await find_parts(request).sign_ins.create_link(request.state.key)
    return Json({"path": path, "expires_in_s": LINK_EXPIRES_IN_S})
