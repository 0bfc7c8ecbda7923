"""Reads what LangChain says of a call, in its words or the vendor's, as a chat completion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from briggs.types.any_json import integer, members
from briggs.wires.chunks import write_usage
from briggs.wires.words.reasons import find_finish_reason

NAMES = {"max_output_tokens": "max_tokens", "stop_sequences": "stop"}
"""Other names for parameters of the specification."""
_REASONS = ("finish_reason", "stop_reason", "stopReason", "done_reason")


def read_choice_of_tool(choice: Any) -> Any:
    """The specification's `tool_choice`."""
    match choice:
        case {"type": "tool", "name": str(name)}:
            return {"type": "function", "function": {"name": name}}
        case {"type": "any"}:
            return "required"
        case {"type": "auto" | "none" as mode}:
            return mode
    return choice


def read_parts(parts: Sequence[Any], *, has_calls: bool) -> dict[str, Any]:
    """The `content` of a message that came as a list of parts, and its `reasoning_content`."""
    texts: list[Any] = [part for part in parts if isinstance(part, str | dict)]
    thoughts = [part["thinking"] for part in texts if _says(part, "thinking")]
    kept: list[Any] = [part for part in texts if not _says(part, "thinking")]
    content: Any = kept
    if all(isinstance(part, str) or _says(part, "text") for part in kept):
        said = "".join(part if isinstance(part, str) else str(part["text"]) for part in kept)
        content = said or (None if has_calls else "")
    return {"content": content, **({"reasoning_content": "".join(thoughts)} if thoughts else {})}


def _says(part: Any, kind: str) -> bool:
    """Whether a part has this type and a text of the same name."""
    return isinstance(part, dict) and part.get("type") == kind and isinstance(part.get(kind), str)


def read_usage(usage: Mapping[str, Any]) -> dict[str, Any]:
    """LangChain's token counts under the specification's names, with the details it gives."""
    read, written = (
        members(usage.get(name)) for name in ("input_token_details", "output_token_details")
    )
    stored = [name for name in read if name.startswith(("cache_creation", "ephemeral_"))]
    counts = write_usage(
        usage["input_tokens"],
        usage["output_tokens"],
        prompt_details={
            "cached_tokens": read.get("cache_read"),
            "cache_write_tokens": sum(integer(read[name]) or 0 for name in stored)
            if stored
            else None,
            "audio_tokens": read.get("audio"),
        },
        completion_details={
            "reasoning_tokens": written.get("reasoning"),
            "audio_tokens": written.get("audio"),
        },
    )
    counts["total_tokens"] = usage["total_tokens"]
    if (hour := read.get("ephemeral_1h_input_tokens")) is not None:
        counts["cache_creation"] = {"ephemeral_1h_input_tokens": hour}
    return counts


def read_reason(details: Mapping[str, Any], *, has_calls: bool) -> dict[str, Any]:
    """The specification's finish reason, and the vendor's own if it differs."""
    native = next((details[name] for name in _REASONS if details.get(name)), None)
    reason = find_finish_reason(native) if isinstance(native, str) else None
    if has_calls and reason == "stop":
        reason = "tool_calls"
    if reason is None or reason == native:
        return {"finish_reason": native}
    return {"finish_reason": reason, "native_finish_reason": native}
