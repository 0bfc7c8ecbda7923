"""A call that was answered elsewhere, and the body that reports it to the server."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from briggs.client.errors import InvalidArgument
from briggs.types import json
from briggs.types.completions import CallKind, Status, create_id, current_time_us
from briggs.wires.recorded.stream import Speaks, fold_stream, has_end, leave_out_vectors

REASON_LENGTH_MAX = 2000


class CallRecord(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One call. Request and response are bytes, and are parsed only when the record is sent."""

    id: str = msgspec.field(default_factory=create_id)
    created_at: int = msgspec.field(default_factory=current_time_us)
    """Unix time in microseconds."""
    status: Status = "finished"
    """A stream that its program left is `failed`, unless `tell` finds that it was complete."""
    duration_ms: float | None = None
    speaks: Speaks = "openai"
    kind: CallKind = "chat"
    request: bytes
    received: bytes = b""
    """The body of the answer, or the events of a stream."""
    is_stream: bool = False
    failure_kind: str | None = None
    failure_reason: str | None = None
    tags: list[str] = []
    session_id: str | None = None
    stacktrace: list[dict[str, Any]] = []


def tell(record: CallRecord) -> bytes:
    """The body of the request that reports a call to the server."""
    status, kind = record.status, record.failure_kind
    received = record.received
    if record.kind == "embedding":
        received = leave_out_vectors(received, request=record.request)
    response = _read_json(received)
    left_ms = None
    if record.is_stream:
        folded, is_whole = fold_stream(
            record.received, speaks=record.speaks, request=record.request
        )
        response = None if folded is None else msgspec.Raw(folded)
        if kind == "hang_up" and not has_end(record.received):
            left_ms = record.duration_ms
        if is_whole and kind == "hang_up":
            status, kind = "finished", None
    members = {
        "status": status,
        "kind": record.kind,
        "created_at_ms": record.created_at / 1000,
        "duration": None if record.duration_ms is None else record.duration_ms / 1000,
        "caller_left_ms": left_ms,
        "request": _embed(record.request),
        "response": response if status == "finished" or record.is_stream else None,
        "failure_kind": kind,
        "failure_reason": record.failure_reason if kind else None,
        "session_id": record.session_id,
        "tags": record.tags,
        "stacktrace": record.stacktrace,
    }
    return msgspec.json.encode({name: each for name, each in members.items() if each is not None})


def read_error(body: bytes) -> str:
    """The message of an error body. If it has none, the start of the body."""
    try:
        error = json.decode(body)["error"]
        return str(error["message"] if isinstance(error, dict) else error)
    except (msgspec.DecodeError, KeyError, TypeError):
        return body[:REASON_LENGTH_MAX].decode("utf-8", "replace")


def encode_body(value: Any) -> bytes:
    """Encode a request or a response as JSON: bytes, a string, a mapping or a package's object.

    Raises `InvalidArgument` if it cannot be written as JSON.
    """
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        return value.encode("utf-8", "surrogatepass")
    try:
        if dump := getattr(value, "model_dump", None):
            # A Pydantic model, as in the packages of OpenAI and Anthropic.
            return json.encode(dump(mode="json", exclude_unset=True, by_alias=True))
        return json.encode(dict(value) if isinstance(value, Mapping) else value)
    except (TypeError, ValueError, OverflowError, msgspec.EncodeError) as error:
        raise InvalidArgument(f"this cannot be written as JSON: {error}") from error


def _embed(body: bytes) -> msgspec.Raw | str:
    """Embed JSON unchanged, and anything else as a string."""
    return _read_json(body) or body.decode("utf-8", "replace")


def _read_json(body: bytes) -> msgspec.Raw | None:
    try:
        msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None
    return msgspec.Raw(body)
