"""Writes chat completions in Ollama's format: an object, or a line for each piece of a stream."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Literal

from briggs.types import json
from briggs.types.any_json import integer, list_objects, members, text
from briggs.types.completions import Completion
from briggs.types.fold import Fold
from briggs.wires.chunks import read_json

Style = Literal["chat", "generate"]

_NS_PER_MS = 1_000_000
_DURATIONS = ("total_duration", "load_duration", "prompt_eval_duration", "eval_duration")
"""In nanoseconds. Ollama's own arrive with its answers."""


def write_whole(body: bytes, *, style: Style, completion: Completion) -> bytes:
    """A whole answer, given as a `CreateChatCompletionResponse`."""
    answer = json.decode(body)
    choice = answer["choices"][0]
    written = {
        **_identify(answer),
        **_write_message(choice["message"], style),
        **_write_logprobs(choice),
        **_write_end(answer, choice["finish_reason"], completion),
    }
    return json.encode_plain(written)


class Lines:
    """Writes one stream. Its last line comes when all is known."""

    def __init__(self, *, style: Style, completion: Completion) -> None:
        self._style = style
        self._completion = completion
        self._last: dict[str, Any] = {}
        self._reason: str | None = None
        # A call is one piece here, so its parts wait.
        self._calls = Fold()
        self._has_calls = False

    def write(self, chunks: Sequence[bytes]) -> bytes:
        return b"".join([self._write(json.decode(chunk)) for chunk in chunks])

    def end(self) -> bytes:
        said: dict[str, Any] = {"content": ""}
        if self._has_calls:
            said["tool_calls"] = self._calls.response()["choices"][0]["message"]["tool_calls"]
        written = {
            **_identify(self._last),
            **_write_message(said, self._style),
            **_write_end(self._last, self._reason, self._completion),
        }
        return json.encode_plain(written) + b"\n"

    def _write(self, chunk: dict[str, Any]) -> bytes:
        self._last |= {k: v for k, v in chunk.items() if v is not None}
        for choice in chunk["choices"]:
            self._reason = choice.get("finish_reason") or self._reason
            delta = choice["delta"]
            if delta.get("tool_calls"):
                self._calls.add(chunk)
                self._has_calls = True
            logprobs = _write_logprobs(choice)
            said = {k: delta.get(k) for k in ("content", "refusal", "reasoning_content")}
            if any(said.values()) or logprobs:
                line = {**_identify(chunk), **_write_message(said, self._style), "done": False}
                return json.encode_plain({**line, **logprobs}) + b"\n"
        return b""


def _identify(answer: dict[str, Any]) -> dict[str, Any]:
    created = datetime.fromtimestamp(answer.get("created") or 0, UTC)
    return {"model": answer.get("model"), "created_at": f"{created:%Y-%m-%dT%H:%M:%SZ}"}


def _write_message(message: dict[str, Any], style: Style) -> dict[str, Any]:
    said = text(message.get("content")) or text(message.get("refusal")) or ""
    thinking = text(message.get("reasoning_content"))
    thought = {"thinking": thinking} if thinking else {}
    if style == "generate":
        return {"response": said, **thought}
    calls = [_write_call(*each) for each in enumerate(list_objects(message.get("tool_calls")))]
    called = {"tool_calls": calls} if calls else {}
    return {"message": {"role": "assistant", "content": said, **thought, **called}}


def _write_call(index: int, call: dict[str, Any]) -> dict[str, Any]:
    function = members(call.get("function"))
    arguments = read_json(function.get("arguments") or "{}")
    written = {"index": index, "name": function.get("name"), "arguments": arguments}
    return {"id": call.get("id"), "function": written}


def _write_logprobs(choice: dict[str, Any]) -> dict[str, Any]:
    tokens = list_objects(members(choice.get("logprobs")).get("content"))
    return {"logprobs": tokens} if tokens else {}


def _write_end(
    answer: dict[str, Any], reason: str | None, completion: Completion
) -> dict[str, Any]:
    """The reason, the counts and the durations. What is not known is left out."""
    usage = members(answer.get("usage"))
    counts = {
        "prompt_eval_count": integer(usage.get("prompt_tokens")),
        "eval_count": integer(usage.get("completion_tokens")),
    }
    own = {name: answer[name] for name in _DURATIONS if integer(answer.get(name)) is not None}
    written = {**counts, **(own or _measure(completion))}
    return {
        "done": True,
        "done_reason": "stop" if reason in (None, "tool_calls", "function_call") else reason,
        **{name: count for name, count in written.items() if count is not None},
    }


def measure_total(completion: Completion) -> int:
    """The nanoseconds of a whole call, as they are on the record."""
    return round((completion.duration_ms or 0) * _NS_PER_MS)


def _measure(completion: Completion) -> dict[str, int | None]:
    """The durations as they are on the record. Before the first token, the prompt was read."""
    total_ms, first_ms = completion.duration_ms or 0, completion.first_token_ms
    return {
        "total_duration": measure_total(completion),
        "prompt_eval_duration": None if first_ms is None else round(first_ms * _NS_PER_MS),
        "eval_duration": round((total_ms - (first_ms or 0)) * _NS_PER_MS),
    }
