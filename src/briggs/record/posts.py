"""Reads the calls that Log10's clients report. Every report is accepted, whatever its shape.

One client crashes if a report is refused, and the others lose the call. So what cannot be
understood is kept as it came.
"""

from __future__ import annotations

import math
import re
from typing import Any, get_args

import msgspec
from msgspec import UNSET, Raw, UnsetType

from briggs.record.tell import Posted
from briggs.types import json
from briggs.types.completions import CallKind, Status

_READ = (
    "status", "kind", "duration", "session_id", "tags", "metadata", "stacktrace", "stack_trace",
    "orig_module", "orig_qualname", "failure_kind", "failure_reason", "created_at_ms",
    "caller_left_ms",
)  # fmt: skip
_KEPT = ("id", "request", "response", *_READ)
# The decoder skips all other members quickly. A dict would first get each of a million members.
_Members: Any = msgspec.defstruct("_Members", [(name, Raw | UnsetType, UNSET) for name in _KEPT])
_MEMBERS = msgspec.json.Decoder(_Members)
_STATUSES: dict[str | None, Status] = {
    "started": "started",
    "finished": "finished",
    "failed": "failed",
    "success": "finished",
}
_KINDS: dict[str | None, CallKind] = {
    **{kind: kind for kind in get_args(CallKind)},
    "prompt": "completion",
}
_ID = re.compile(r"[\w.:-]{1,200}", re.ASCII)
CREATED_MAX_US = 253_402_300_799_000_000
"""The end of the year 9999, the last year that a date can be written in."""


def read_post(body: bytes, *, organization_id: str, duration_unit_ms: float) -> Posted:
    """Read one report. Legacy durations are in milliseconds, those of v1 in seconds."""
    members = _read_members(body)
    if members is None:
        return Posted(organization_id=organization_id, status="finished", request=body)
    values = {name: _decode(members[name]) for name in _READ if name in members}
    request, response = (_read_body(members.get(name)) for name in ("request", "response"))
    return Posted(
        organization_id=organization_id,
        status=_read_status(values, response),
        kind=_KINDS.get(_word(values.get("kind")), UNSET),
        request=request,
        response=response,
        duration_ms=_read_number(values.get("duration"), unit=duration_unit_ms),
        session_id=_text(values.get("session_id")),
        tags=_read_tags(values.get("tags")),
        metadata=_read_metadata(values.get("metadata")),
        call_site=_read_call_site(values),
        failure_kind=_text(values.get("failure_kind")),
        failure_reason=_text(values.get("failure_reason")),
        caller_left_ms=_read_number(values.get("caller_left_ms"), unit=1),
        created_at=_read_created(values.get("created_at_ms")),
    )


def read_id(body: bytes) -> str | None:
    """The id that the client chose, if it did and the id can be part of a URL."""
    members = _read_members(body) or {}
    id = _decode(members.get("id"))
    return id if isinstance(id, str) and _ID.fullmatch(id) else None


def _read_status(values: dict[str, Any], response: bytes | UnsetType) -> Status | UnsetType:
    """Read the status, or infer it from the rest: one client reports only its failures."""
    status = _STATUSES.get(_word(values.get("status")))
    if status is not None:
        return status
    if values.get("failure_kind") or values.get("failure_reason"):
        return "failed"
    return UNSET if response is UNSET else "finished"


def _read_members(body: bytes) -> dict[str, Raw] | None:
    """The members as bytes, so that requests and responses are kept exactly as they came."""
    try:
        members = msgspec.structs.asdict(_MEMBERS.decode(body or b"{}"))
        return {name: raw for name, raw in members.items() if raw is not UNSET}
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        pass
    try:
        value = json.decode(body)
    except msgspec.DecodeError:
        return None
    if not isinstance(value, dict):
        return None
    return {name: Raw(json.encode(value[name])) for name in _KEPT if name in value}


def _read_body(raw: Raw | None) -> bytes | UnsetType:
    """A request or a response: the bytes of its JSON, or the text if it came as a string."""
    body = bytes(raw or b"null")
    text = _decode(raw) if body.startswith(b'"') else None
    if text is not None:
        body = text.encode("utf-8", "surrogatepass")
    return UNSET if body.strip() in (b"", b"null", b"{}") else body


def _decode(raw: Raw | None) -> Any:
    """A member's value; None if it cannot be read."""
    try:
        return json.decode(bytes(raw or b"null"))
    except msgspec.DecodeError:
        return None


def _read_tags(tags: Any) -> list[str] | UnsetType:
    if not isinstance(tags, list):
        return UNSET
    return list(dict.fromkeys(tag for tag in tags if isinstance(tag, str) and tag))


def _read_metadata(metadata: Any) -> dict[str, str] | UnsetType:
    if not isinstance(metadata, dict):
        return UNSET
    return {key: value for key, value in metadata.items() if isinstance(value, str)}


def _read_call_site(values: dict[str, Any]) -> dict[str, Any]:
    """Read where the call was made. Some clients send the stack as JSON text, or rename it."""
    stack = values.get("stacktrace") or values.get("stack_trace")
    if isinstance(stack, str):
        try:
            stack = json.decode(stack)
        except msgspec.DecodeError:
            stack = [stack]
    known = {
        "stacktrace": stack,
        "orig_module": values.get("orig_module"),
        "orig_qualname": values.get("orig_qualname"),
    }
    return {name: value for name, value in known.items() if value}


def _read_created(milliseconds: Any) -> int | UnsetType:
    moment = _read_number(milliseconds, unit=1000)
    return UNSET if moment is UNSET or moment > CREATED_MAX_US else round(moment)


def _read_number(value: Any, *, unit: float) -> float | UnsetType:
    """Read a number of at least 0, converted to our unit."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return UNSET
    try:
        number = float(value * unit)
    except OverflowError:
        return UNSET
    return number if math.isfinite(number) and number >= 0 else UNSET


def _text(value: Any) -> str | UnsetType:
    """Read a text as it is, and any other value as JSON."""
    if value in (None, ""):
        return UNSET
    return value if isinstance(value, str) else json.encode(value).decode("utf-8", "surrogatepass")


def _word(value: Any) -> str | None:
    return value if isinstance(value, str) else None
