"""Reads and writes JSON for the routes that Starlette serves."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from starlette.requests import Request
from starlette.responses import Response

from briggs.accounts.keys import Keys
from briggs.api.encodings import decompress
from briggs.parts import find_parts, receive_body
from briggs.record.bodies import read_aside
from briggs.storage import Store
from briggs.transport.errors import TimedOut, TransportError
from briggs.types import json
from briggs.types.completions import Completion
from briggs.types.encodings import decode_object
from briggs.types.errors import (
    BriggsError,
    InvalidRequest,
    RequestTimeout,
)
from briggs.wires.anthropic.face import describe_error

LIMIT_DEFAULT = 25
LIMIT_MAX = 1000
OFFSET_MAX = 2**53


class Json(Response):
    """A JSON response. It may contain lone surrogates."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        return json.encode(content)


async def present_aside(present: Callable[[], Any], *, of: Iterable[Completion]) -> Json:
    """Answer with what these completions are presented as, from a thread if they are large."""
    bodies = [body for each in of for body in (each.request, each.response)]
    return await read_aside(lambda: Json(present()), of=bodies)


def answer_error(error: BriggsError, *, path: str, is_anthropic: bool) -> Json:
    """Answer with an error, in the shape that the clients of this path expect.

    Log10's clients read `error` as text, GraphQL clients a list of `errors`, Anthropic's clients
    Anthropic's object, and all others OpenAI's. `is_anthropic` says whether the request has the
    header that every client of Anthropic's sends.
    """
    body = error.to_object()
    if path == "/graphql":
        details = body["error"]
        body = {"errors": [{"message": details.pop("message"), "extensions": details}]}
    elif path.startswith("/v1/messages") or (is_anthropic and path.startswith("/v1/")):
        body = describe_error(error)
    elif path.startswith("/api/"):
        body = {**body["error"], "error": error.message}
        del body["message"]
    return Json(body, status_code=error.http_status, headers=dict(error.headers))


def list_object(data: list[dict[str, Any]], *, has_more: bool) -> dict[str, Any]:
    """A page of a list, as OpenAI returns it.

    The specification requires both ids to be strings, so an empty page has "".
    """
    return {
        "object": "list",
        "data": data,
        "first_id": data[0]["id"] if data else "",
        "last_id": data[-1]["id"] if data else "",
        "has_more": has_more,
    }


def refuse_body(error: TransportError) -> BriggsError:
    """The error for a request body that came too slowly or was malformed."""
    if isinstance(error, TimedOut):
        return RequestTimeout(
            f"{str(error).capitalize()}: send the whole body.", headers={"connection": "close"}
        )
    return InvalidRequest(str(error), headers={"connection": "close"})


async def read_body(request: Request) -> bytes:
    """Read the whole body. Raises `RequestTooLarge`, `HangUp`, and the connection's errors."""
    bytes_max = find_parts(request).running.limits.body_bytes_max
    body = await receive_body(
        request,
        bytes_max=bytes_max,
        refusal=f"The request body is larger than {bytes_max} bytes.",
    )
    encoding = request.headers.get("content-encoding")
    if encoding is None:
        return body
    return await decompress(body, encoding=encoding.encode("latin-1"), bytes_max=bytes_max)


async def read_json_object(request: Request) -> dict[str, Any]:
    """Read a JSON object. Raises `InvalidJson`, `InvalidRequest`, `RequestTooLarge`."""
    return decode_object(await read_body(request))


def read_number(given: str | None, *, name: str, default: int, maximum: int) -> int:
    """Read a number from 0 to `maximum` from the query. Raises `InvalidRequest`."""
    if given is None:
        return default
    # Python refuses to read numbers with thousands of digits, and so do we.
    digits = given.lstrip("0") or "0"
    is_number = given.isascii() and given.isdigit() and len(digits) <= len(str(maximum))
    if not is_number or int(digits) > maximum:
        raise InvalidRequest(f"'{name}' must be a number from 0 to {maximum}.", param=name)
    return int(digits)


class Window(NamedTuple):
    """The requested part of a list, for clients that do not use cursors."""

    limit: int
    offset: int


def read_window(
    parameters: Mapping[str, str], *, default: int = LIMIT_DEFAULT, maximum: int = LIMIT_MAX
) -> Window:
    """Read the `limit` and the `offset` of a query. Raises `InvalidRequest`."""
    return Window(
        limit=read_number(parameters.get("limit"), name="limit", default=default, maximum=maximum),
        offset=read_number(parameters.get("offset"), name="offset", default=0, maximum=OFFSET_MAX),
    )


def find_store(request: Request) -> Store:
    """The store of this server."""
    return find_parts(request).store


def find_keys(request: Request) -> Keys:
    """The keys of this server."""
    return find_parts(request).gate.keys
