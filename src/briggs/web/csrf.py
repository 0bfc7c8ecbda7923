"""Forms and their tokens: a request that changes something must come from a page of ours."""

from __future__ import annotations

import asyncio
from urllib.parse import parse_qsl

from starlette.datastructures import ImmutableMultiDict
from starlette.requests import Request

from briggs.parts import find_parts, receive_body
from briggs.transport.errors import TransportError
from briggs.types.errors import (
    Forbidden,
    InvalidRequest,
    RequestTimeout,
)
from briggs.web.session import is_token

FIELD = "csrf"
HEADER = "x-csrf-token"
FIELDS_MAX = 10_000
VISITORS_BYTES_MAX = 64 * 1024
"""How large the form of someone who has not signed in may be."""
_SAFE_METHODS = ("GET", "HEAD")
_FORM = "application/x-www-form-urlencoded"

Form = ImmutableMultiDict[str, str]


async def check_token(request: Request) -> None:
    """Raises `Forbidden` if a request that may change something lacks its session's token."""
    if request.method in _SAFE_METHODS:
        return
    session, token = request.state.session, request.headers.get(HEADER)
    is_form = request.headers.get("content-type", "").startswith(_FORM)
    if token is None and is_form and session is not None:
        token = (await read_form(request)).get(FIELD)
    if session is None or token is None or not is_token(token, session):
        raise Forbidden("This page is out of date. Go back, reload it, and try again.")


async def read_form(request: Request) -> Form:
    """The fields of a form. Raises `InvalidRequest`, `RequestTooLarge`, `HangUp`."""
    if not hasattr(request.state, "form"):
        body = await read_body(request)
        # A large form takes seconds, in which other calls must go on.
        is_small = len(body) <= VISITORS_BYTES_MAX
        request.state.form = _decode(body) if is_small else await asyncio.to_thread(_decode, body)
    form: Form = request.state.form
    return form


async def read_body(request: Request) -> bytes:
    """The whole body. Raises `RequestTooLarge`, `RequestTimeout`, `HangUp`."""
    if not hasattr(request.state, "body"):
        request.state.body = await _read_body(request)
    body: bytes = request.state.body
    return body


async def _read_body(request: Request) -> bytes:
    bytes_max = find_parts(request).running.limits.body_bytes_max
    if request.state.key is None:
        bytes_max = min(bytes_max, VISITORS_BYTES_MAX)
    try:
        return await receive_body(
            request,
            bytes_max=bytes_max,
            refusal=f"The form is larger than {bytes_max} bytes: send less.",
        )
    except TransportError as error:
        raise RequestTimeout(
            f"The form did not arrive: {error}. Send it again.", headers={"connection": "close"}
        ) from error


def _decode(body: bytes) -> Form:
    try:
        fields = parse_qsl(
            body.decode("ascii"),
            keep_blank_values=True,
            max_num_fields=FIELDS_MAX,
            errors="replace",
        )
    except ValueError as error:
        raise InvalidRequest("The form cannot be read: send it from its page.") from error
    return ImmutableMultiDict(fields)
