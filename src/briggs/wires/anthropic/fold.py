"""Joins the events of an Anthropic stream. https://docs.anthropic.com/en/api/streaming"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from briggs.types import json

# The member of a block that each kind of delta adds to.
_TEXTS = {"text_delta": "text", "thinking_delta": "thinking", "signature_delta": "signature"}


def fold_events(events: Iterable[dict[str, Any]]) -> dict[str, Any] | None:
    """Return the message, or the part that arrived. None if it never began."""
    message: dict[str, Any] | None = None
    blocks: dict[int, dict[str, Any]] = {}
    inputs: dict[int, str] = {}
    for event in events:
        kind, index = event.get("type"), event.get("index", 0)
        if kind == "message_start":
            message = dict(event["message"])
        elif kind == "content_block_start":
            blocks[index] = dict(event["content_block"])
        elif kind == "content_block_delta" and index in blocks:
            _add_delta(event["delta"], blocks[index], inputs, index)
        elif kind == "message_delta" and message is not None:
            message |= event.get("delta", {})
            message["usage"] = {**message.get("usage", {}), **event.get("usage", {})}
    for index, text in inputs.items():
        blocks[index]["input"] = _read_input(text)
    if message is not None:
        message["content"] = [blocks[index] for index in sorted(blocks)]
    return message


def _add_delta(
    delta: dict[str, Any], block: dict[str, Any], inputs: dict[int, str], index: int
) -> None:
    kind = delta.get("type")
    if kind == "input_json_delta":
        inputs[index] = inputs.get(index, "") + delta.get("partial_json", "")
    elif kind == "citations_delta":
        block["citations"] = [*(block.get("citations") or ()), delta.get("citation")]
    elif name := _TEXTS.get(str(kind)):
        block[name] = (block.get(name) or "") + delta.get(name, "")


def _read_input(text: str) -> Any:
    """Decode a tool's input. Incomplete JSON stays text."""
    try:
        return json.decode(text) if text else {}
    except msgspec.DecodeError:
        return text
