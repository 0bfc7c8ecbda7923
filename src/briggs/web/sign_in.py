"""Signing in by key, signing out, and the choice of a theme."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from briggs.accounts.sign_ins import SESSION_DAYS
from briggs.parts import find_parts
from briggs.types.errors import AuthenticationFailed, InvalidRequest, TooManyAttempts
from briggs.web.attempts import Attempts
from briggs.web.csrf import read_form
from briggs.web.navigation import find_first_place
from briggs.web.rendering import THEMES, render
from briggs.web.route import SIGN_IN, read_next, see_other
from briggs.web.session import create_visit

_YEAR_S = 365 * 86_400


async def show(request: Request) -> Response:
    """`GET /sign-in`: the form. `next` is the page to go to afterwards."""
    return await _show(request, next=read_next(request.query_params.get("next")))


async def sign_in(request: Request) -> Response:
    """`POST /sign-in`: begin the session of a key."""
    form = await read_form(request)
    next = read_next(form.get("next"))
    parts, attempts = find_parts(request), find_attempts(request)
    try:
        attempts.check(request)
        key = await parts.gate.keys.authenticate(form.get("key", "").strip())
    except TooManyAttempts as error:
        return await _show(request, next=next, problem=error.message, status=error.http_status)
    except AuthenticationFailed as error:
        attempts.note_failure(request)
        return await _show(request, next=next, problem=error.message)
    request.state.new_session = await parts.sign_ins.begin(key)
    return see_other(find_first_place(key) if next == "/" else next)


async def show_link(request: Request) -> Response:
    """`GET /sign-in/{secret}`: a form that uses the link.

    A browser that only looks ahead, as some do, does not use it up.
    """
    begin_visit(request)
    return await render(request, "sign_in/link.html", secret=request.path_params["secret"])


async def use_link(request: Request) -> Response:
    """`POST /sign-in/{secret}`: begin the session of the key that made this link."""
    parts, attempts = find_parts(request), find_attempts(request)
    attempts.check(request)
    try:
        key = await parts.sign_ins.take_link(request.path_params["secret"])
    except AuthenticationFailed as error:
        attempts.note_failure(request)
        return await _show(request, next="/", problem=error.message)
    request.state.new_session = await parts.sign_ins.begin(key)
    return see_other(find_first_place(key))


async def sign_out(request: Request) -> Response:
    """`POST /sign-out`: end the session, for this browser and for whoever has its cookie."""
    if request.state.key is not None:
        await find_parts(request).sign_ins.end(request.state.session)
    request.state.new_session = create_visit()
    return see_other(SIGN_IN)


async def sign_out_everywhere(request: Request) -> Response:
    """`POST /settings/sign-out`: end every session of this key, in all browsers."""
    await find_parts(request).sign_ins.end_all(request.state.key)
    request.state.new_session = create_visit()
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


def begin_visit(request: Request) -> None:
    """Give a visitor a session without a key, so that the token of a form can be checked."""
    if request.state.session is None:
        request.state.session = request.state.new_session = create_visit()


def find_attempts(request: Request) -> Attempts:
    """The failed attempts to sign in to this server."""
    attempts: Attempts = request.app.state.attempts
    return attempts


async def _show(request: Request, *, next: str, problem: str = "", status: int = 401) -> Response:
    begin_visit(request)
    return await render(
        request,
        "sign_in/form.html",
        status=status if problem else 200,
        next=next,
        problem=problem,
        days=SESSION_DAYS,
    )
