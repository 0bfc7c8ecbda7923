"""Reads an Anthropic message that was recorded elsewhere, whole or cut short."""

from __future__ import annotations

from typing import Any

from briggs.types import json
from briggs.types.any_json import integer, members, objects, text
from briggs.wires.anthropic.answer import AnthropicReader
from briggs.wires.base import Prepared
from briggs.wires.chunks import decode_answer

# The members that a block of each type must have.
_REQUIRED: dict[str, tuple[str, ...]] = {
    "text": ("text",),
    "thinking": ("thinking",),
    "redacted_thinking": ("data",),
    "tool_use": ("name",),
}


def decode_message(value: dict[str, Any], prepared: Prepared) -> bytes:
    """Translate a message to a chat completion, as the gateway translates a live one."""
    reader = AnthropicReader(prepared)
    blocks = _list_blocks(value)
    message = {
        **value,
        "id": text(value.get("id")) or "",
        "model": text(value.get("model")) or "",
        "content": [_read_block(block, place) for place, block in enumerate(blocks)],
        "stop_reason": text(value.get("stop_reason")) or "",
        "usage": _read_counts(members(value.get("usage"))),
    }
    message.pop("completion", None)
    body = decode_answer(json.encode(message), reader.read_whole, vendor="Anthropic")
    return _spell_inputs(body, blocks)


def _list_blocks(value: dict[str, Any]) -> list[dict[str, Any]]:
    """The blocks that can be read. A plain text, as in the oldest answers, is one block."""
    content = value.get("content", value.get("completion"))
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    return [
        block
        for _, block in objects(content, "content")
        if isinstance(block.get("type"), str)
        and all(isinstance(block.get(name), str) for name in _REQUIRED.get(block["type"], ()))
    ]


def _read_block(block: dict[str, Any], place: int) -> dict[str, Any]:
    if block["type"] != "tool_use":
        return block
    given = block.get("input")
    return {
        **block,
        "id": text(block.get("id")) or f"call_{place}",
        "input": given if isinstance(given, dict) else {},
    }


def _read_counts(usage: dict[str, Any]) -> dict[str, Any]:
    counts = ("cache_read_input_tokens", "cache_creation_input_tokens")
    return {
        **usage,
        **{name: integer(usage.get(name)) or 0 for name in ("input_tokens", "output_tokens")},
        **{name: integer(usage.get(name)) or 0 for name in counts if name in usage},
        "output_tokens_details": members(usage.get("output_tokens_details")),
    }


def _spell_inputs(body: bytes, blocks: list[dict[str, Any]]) -> bytes:
    """Restore the inputs of tools that are texts because the message was cut short."""
    inputs = [block.get("input") for block in blocks if block["type"] == "tool_use"]
    answer: dict[str, Any] = json.decode(body)
    for choice in answer["choices"]:
        if not choice.get("native_finish_reason"):
            choice["finish_reason"] = None
        calls = choice["message"].get("tool_calls") or ()
        for call, spelled in zip(calls, inputs, strict=False):
            if isinstance(spelled, str):
                call["function"]["arguments"] = spelled
    return json.encode(answer)
