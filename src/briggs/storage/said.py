"""Reads what the messages of a completion say, which is what a search looks in."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from briggs.wires.recorded.request import HOLDERS

# Members that are not part of the text of a message.
_NOT_SAID = frozenset(
    {
        "role",
        "type",
        "id",
        "object",
        "finish_reason",
        "logprobs",
        "tool_call_id",
        "image_url",
        "input_audio",
        "audio",
        "file",
    }
)


def list_said(request: bytes, response: bytes | None) -> Iterator[str]:
    """The texts that the messages of a request and the choices of its answer contain.

    A body that is no JSON is one text.
    """
    if request:
        yield from _read(request, _list_asked, HOLDERS)
    if response:
        yield from _read(response, _list_answered, ("choices",))


def _read(body: bytes, read: Any, names: Sequence[str]) -> list[str]:
    """By a decoder that skips the rest, ten times as fast as one that reads everything."""
    try:
        return list(read(body))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return list(_read_slowly(body, names))


def _list_asked(body: bytes) -> Iterator[str]:
    holders = _REQUESTS.decode(body)
    for name in HOLDERS:
        if value := getattr(holders, name):
            yield from _strings(_ANY.decode(value))


def _list_answered(body: bytes) -> Iterator[str]:
    for choice in _RESPONSES.decode(body).choices:
        for name, value in choice.items():
            if name not in _NOT_SAID:
                yield from _strings(_ANY.decode(value))


def _read_slowly(body: bytes, names: Sequence[str]) -> Iterator[str]:
    """Half surrogate pairs and numbers that are too large stop only the quick decoder."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        # Not JSON: an invalid request, or part of an answer. All of it is searched.
        yield body.decode("utf-8", "replace")
        return
    if isinstance(value, dict):
        for name in names:
            yield from _strings(value.get(name))


def _strings(value: Any) -> Iterator[str]:
    left = [value]
    while left:
        each = left.pop()
        if isinstance(each, str):
            yield each
        elif isinstance(each, list):
            left += each
        elif isinstance(each, dict):
            left += [item for name, item in each.items() if name not in _NOT_SAID]


class _Response(msgspec.Struct):
    choices: list[dict[str, msgspec.Raw]] = []


_REQUESTS: msgspec.json.Decoder[Any] = msgspec.json.Decoder(
    msgspec.defstruct("_Request", [(name, msgspec.Raw, msgspec.Raw()) for name in HOLDERS])
)
_RESPONSES = msgspec.json.Decoder(_Response)
_ANY = msgspec.json.Decoder()
