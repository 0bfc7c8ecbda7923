"""Writes a chat completion as a message: its blocks, why it stopped, and its usage.

https://platform.claude.com/docs/en/api/messages
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from briggs.types.any_json import Members, integer, list_objects, members, text
from briggs.wires.anthropic.answer import FORMAT, TIERS_SERVED
from briggs.wires.blocks import Block
from briggs.wires.chunks import read_json
from briggs.wires.words.reasons import find_finish_reason
from briggs.wires.words.usage import LIFETIMES

_STOP_REASONS = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "content_filter": "refusal",
}
_OWN_REASONS = frozenset(
    {
        *_STOP_REASONS.values(),
        *("stop_sequence", "pause_turn", "model_context_window_exceeded"),
    }
)
_TIERS = {ours: theirs for theirs, ours in TIERS_SERVED.items()}
_TIERS_KNOWN = ("standard", "priority", "batch")
_NO_ID = re.compile(r"[^a-zA-Z0-9_]+")


def write_message(response: Members) -> Members:
    """The message for a chat completion, of which the first choice counts."""
    choice = response["choices"][0]
    said = choice["message"]
    return {
        **begin_message(response),
        "content": list_blocks(said),
        **write_stop(choice, is_refused=bool(said.get("refusal"))),
        "usage": write_usage(response.get("usage"), tier=response.get("service_tier")),
    }


def begin_message(response: Members) -> Members:
    """A message without content and end. A vendor's id becomes one as Anthropic's are."""
    id = str(response["id"])
    if not id.startswith("msg_"):
        id = f"msg_{_NO_ID.sub('', id.removeprefix('chatcmpl-'))}"
    return {
        "id": id,
        "type": "message",
        "role": "assistant",
        "model": response["model"],
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": write_usage(None),
    }


def list_blocks(said: Members) -> list[Block]:
    """The blocks of a message: what was thought, what was said, and the calls."""
    thoughts = list_thoughts(said.get("reasoning_details"))
    thought = find_thought(said)
    if thought and not any(block["type"] == "thinking" for _, block in thoughts):
        thoughts.insert(0, (0, {"type": "thinking", "thinking": thought, "signature": ""}))
    spoken = text(said.get("content")) or text(said.get("refusal"))
    blocks: list[Block] = [{"type": "text", "text": spoken}] if spoken else []
    blocks += map(_write_call, list_objects(said.get("tool_calls")))
    for index, block in sorted([*thoughts, *list_carried(said)], key=lambda found: found[0]):
        blocks.insert(min(index, len(blocks)), block)
    return blocks


def find_thought(said: Members) -> str | None:
    """What was thought, in a message or a delta, in the words of its vendor."""
    return text(said.get("reasoning_content")) or text(said.get("reasoning"))


def list_thoughts(details: Any) -> list[tuple[int, Block]]:
    """The blocks of reasoning, each with its place. Some vendors give one in pieces."""
    found: list[tuple[int, Block]] = []
    for index, block in _read_thoughts(details):
        last = found[-1][1] if found and found[-1][0] == index else {}
        if last.get("type") == block["type"] == "thinking" and not last["signature"]:
            last["thinking"] += block["thinking"]
            last["signature"] = block["signature"]
        else:
            found.append((index, block))
    return found


def list_carried(said: Members) -> list[tuple[int, Block]]:
    """Anthropic's other blocks, each with its place."""
    return [
        (read_place(carried), carried["block"])
        for carried in list_objects(said.get("content_blocks"))
        if carried.get("format") == FORMAT and isinstance(carried.get("block"), dict)
    ]


def read_place(carried: Members) -> int:
    """The place of a block among the blocks of its message."""
    return max(integer(carried.get("index")) or 0, 0)


def write_stop(choice: Members, *, is_refused: bool = False) -> Members:
    """Why a choice has ended, in Anthropic's words."""
    native, stopped_by = choice.get("native_finish_reason"), choice.get("stop_reason")
    reason = native if native in _OWN_REASONS else _STOP_REASONS[choice["finish_reason"]]
    sequence = choice.get("stop_sequence")
    if reason == "end_turn" and text(stopped_by) and find_finish_reason(str(stopped_by)) is None:
        # vLLM gives the text that ended the answer.
        reason, sequence = "stop_sequence", stopped_by
    if reason == "end_turn" and is_refused:
        reason = "refusal"
    stop = {"stop_reason": reason, "stop_sequence": sequence}
    details = choice.get("stop_details")
    return {**stop, "stop_details": details} if details else stop


def write_usage(usage: Any, *, tier: Any = None) -> Members:
    """The tokens of an answer. Those that its vendor does not count are 0, since none is absent."""
    given = members(usage)
    prompt = members(given.get("prompt_tokens_details"))
    read = integer(prompt.get("cached_tokens")) or 0
    written = integer(prompt.get("cache_write_tokens")) or 0
    counted: Members = {
        "input_tokens": max((integer(given.get("prompt_tokens")) or 0) - read - written, 0),
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": read,
        "output_tokens": integer(given.get("completion_tokens")) or 0,
    }
    completion = members(given.get("completion_tokens_details"))
    thinking = integer(completion.get("reasoning_tokens"))
    if thinking is not None:
        counted["output_tokens_details"] = {"thinking_tokens": thinking}
    if isinstance(given.get(LIFETIMES), dict):
        counted[LIFETIMES] = given[LIFETIMES]
    tier = _TIERS.get(str(tier), tier)
    return {**counted, "service_tier": tier} if tier in _TIERS_KNOWN else counted


def read_input(arguments: str) -> Members:
    """The input of a call. What is no object stays as the text that the model wrote."""
    read = read_json(arguments.strip() or "{}")
    return read if isinstance(read, dict) else {"arguments": arguments}


def _write_call(call: Members) -> Block:
    function = members(call.get("function"))
    return {
        "type": "tool_use",
        "id": str(call.get("id")),
        "name": str(function.get("name")),
        "input": read_input(str(function.get("arguments") or "")),
    }


def _read_thoughts(details: Any) -> Iterator[tuple[int, Block]]:
    for detail in list_objects(details):
        is_own = detail.get("format") == FORMAT
        place = read_place(detail)
        match detail:
            case {"type": "reasoning.text", "text": str(thought)}:
                signature = text(detail.get("signature")) if is_own else None
                block = {"type": "thinking", "thinking": thought, "signature": signature or ""}
                yield place, block
            case {"type": "reasoning.encrypted", "data": str(data)} if is_own:
                yield place, {"type": "redacted_thinking", "data": data}
