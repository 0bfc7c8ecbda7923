"""Reads responses from the record, as their callers got them, and the items of their input."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw

from briggs.types import json
from briggs.types.any_json import list_objects, members
from briggs.types.completions import Completion
from briggs.types.sse import EventReader, EventTooLarge
from briggs.wires.openai.responses.answer import (
    begin_response,
    fail_response,
    write_answer,
    write_id,
)
from briggs.wires.openai.responses.items import ResponseItem, find_kind
from briggs.wires.openai.responses.request import is_well_formed

_ID_PREFIXES = {
    "message": "msg",
    "function_call": "fc",
    "function_call_output": "fco",
    "custom_tool_call": "ctc",
    "custom_tool_call_output": "ctco",
    "reasoning": "rs",
}
_UNENDED = ("queued", "in_progress")


def is_kept(completion: Completion) -> bool:
    """Whether a call is one for a response that its caller did not ask to forget.

    Calls that were imported can have any bodies. Those that no caller got so are no responses.
    """
    if completion.kind != "response":
        return False
    if completion.bodies_deleted_at is not None:
        return True
    asked = _read_asked(completion)
    if asked.get("store") is False or not is_well_formed(asked):
        return False
    return completion.status != "finished" or _is_object(completion.response or b"{}")


def read_response(completion: Completion) -> bytes:
    """A response as its caller got it: the vendor's own bytes, if those were passed on."""
    passed = find_passed(completion)
    if passed is None:
        return _write_again(completion)
    if completion.status == "finished":
        return passed
    told = json.decode(passed)
    if told.get("status") in _UNENDED:
        told |= {"status": _find_status(completion), "error": _explain(completion)}
    return json.encode_plain(told)


def find_passed(completion: Completion) -> bytes | None:
    """The response that a vendor sent, if the caller got the vendor's own bytes."""
    received = completion.received or b""
    if not completion.stream:
        return received if _is_response(received) else None
    found: bytes | None = None
    try:
        for event in EventReader().feed(received + b"\n\n"):
            if event.data.startswith(b"{"):
                found = bytes(_TURNS.decode(event.data).response) or found
    except (msgspec.DecodeError, UnicodeError, EventTooLarge):
        # What came before it counts.
        pass
    return found if found and _is_response(found) else None


def list_asked(completion: Completion) -> list[ResponseItem]:
    """The items of a request's input, as they came."""
    given = _read_asked(completion).get("input")
    return [{"role": "user", "content": given}] if isinstance(given, str) else list_objects(given)


def list_input(completion: Completion) -> list[ResponseItem]:
    """The items of a request's input, in the shape in which the API lists them."""
    items = list_asked(completion)
    digits = write_id(completion.id).partition("_")[2]
    return [_write_item(item, f"{digits}i{number}") for number, item in enumerate(items)]


def list_output(completion: Completion) -> list[ResponseItem]:
    """The output items of a response."""
    return list_objects(members(json.decode(read_response(completion))).get("output"))


def _write_again(completion: Completion) -> bytes:
    asked = _read_asked(completion)
    if completion.status == "finished":
        return write_answer(completion.response or b"{}", completion=completion)
    if completion.status == "started":
        return json.encode_plain(begin_response({}, asked=asked, completion=completion))
    failed = fail_response(
        members(json.decode(completion.response or b"{}")),
        asked=asked,
        completion=completion,
        http_status=completion.http_status,
        reason=completion.failure_reason or "",
    )
    return json.encode_plain({**failed, "status": _find_status(completion)})


def _find_status(completion: Completion) -> str:
    return "cancelled" if completion.failure_kind == "hang_up" else "failed"


def _explain(completion: Completion) -> dict[str, Any]:
    return {"code": "server_error", "message": completion.failure_reason or ""}


def _is_object(body: bytes) -> bool:
    try:
        return isinstance(json.decode(body), dict)
    except msgspec.DecodeError:
        return False


def _read_asked(completion: Completion) -> dict[str, Any]:
    try:
        return members(json.decode(completion.request))
    except msgspec.DecodeError:
        return {}


class _Response(msgspec.Struct):
    id: str
    object: str
    status: str


class _Turn(msgspec.Struct):
    response: Raw = Raw(b"")


_RESPONSES = msgspec.json.Decoder(_Response)
_TURNS = msgspec.json.Decoder(_Turn)


def _is_response(body: bytes) -> bool:
    try:
        return _RESPONSES.decode(body).object == "response"
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return False


def _write_item(item: ResponseItem, place: str) -> ResponseItem:
    kind = find_kind(item)
    prefix = _ID_PREFIXES.get(kind, "item")
    written = {
        **item,
        "id": item.get("id") or f"{prefix}_{place}",
        "type": item.get("type") or kind,
    }
    if kind == "message":
        written["content"] = _list_parts(item)
    if kind not in ("reasoning", "item_reference"):
        written.setdefault("status", "completed")
    return written


def _list_parts(message: ResponseItem) -> list[ResponseItem]:
    content = message.get("content")
    if isinstance(content, str):
        if message.get("role") == "assistant":
            return [{"type": "output_text", "text": content, "annotations": [], "logprobs": []}]
        return [{"type": "input_text", "text": content}]
    return [
        {"detail": "auto", **part} if part.get("type") == "input_image" else part
        for part in list_objects(content)
    ]
