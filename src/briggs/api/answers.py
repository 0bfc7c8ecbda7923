"""How the routes that a framework carries read JSON and answer it."""

from __future__ import annotations

from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from briggs.types import wire
from briggs.types.errors import BriggsError, InvalidJson, InvalidRequest, RequestTooLarge


class Json(Response):
    """An answer of JSON, lone surrogates and all."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        return wire.encode(content)


def answer_error(error: BriggsError) -> Json:
    """An error as its object, behind its status."""
    return Json(error.to_object(), status_code=error.http_status, headers=dict(error.headers))


def list_object(data: list[dict[str, Any]], *, has_more: bool) -> dict[str, Any]:
    """OpenAI's page of a list.

    The specification wants both ids to be strings, so an empty page says "".
    """
    return {
        "object": "list",
        "data": data,
        "first_id": data[0]["id"] if data else "",
        "last_id": data[-1]["id"] if data else "",
        "has_more": has_more,
    }


async def read_json_object(request: Request) -> dict[str, Any]:
    """A request's body. Raises `InvalidJson`, `InvalidRequest`, `RequestTooLarge`."""
    bytes_max: int = request.app.state.limits.body_bytes_max
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > bytes_max:
            raise RequestTooLarge(f"The request body is larger than {bytes_max} bytes.")
    try:
        value = wire.decode(bytes(body))
    except msgspec.DecodeError as error:
        raise InvalidJson(f"The request body is not valid JSON: {error}.") from error
    if not isinstance(value, dict):
        raise InvalidRequest("The request body must be a JSON object.")
    return value
