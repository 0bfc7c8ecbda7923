"""A completion as one line of JSON, which reads back as the same completion, byte for byte."""

from __future__ import annotations

import base64
import binascii
from typing import Any

import msgspec

from briggs.types import json
from briggs.types.any_json import text
from briggs.types.completions import Completion
from briggs.types.errors import InvalidRequest

COMPLETION = "briggs.completion"
TASK = "briggs.feedback_task"
OBJECTS = (COMPLETION, TASK)
"""The member `object` of a line: a completion, or a task that the feedback after it answers."""

_BODIES = ("request", "response", "received")


def write_line(completion: Completion, **more: Any) -> bytes:
    """The line, without its LF. `more` are members that are not the completion's own.

    A body that is one line of JSON is embedded as it is, byte for byte. Any other body is a text
    (`request_text`), or in base64 (`request_base64`) if it is not UTF-8.
    """
    members = {
        "object": COMPLETION,
        "created_at": completion.created_at / 1_000_000,
        "created_at_us": completion.created_at,
        **{
            name: value
            for name, value in msgspec.structs.asdict(completion).items()
            if name != "created_at" and name not in _BODIES
        },
        **more,
    }
    line = json.encode(members)
    # A reader takes embedded bodies from a line only if all of the line is plain.
    is_plain = _is_plain(line)
    bodies = {name: getattr(completion, name) for name in _BODIES}
    written = [
        _write_body(name, body, embed=is_plain) for name, body in bodies.items() if body is not None
    ]
    return b",".join([line[:-1], *written]) + b"}"


def read_line(line: bytes, *, organization_id: str) -> Completion:
    """Read a line, as a completion of this organization. Raises `InvalidRequest`."""
    return to_completion(read_members(line), organization_id=organization_id)


def to_completion(members: dict[str, Any], *, organization_id: str) -> Completion:
    """The completion whose line has these members. Raises `InvalidRequest`."""
    if text(members.get("object")) != COMPLETION:
        raise InvalidRequest(f"The line is not a completion: its 'object' is not '{COMPLETION}'.")
    if members.get("created_at_us") is None:
        hint = "." if members.get("created_at") is None else ". Did you mean that by 'created_at'?"
        raise InvalidRequest(
            f"The line has no 'created_at_us', the time in microseconds since 1970{hint}"
        )
    fields = {name: value for name, value in members.items() if name not in _BODIES}
    fields |= {"organization_id": organization_id, "created_at": fields.pop("created_at_us", None)}
    try:
        completion = json.from_builtins(fields, Completion)
    except msgspec.ValidationError as error:
        reason = str(error).replace("`$.created_at`", "`$.created_at_us`")
        raise InvalidRequest(f"The line is not a completion: {reason}.") from error
    for name in _BODIES:
        if (body := _read_body(name, members)) is not None:
            setattr(completion, name, body)
    return completion


def read_members(line: bytes) -> dict[str, Any]:
    """The members of a line. Bodies that are embedded in it are bytes. Raises `InvalidRequest`."""
    try:
        raw = msgspec.json.decode(line, type=dict[str, msgspec.Raw])
        members = {name: bytes(each) for name, each in raw.items() if name in _BODIES}
        rest = {name: json.decode(bytes(each)) for name, each in raw.items() if name not in _BODIES}
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return _read_slowly(line)
    return rest | members


def _read_slowly(line: bytes) -> dict[str, Any]:
    """The members of a line with lone surrogates, in which no body is embedded."""
    try:
        members = json.decode(line)
    except msgspec.DecodeError as error:
        raise InvalidRequest(f"The line is not JSON: {error}.") from error
    if not isinstance(members, dict):
        raise InvalidRequest("The line is not a JSON object.")
    return {n: json.encode(each) if n in _BODIES else each for n, each in members.items()}


def _is_plain(body: bytes) -> bool:
    """Whether a body can be part of a line of JSON, from which msgspec takes it unchanged."""
    try:
        body.decode()
        msgspec.json.decode(body, type=msgspec.Raw)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return False
    return b"\n" not in body and b"\r" not in body and body == body.strip()


def _write_body(name: str, body: bytes, *, embed: bool) -> bytes:
    if embed and _is_plain(body):
        return b'"%s":%s' % (name.encode(), body)
    try:
        return b'"%s_text":%s' % (name.encode(), msgspec.json.encode(body.decode()))
    except UnicodeDecodeError:
        return b'"%s_base64":"%s"' % (name.encode(), base64.b64encode(body))


def _read_body(name: str, members: dict[str, Any]) -> bytes | None:
    if (given := members.get(f"{name}_text")) is not None:
        return str(given).encode("utf-8", "surrogatepass")
    if (given := members.get(f"{name}_base64")) is not None:
        try:
            return base64.b64decode(str(given), validate=True)
        except (binascii.Error, ValueError) as error:
            raise InvalidRequest(f"'{name}_base64' is not base64.") from error
    body = members.get(name)
    return body if isinstance(body, bytes) else None
