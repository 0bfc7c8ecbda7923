"""Speaks Ollama's own wire: `/api/chat`, with one line of JSON per piece of an answer.

https://docs.ollama.com/api/chat
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import msgspec

from briggs.types import json
from briggs.types.envelope import Envelope
from briggs.types.errors import UpstreamInvalid
from briggs.types.lines import LineReader, LineTooLarge
from briggs.wires.base import Encoded, ModelPage, Prepared
from briggs.wires.chunks import Chunk, write_usage
from briggs.wires.events import EventStream, Split
from briggs.wires.ollama.request import encode_request
from briggs.wires.openai.wire import OpenAIWire
from briggs.wires.requests import list_objects

# Members of an answer that are translated. All others, such as the durations, are kept.
_READ = ("model", "created_at", "message", "done", "done_reason", "logprobs")


class OllamaWire(OpenAIWire):
    """`POST {base_url}/chat`, in Ollama's format."""

    format = "ollama"
    stream_types = ("application/x-ndjson",)

    def url(self, base_url: str, *, model: str, stream: bool) -> str:
        return f"{base_url}/chat"

    def encode(self, envelope: Envelope, *, model: str) -> Encoded:
        return encode_request(envelope, model=model)

    def decode(self, body: bytes, *, prepared: Prepared) -> bytes:
        line = _read_line(body)
        message = {"content": None, "refusal": None, **_decode_message(line)}
        end = _decode_end(line, called="tool_calls" in message)
        identity = {"object": "chat.completion", **_decode_identity(line)}
        choices = [{"index": 0, "message": message, **end}]
        return json.encode_plain({**identity, "choices": choices, **_decode_usage(line)})

    def open_stream(self, prepared: Prepared) -> EventStream:
        return EventStream(OllamaReader(), split=split_lines(), vendor="Ollama")

    def models_url(self, base_url: str) -> str:
        return f"{base_url}/tags"

    def read_models(self, body: bytes) -> ModelPage:
        models = msgspec.json.decode(body)["models"]
        return ModelPage(
            [
                {"id": model["name"], "created": _read_time(model.get("modified_at"))}
                for model in models
            ]
        )


class OllamaReader:
    """Turns lines into chunks. Each line is a piece of the answer."""

    def __init__(self) -> None:
        self.done = False
        self._has_begun = False
        self._calls = 0

    def read(self, line: dict[str, Any]) -> list[Chunk]:
        """The chunks for a line."""
        if line.get("error"):
            return [{"error": line["error"]}]
        identity = {"object": "chat.completion.chunk", **_decode_identity(line)}
        delta = _decode_message(line)
        if self._has_begun:
            # Every line repeats the role, and many contain an empty text.
            delta = {k: delta[k] for k in delta if k != "role" and delta[k] != ""}
        self._has_begun = True
        for call in delta.get("tool_calls", ()):
            call["index"] = self._calls
            self._calls += 1
        choice = {"index": 0, "delta": delta, **_decode_end(line, called=self._calls > 0)}
        chunks = [{**identity, "choices": [choice]}]
        if line.get("done"):
            self.done = True
            if usage := _decode_usage(line):
                chunks.append({**identity, "choices": [], **usage})
        return chunks


def split_lines() -> Split:
    """Read lines of JSON."""
    reader = LineReader()

    def split(data: bytes) -> Iterator[dict[str, Any]]:
        try:
            lines = reader.feed(data)
        except LineTooLarge as error:
            raise UpstreamInvalid("the upstream sent a line that is too large") from error
        yield from (_read_line(line) for line in lines if line.strip())

    return split


def _read_line(data: bytes) -> dict[str, Any]:
    """Decode a line. Raises `UpstreamInvalid`, also if the model was only loaded or unloaded."""
    try:
        line = json.decode(data)
    except msgspec.DecodeError as error:
        raise UpstreamInvalid(f"the upstream sent a line that is not JSON: {error}") from error
    if not isinstance(line, dict):
        raise UpstreamInvalid("the upstream sent a line that is not a JSON object")
    if line.get("done_reason") in ("load", "unload"):
        raise UpstreamInvalid("the upstream loaded or unloaded the model and did not answer")
    return line


def _decode_identity(line: dict[str, Any]) -> dict[str, Any]:
    """The time and model of a line, and its extra members. Ollama has no id."""
    kept = {name: value for name, value in line.items() if name not in _READ}
    return {"created": _read_time(line.get("created_at")), "model": line.get("model"), **kept}


def _decode_message(line: dict[str, Any]) -> dict[str, Any]:
    """The message of a line."""
    message = line.get("message")
    if not isinstance(message, dict):
        raise UpstreamInvalid("the upstream sent a line without a message")
    known = ("thinking", "tool_calls")
    decoded = {name: value for name, value in message.items() if name not in known}
    if message.get("thinking"):
        decoded["reasoning_content"] = message["thinking"]
    if calls := list_objects(message, "tool_calls"):
        decoded["tool_calls"] = [_decode_call(call) for call in calls]
    return decoded


def _decode_call(call: dict[str, Any]) -> dict[str, Any]:
    function = call.get("function")
    if not isinstance(function, dict):
        raise UpstreamInvalid("the upstream sent a tool call without a function")
    arguments = function.get("arguments") or {}
    if not isinstance(arguments, str):
        arguments = json.encode_plain(arguments).decode()
    named = {"name": function.get("name"), "arguments": arguments}
    return {"id": call.get("id"), "type": "function", "function": named}


def _decode_end(line: dict[str, Any], *, called: bool) -> dict[str, Any]:
    """The finish reason of a choice, if it has ended, and its logprobs."""
    logprobs = _decode_logprobs(line)
    reason = line.get("done_reason") if line.get("done") else None
    if reason == "stop" and called:
        native = {"native_finish_reason": reason}
        return {"finish_reason": "tool_calls", "logprobs": logprobs, **native}
    return {"finish_reason": reason, "logprobs": logprobs}


def _decode_logprobs(line: dict[str, Any]) -> dict[str, Any] | None:
    tokens = list_objects(line, "logprobs")
    if not tokens:
        return None
    content = [
        {
            "bytes": None,
            **token,
            "top_logprobs": [
                {"bytes": None, **other} for other in list_objects(token, "top_logprobs")
            ],
        }
        for token in tokens
    ]
    return {"content": content, "refusal": None}


def _decode_usage(line: dict[str, Any]) -> dict[str, Any]:
    """The usage, if there is one: Ollama does not count a prompt that it has cached."""
    prompt, completion = line.get("prompt_eval_count"), line.get("eval_count")
    if not isinstance(prompt, int) or not isinstance(completion, int):
        return {}
    return {"usage": write_usage(prompt, completion)}


def _read_time(text: Any) -> int | None:
    """Unix time in whole seconds, from a text such as 2026-11-23T17:21:21.196249123+01:00."""
    try:
        return int(datetime.fromisoformat(text).timestamp())
    except (OverflowError, TypeError, ValueError):
        return None
