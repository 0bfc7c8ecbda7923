"""Decodes request bodies into structs. Every error names the wrong member."""

from __future__ import annotations

import re
from typing import Any, TypeVar

import msgspec

from briggs.types import json
from briggs.types.encodings import decode_object
from briggs.types.errors import InvalidRequest

T = TypeVar("T", bound=msgspec.Struct)

_AT = re.compile(r"(?P<problem>.*) - at `\$\.?(?P<path>.*)`", re.DOTALL)
_MISSING = re.compile(r"Object missing required field `(?P<name>.*)`")


def read_members(body: bytes, type: type[T], *, nulls: bool = True, **defaults: Any) -> T:
    """The members of a JSON object. Without `nulls`, a null member counts as absent.

    Unknown members are ignored. Raises `InvalidJson`, `InvalidRequest`.
    """
    members = {**defaults, **(decode_object(body) if body else {})}
    if not nulls:
        members = {name: value for name, value in members.items() if value is not None}
    try:
        return json.from_builtins(members, type)
    except msgspec.ValidationError as error:
        raise _refuse(str(error)) from error


def _refuse(text: str) -> InvalidRequest:
    at = _AT.fullmatch(text)
    problem, path = (at["problem"], at["path"]) if at else (text, "")
    if missing := _MISSING.fullmatch(problem):
        path = f"{path}.{missing['name']}" if path else missing["name"]
        return InvalidRequest(f"'{path}' is required.", param=path)
    return InvalidRequest(
        f"'{path}' is wrong: {problem[:1].lower()}{problem[1:]}.", param=path or None
    )
