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
    for body, is_answer in ((request, False), (response, True)):
        if body:
            said = read_said(body, is_answer=is_answer)
            yield from [body.decode("utf-8", "replace")] if said is None else said


def read_said(body: bytes, *, is_answer: bool) -> list[str] | None:
    """What one body says. None if it is no JSON, such as an invalid request or part of an answer.

    By a decoder that skips the rest, ten times as fast as one that reads everything.
    """
    try:
        return list(_list_answered(body) if is_answer else _list_asked(body))
    except _REFUSED:
        return _read_slowly(body, ("choices",) if is_answer else HOLDERS)


def read_elements(text: bytes) -> list[str] | None:
    """What elements of an array of messages or choices say, from any to any other, or what a
    single text says. None if it is neither.
    """
    array = b"[%b]" % text.lstrip(b" \t\r\n,")
    try:
        value = _ANY.decode(array)
    except _REFUSED:
        value = _load(array)
    return None if value is _NO_JSON else list(_strings(value))


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


def _read_slowly(body: bytes, names: Sequence[str]) -> list[str] | None:
    value = _load(body)
    if isinstance(value, dict):
        return [text for name in names for text in _strings(value.get(name))]
    return None if value is _NO_JSON else []


def _load(body: bytes) -> Any:
    """Half surrogate pairs and numbers that are too large stop only the quick decoder."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return _NO_JSON


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
_REFUSED = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_NO_JSON = object()
