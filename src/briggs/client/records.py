"""A call that was answered elsewhere, as its program saw it, and how the server is told of it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Literal

import msgspec

from briggs.client.anthropic import fold_events
from briggs.types import wire
from briggs.types.any_json import integer
from briggs.types.completions import Status, create_id, current_time_us
from briggs.types.fold import Fold
from briggs.types.sse import EventReader, EventTooLarge

REASON_LENGTH_MAX = 2000
# The last event of a stream, of OpenAI's and of Anthropic's.
_ENDS = re.compile(rb"^(data: ?\[DONE\]|event: ?message_stop)", re.MULTILINE)


class Record(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One call, with what was sent and received as bytes; it is read only when it is told."""

    id: str = msgspec.field(default_factory=create_id)
    created_at: int = msgspec.field(default_factory=current_time_us)
    """Unix time in microseconds."""
    status: Status = "finished"
    """A stream that its program left is `failed` until it shows that all choices had ended."""
    duration_ms: float | None = None
    speaks: Literal["openai", "anthropic"] = "openai"
    request: bytes
    received: bytes = b""
    """The body of the answer, or its events."""
    is_stream: bool = False
    failure_kind: str | None = None
    failure_reason: str | None = None
    tags: list[str] = []
    session_id: str | None = None
    stacktrace: list[dict[str, Any]] = []


def tell(record: Record) -> bytes:
    """The body of the post that tells the server of a call."""
    status, kind = record.status, record.failure_kind
    response = _read_json(record.received)
    left_ms = None
    if record.is_stream:
        response, is_whole = _fold(record)
        if kind == "hang_up" and not _ENDS.search(record.received):
            left_ms = record.duration_ms
        if is_whole and kind == "hang_up":
            status, kind = "finished", None
    members = {
        "status": status,
        "kind": "chat",
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
    """The message of an error's body, or its start."""
    try:
        error = wire.decode(body)["error"]
        return str(error["message"] if isinstance(error, dict) else error)
    except (msgspec.DecodeError, KeyError, TypeError):
        return body[:REASON_LENGTH_MAX].decode("utf-8", "replace")


def encode_body(value: Any) -> bytes:
    """A request or a response of any kind that programs have at hand, as its JSON."""
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        return value.encode("utf-8", "surrogatepass")
    if dump := getattr(value, "model_dump", None):
        # Pydantic's models, which are those of OpenAI's and Anthropic's packages.
        return wire.encode(dump(mode="json", exclude_unset=True, by_alias=True))
    return wire.encode(dict(value) if isinstance(value, Mapping) else value)


def _embed(body: bytes) -> msgspec.Raw | str:
    """JSON as it is; anything else as a text that holds it."""
    return _read_json(body) or body.decode("utf-8", "replace")


def _read_json(body: bytes) -> msgspec.Raw | None:
    try:
        msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None
    return msgspec.Raw(body)


def _fold(record: Record) -> tuple[msgspec.Raw | None, bool]:
    """What a stream spelled as far as it came, and whether it came to its end."""
    events = list(_read_events(record.received))
    if record.speaks == "anthropic":
        message = fold_events(events)
        is_whole = bool(message and message.get("stop_reason"))
        return (msgspec.Raw(wire.encode(message)) if message else None), is_whole
    folded = Fold()
    chunks = [event for event in events if "choices" in event]
    for chunk in chunks:
        folded.add(chunk)
    response = folded.response()
    is_whole = bool(_ENDS.search(record.received)) or _has_finished(response, record.request)
    return (msgspec.Raw(wire.encode(response)) if chunks else None), is_whole


def _has_finished(response: Mapping[str, Any], request: bytes) -> bool:
    """Whether every choice that was asked for has ended: many programs read no further."""
    try:
        asked = wire.decode(request)["n"] or 1
    except (msgspec.DecodeError, KeyError, TypeError):
        asked = 1
    ended = [choice for choice in response["choices"] if choice.get("finish_reason")]
    return len(ended) == len(response["choices"]) >= max(integer(asked) or 1, 1)


def _read_events(received: bytes) -> Iterator[dict[str, Any]]:
    reader = EventReader()
    try:
        for event in reader.feed(received + b"\n\n"):
            if event.data.startswith(b"{"):
                yield wire.decode(event.data)
    except (msgspec.DecodeError, EventTooLarge):
        # What came before is what is known.
        return
