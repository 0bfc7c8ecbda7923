"""Streams of real servers, from `tests/cases`, are read and folded."""

from __future__ import annotations

import base64
import json as stdlib_json
from pathlib import Path
from typing import Any

import pytest

from briggs.types import json
from briggs.types.fold import Fold
from briggs.types.response import CreateChatCompletionResponse
from briggs.types.sse import EventReader

FOLDER = Path(__file__).parents[1] / "cases"
CASES = [stdlib_json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))]
STREAMS = [case for case in CASES if case["wire"]["kind"] == "sse"]


def writes(case: dict[str, Any]) -> list[bytes]:
    """The bytes of each network write."""
    return [
        write.encode()
        if isinstance(write, str)
        else base64.b64decode(write["b64"])
        if "b64" in write
        else (write["repeat"]["text"] * write["repeat"]["times"]).encode()
        for write in case["wire"]["chunks"]
    ]


def fold_case(case: dict[str, Any], *, size: int | None) -> dict[str, Any]:
    """The folded stream before it ends or fails, read in pieces of `size` bytes."""
    stream = b"".join(writes(case))
    cut = [stream[i : i + size] for i in range(0, len(stream), size)] if size else writes(case)
    reader, collected = EventReader(), Fold()
    for event in (event for write in cut for event in reader.feed(write)):
        if event.data == b"[DONE]":
            break
        chunk = json.decode(event.data)
        if chunk.get("error"):
            break
        collected.add(chunk)
    return collected.response()


def spelled(message: dict[str, Any]) -> list[list[str]]:
    functions = [(call["id"], call["function"]) for call in message.get("tool_calls", [])]
    return [[id, function["name"], function["arguments"]] for id, function in functions]


@pytest.mark.parametrize("size", [None, 1, 7, 4096])
@pytest.mark.parametrize("case", STREAMS, ids=lambda case: case["id"])
def test_a_stream_folds_to_what_it_spells(case: dict[str, Any], size: int | None) -> None:
    """Texts, calls and usage are what the case expects, however the stream is cut."""
    expected = case["expect"]
    response = fold_case(case, size=size)
    messages = [choice["message"] for choice in response["choices"]]
    held = {
        "content": messages[0]["content"],
        "partial": messages[0]["content"],
        "contents": [message["content"] for message in messages],
        "reasoning": messages[0].get("reasoning_content", messages[0].get("reasoning")),
        "tool_calls": spelled(messages[0]),
        "usage": response.get("usage"),
    }
    named = {name: expected[name] for name in held if name in expected}
    assert named, "the case expects nothing of the fold"
    assert {name: held[name] for name in named} == named


ANSWERS = [case for case in CASES if case["wire"]["kind"] == "json"]
TEXTS = [case for case in CASES if case["wire"]["kind"] == "text" and case["expect"]["ok"]]


@pytest.mark.parametrize("case", ANSWERS, ids=lambda case: case["id"])
def test_a_whole_answer_survives(case: dict[str, Any]) -> None:
    """Whole answers of real servers are written back unchanged."""
    body = case["wire"]["body"]
    assert json.decode(json.encode(body)) == body


@pytest.mark.parametrize("case", TEXTS, ids=lambda case: case["id"])
def test_an_odd_but_legal_text_is_read_as_a_response(case: dict[str, Any]) -> None:
    """Repeated keys, U+0000 and lone surrogates are valid in a response."""
    text = case["wire"]["text"]
    response = json.decode(text, CreateChatCompletionResponse)
    assert json.decode(json.encode(response)) == stdlib_json.loads(text)
