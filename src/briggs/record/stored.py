"""A completion in the shape of OpenAI's stored completions, with the rest of the record."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from typing import Any

import msgspec
from msgspec import Raw

from briggs.record.reported import read_response
from briggs.types import json
from briggs.types.any_json import members
from briggs.types.completions import TEXTLESS, Completion
from briggs.types.envelope import LARGE_BYTES

_SHAPES = {"created": (int, Raw), "model": (str, Raw), "choices": (list, Raw)}
"""What every client of OpenAI's reads of an answer."""
_BODIES = frozenset({"request", "response", "received"})


def present(
    completion: Completion, *, include: Collection[str] = (), archived: bool = False
) -> dict[str, Any]:
    """The answer as OpenAI's API gives it, with the record in `briggs`.

    `include` may name `request` and `received`. `archived` says that it was read from the lake.
    Lists of the API and all exports have this shape.
    It is for `json.encode`, which also writes what stays as it was written.
    """
    response = _read_response(completion)
    record = {
        name: getattr(completion, name)
        for name in completion.__struct_fields__
        if name not in _BODIES and name not in ("metadata", "start_reported")
    }
    record["created_at"] = completion.created_at / 1_000_000
    deleted_at = completion.bodies_deleted_at
    record["bodies_deleted_at"] = None if deleted_at is None else deleted_at / 1_000_000
    if archived:
        record["archived"] = True
    if "request" in include:
        record["request"] = decode_body(completion.request or b"null")
    if "received" in include:
        record["received"] = _decode_text(completion.received)
    return {**response, "id": completion.id, "metadata": completion.metadata, "briggs": record}


def decode_body(body: bytes) -> Any:
    """A body's JSON, or its text if it is not JSON."""
    try:
        return json.decode(body)
    except msgspec.DecodeError:
        return _decode_text(body)


def _read_response(completion: Completion) -> dict[str, Any]:
    """The answer in the shape of OpenAI's response, whichever vendor gave it.

    An answer without text stands beside it, in `response`: so all of a list have one shape.
    """
    if completion.bodies_deleted_at is not None:
        return _unanswered(completion)
    if completion.kind in TEXTLESS:
        response = _read_object(completion.response or b"null")
        return {**_unanswered(completion), "response": response}
    if completion.source == "client":
        return members(_read_object(read_response(completion)))
    response = _read_object(completion.response or b"null")
    if not isinstance(response, dict):
        return _unanswered(completion)
    wrong = [name for name, shape in _SHAPES.items() if not isinstance(response.get(name), shape)]
    if not wrong:
        return response
    # An import can have anything here, and one such answer would make a whole list unreadable.
    unanswered = _unanswered(completion)
    return {**response, **{name: unanswered[name] for name in wrong}}


def _read_object(body: bytes) -> Any:
    """A body's JSON. The members of a large object stay as they are written, which takes no time.

    Its objects alone would take seconds to make, and as long to write again. One that is written
    over several lines is read, because exports have a line for each completion.
    """
    if len(body) >= LARGE_BYTES and b"\n" not in body and b"\r" not in body:
        with suppress(msgspec.DecodeError, UnicodeError):
            json.check(body)
            return msgspec.json.decode(body, type=dict[str, Raw])
    return decode_body(body)


def _unanswered(completion: Completion) -> dict[str, Any]:
    """The shape of a response, for a call that has none."""
    return {
        "id": completion.id,
        "object": "chat.completion",
        "created": completion.created_at // 1_000_000,
        "model": completion.response_model or completion.model,
        "choices": [],
    }


def _decode_text(body: bytes | None) -> str | None:
    return None if body is None else body.decode("utf-8", "backslashreplace")
