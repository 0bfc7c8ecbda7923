"""Translates answers that were recorded elsewhere from any vendor's format."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from briggs.types import json
from briggs.types.any_json import members
from briggs.types.envelope import Envelope
from briggs.types.errors import BriggsError
from briggs.wires.base import Prepared
from briggs.wires.bedrock.answer import BedrockReader
from briggs.wires.chunks import MALFORMED, decode_answer
from briggs.wires.cohere.answer import CohereReader
from briggs.wires.gemini.answer import GeminiReader
from briggs.wires.ollama.wire import OllamaWire
from briggs.wires.openai.responses.ability import read_recorded
from briggs.wires.recorded.message import decode_message

_NOTHING_ASKED = Envelope(body=b"", members={}, values={"model": "unknown"})


def translate_answer(value: dict[str, Any], *, model: str) -> dict[str, Any] | None:
    """Translate an answer from another vendor's format; None if it is not in one."""
    translate = next((translate for recognises, translate in _VENDORS if recognises(value)), None)
    if translate is None or isinstance(value.get("choices"), list):
        return None
    try:
        answer: dict[str, Any] = json.decode(translate(value, Prepared(_NOTHING_ASKED, model, b"")))
    except (BriggsError, RecursionError, *MALFORMED):
        return None
    # If the value does not have these members, the translation made them up.
    for name, names in (("model", {"model", "modelVersion"}), ("created", {"created_at"})):
        if not names & value.keys():
            answer.pop(name, None)
    return answer


def _decode_ollama(value: dict[str, Any], prepared: Prepared) -> bytes:
    return OllamaWire().decode(json.encode(value), prepared=prepared)


def _decode_bedrock(value: dict[str, Any], prepared: Prepared) -> bytes:
    usage = {"inputTokens": 0, "outputTokens": 0, "totalTokens": 0, **members(value.get("usage"))}
    answer = {"stopReason": "end_turn", **value, "usage": usage}
    reader = BedrockReader(prepared)
    return decode_answer(json.encode(answer), reader.read_whole, vendor="Bedrock")


def _decode_cohere(value: dict[str, Any], prepared: Prepared) -> bytes:
    reader = CohereReader(prepared)
    return decode_answer(json.encode(value), reader.read_whole, vendor="Cohere")


def _decode_gemini(value: dict[str, Any], prepared: Prepared) -> bytes:
    answer = _write_camel(value)
    for candidate in answer.get("candidates") or ():
        if candidate.get("finishReason") is None:
            candidate["finishReason"] = "STOP"
    return decode_answer(json.encode(answer), GeminiReader(prepared).read, vendor="Gemini")


def _write_camel(value: Any, *, levels: int = 8) -> Any:
    """Rename Gemini's members as in its API. Google's Python package writes `finish_reason`."""
    if levels and isinstance(value, list):
        return [_write_camel(each, levels=levels - 1) for each in value]
    if not levels or not isinstance(value, dict):
        return value
    written = {}
    for name, member in value.items():
        first, *rest = name.split("_")
        kept = member if name == "args" else _write_camel(member, levels=levels - 1)
        if kept is not None:
            written[first + "".join(part.capitalize() for part in rest)] = kept
    return written


def _decode_responses(value: dict[str, Any], prepared: Prepared) -> bytes:
    return json.encode(read_recorded(value))


def _decode_alone(value: dict[str, Any], prepared: Prepared) -> bytes:
    """Read a message that came without the answer around it."""
    return json.encode({"choices": [{"message": value}]})


def _decode_generated(value: dict[str, Any], prepared: Prepared) -> bytes:
    """Read an answer of Ollama's `/api/generate`."""
    return _decode_ollama({**value, "message": {"content": value["response"]}}, prepared)


def _is_response(value: Mapping[str, Any]) -> bool:
    output = value.get("output")
    is_named = value.get("object") == "response" and isinstance(output, list)
    return is_named or _holds_blocks(output)


def _is_bedrock(value: Mapping[str, Any]) -> bool:
    return isinstance(members(value.get("output")).get("message"), dict)


def _is_anthropic(value: Mapping[str, Any]) -> bool:
    if value.get("type") == "message" or "stop_reason" in value:
        return "content" in value or isinstance(value.get("completion"), str)
    return _holds_blocks(value.get("content"))


def _holds_blocks(content: Any) -> bool:
    """Whether the content is Anthropic's typed blocks. Some programs record little else."""
    return (
        isinstance(content, list)
        and bool(content)
        and all(isinstance(block, dict) and isinstance(block.get("type"), str) for block in content)
    )


_VENDORS: tuple[
    tuple[Callable[[Mapping[str, Any]], bool], Callable[[dict[str, Any], Prepared], bytes]], ...
] = (
    (_is_anthropic, decode_message),
    (lambda value: "candidates" in value or "promptFeedback" in value, _decode_gemini),
    (_is_bedrock, _decode_bedrock),
    (_is_response, _decode_responses),
    (lambda value: "message" in value and "done" in value, _decode_ollama),
    (lambda value: "message" in value and "finish_reason" in value, _decode_cohere),
    (lambda value: isinstance(value.get("response"), str) and "done" in value, _decode_generated),
    (lambda value: value.get("role") == "assistant", _decode_alone),
)
"""How each vendor's answers are recognised, and how they are read."""
