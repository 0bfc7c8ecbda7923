"""Completions as objects, for the lists and the exports of the `/api` API."""

from __future__ import annotations

import base64
import binascii
from typing import Any

import msgspec

from briggs.record.bodies import find_response
from briggs.types import json
from briggs.types.completions import Completion
from briggs.types.errors import InvalidRequest
from briggs.types.times import iso
from briggs.wires.recorded.request import read_request

_CALL_SITE = ("stacktrace", "orig_module", "orig_qualname")


def present(completion: Completion, *, answer: bytes | None = None) -> dict[str, Any]:
    """A completion as Log10's Python client reads it: objects, never texts or null.

    `answer` is its answer as a chat completion, if that has been read.
    """
    request, response = read_bodies(completion, answer=answer)
    members = {
        "id": completion.id,
        "organization_id": completion.organization_id,
        "created_at": iso(completion.created_at),
        "created_at_ms": completion.created_at // 1000,
        "kind": completion.kind,
        "status": completion.status,
        "request": request or {},
        "response": response or {},
        "tags": completion.tags,
        "tagResolved": [present_tag(tag) for tag in completion.tags],
        "session_id": completion.session_id,
        "duration": None if completion.duration_ms is None else round(completion.duration_ms),
        "failure_kind": completion.failure_kind,
        "failure_reason": completion.failure_reason,
        **{name: completion.call_site.get(name) for name in _CALL_SITE},
    }
    return {name: value for name, value in members.items() if value is not None}


def present_tag(name: str) -> dict[str, str]:
    """A tag with its id, which has no comma and can be decoded to the tag."""
    return {"id": encode_tag(name), "name": name}


def encode_tag(name: str) -> str:
    """The id of a tag: its name in base64, so that no table of ids is needed."""
    return base64.urlsafe_b64encode(name.encode("utf-8", "surrogatepass")).decode().rstrip("=")


def decode_tag(id: str) -> str:
    """Decode a tag's id to its name. Raises `InvalidRequest`."""
    try:
        padded = id + "=" * (-len(id) % 4)
        return base64.b64decode(padded, altchars=b"-_", validate=True).decode(
            "utf-8", "surrogatepass"
        )
    except (binascii.Error, UnicodeError) as error:
        raise InvalidRequest(
            f"'{id}' is not the id of a tag: GET /api/tags/search lists tags and their ids.",
            param="tagFilter",
        ) from error


def read_bodies(completion: Completion, *, answer: bytes | None = None) -> tuple[Any, Any]:
    """The request and the response in OpenAI's format. None for one that was not reported."""
    request = _decode(completion.request)
    return request and read_request(request), _decode(answer or find_response(completion))


def _decode(body: bytes | None) -> Any:
    """Decode a JSON object; None for anything else."""
    try:
        value = json.decode(body or b"null")
    except msgspec.DecodeError:
        return None
    return value if isinstance(value, dict) else None
