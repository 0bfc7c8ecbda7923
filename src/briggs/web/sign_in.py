"""Signing in by key, signing out, and the choice of a theme."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from briggs.parts import find_parts
from briggs.types.errors import AuthenticationFailed, InvalidRequest
from briggs.web.csrf import read_form
from briggs.web.rendering import THEMES, render
from briggs.web.route import SIGN_IN, find_sessions, read_next, see_other
from briggs.web.session import DAYS

_YEAR_S = 365 * 86_400


async def show(request: Request) -> Response:
    """`GET /sign-in`: the form. `next` is the page to go to afterwards."""
    return await _show(request, next=read_next(request.query_params.get("next")))


async def sign_in(request: Request) -> Response:
    """`POST /sign-in`: begin the session of a key."""
    form = await read_form(request)
    next = read_next(form.get("next"))
    try:
        key = await find_parts(request).gate.keys.authenticate(form.get("key", "").strip())
    except AuthenticationFailed as error:
        return await _show(request, next=next, problem=error.message)
    request.state.new_session = find_sessions(request).begin(key.id)
    return see_other(next)


async def sign_out(request: Request) -> Response:
    """`POST /sign-out`: end the session in this browser."""
    request.state.new_session = find_sessions(request).begin()
    return see_other(SIGN_IN)


async def choose_theme(request: Request) -> Response:
    """`POST /theme`: use light, dark, or what the system uses."""
    form = await read_form(request)
    theme = form.get("theme", "")
    if theme not in (*THEMES, "system"):
        raise InvalidRequest("'theme' must be light, dark or system.", param="theme")
    answer = see_other(read_next(form.get("next")))
    if theme == "system":
        answer.delete_cookie("theme")
    else:
        answer.set_cookie("theme", theme, max_age=_YEAR_S, samesite="lax")
    return answer


async def _show(request: Request, *, next: str, problem: str = "") -> Response:
    if request.state.session is None:
        # The form needs a session, so that its token can be checked.
        request.state.session = request.state.new_session = find_sessions(request).begin()
    return await render(
        request,
        "sign_in/form.html",
        status=401 if problem else 200,
        next=next,
        problem=problem,
        days=DAYS,
    )
