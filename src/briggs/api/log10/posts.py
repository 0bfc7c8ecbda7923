"""Reads what Log10's clients post of a call: everything is taken, whatever its shape.

One of them dies of any refusal, and the others lose the call; so what cannot be understood is
kept as it came.
"""

from __future__ import annotations

import math
from typing import Any, Literal, TypeGuard

import msgspec
from msgspec import UNSET, Raw, UnsetType

from briggs.gateway.logged import Posted
from briggs.types import wire
from briggs.types.completions import Status

_MEMBERS = msgspec.json.Decoder(dict[str, Raw])
_STATUSES: dict[Any, Status] = {
    "started": "started",
    "finished": "finished",
    "failed": "failed",
    "success": "finished",
}
_KINDS: dict[Any, Literal["chat", "completion"]] = {
    "chat": "chat",
    "completion": "completion",
    "prompt": "completion",
}


def read_post(body: bytes, *, organization_id: str, duration_unit_ms: float) -> Posted:
    """One post. Durations of the legacy face are in milliseconds, those of v1 in seconds."""
    members = _read_members(body)
    if members is None:
        return Posted(organization_id=organization_id, status="finished", request=body)
    values = {
        name: wire.decode(bytes(raw))
        for name, raw in members.items()
        if name not in ("request", "response")
    }
    duration = values.get("duration")
    return Posted(
        organization_id=organization_id,
        status=_read_status(values, members),
        kind=_KINDS.get(_hashable(values.get("kind")), UNSET),
        request=_read_body(members.get("request")),
        response=_read_body(members.get("response")),
        duration_ms=duration * duration_unit_ms if _is_number(duration) else UNSET,
        session_id=_text(values.get("session_id")),
        tags=_read_tags(values.get("tags")),
        metadata=_read_metadata(values.get("metadata")),
        call_site=_read_call_site(values),
        failure_kind=_text(values.get("failure_kind")),
        failure_reason=_text(values.get("failure_reason")),
    )


def _read_status(values: dict[str, Any], members: dict[str, Raw]) -> Status | UnsetType:
    """The status, or what the rest of the post says of it: one client tells failures only."""
    status = _STATUSES.get(_hashable(values.get("status")))
    if status is not None:
        return status
    if values.get("failure_kind") or values.get("failure_reason"):
        return "failed"
    return UNSET if _read_body(members.get("response")) is UNSET else "finished"


def _read_members(body: bytes) -> dict[str, Raw] | None:
    """The members as bytes, so that requests and responses are kept as they came."""
    try:
        return _MEMBERS.decode(body or b"{}")
    except (msgspec.DecodeError, UnicodeError):
        pass
    try:
        value = wire.decode(body)
    except msgspec.DecodeError:
        return None
    if not isinstance(value, dict):
        return None
    return {name: Raw(wire.encode(member)) for name, member in value.items()}


def _read_body(raw: Raw | None) -> bytes | UnsetType:
    """A request or a response: an object as its bytes, a text of JSON as that text."""
    if raw is None:
        return UNSET
    body = bytes(raw)
    if not body.startswith(b'"'):
        return UNSET if body in (b"null", b"{}") else body
    text: str = wire.decode(body)
    return text.encode("utf-8", "surrogatepass") if text else UNSET


def _read_tags(tags: Any) -> list[str] | UnsetType:
    if not isinstance(tags, list):
        return UNSET
    return list(dict.fromkeys(tag for tag in tags if isinstance(tag, str) and tag))


def _read_metadata(metadata: Any) -> dict[str, str] | UnsetType:
    if not isinstance(metadata, dict):
        return UNSET
    return {key: value for key, value in metadata.items() if isinstance(value, str)}


def _read_call_site(values: dict[str, Any]) -> dict[str, Any]:
    """Where the call was made. Some clients send the stack as JSON text, one under two words."""
    stack = values.get("stacktrace") or values.get("stack_trace")
    if isinstance(stack, str):
        try:
            stack = wire.decode(stack)
        except msgspec.DecodeError:
            stack = [stack]
    known = {
        "stacktrace": stack,
        "orig_module": values.get("orig_module"),
        "orig_qualname": values.get("orig_qualname"),
    }
    return {name: value for name, value in known.items() if value}


def _text(value: Any) -> str | UnsetType:
    return value if isinstance(value, str) and value else UNSET


def _hashable(value: Any) -> Any:
    return value if isinstance(value, str) else None


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
