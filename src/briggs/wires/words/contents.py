"""The parts of a content in vendors' words: text, thinking, refusals and others."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

TEXTS = frozenset(
    {
        *("arguments", "content", "input", "name", "reasoning", "reasoning_content", "refusal"),
        *("text", "thinking", "transcript"),
    }
)
"""The members of a message, a delta, a call or a part with text from the model or for it."""


def join_parts(parts: Iterable[Any]) -> dict[str, list[str]]:
    """The texts of `content`, `reasoning_content` and `refusal`; `other` if a part is none."""
    spoken: dict[str, list[str]] = {}
    for part in parts:
        _join_part(part, into=spoken)
    return spoken


def _join_part(part: Any, *, into: dict[str, list[str]], thinking: bool = False) -> None:
    name, text = "reasoning_content" if thinking else "content", ""
    match part:
        case str():
            text = part
        case {"type": "text" | "output_text" | "input_text", "text": str(text)}:
            pass
        case {"text": str(text)} | {"content": str(text)} if part.get("type") in (None, "text"):
            pass
        case {"type": "thinking" | "reasoning", "thinking": list(inner)}:
            for one in inner:
                _join_part(one, into=into, thinking=True)
            return
        case {"type": "thinking", "thinking": str(text)} | {"type": "reasoning", "text": str(text)}:
            name = "reasoning_content"
        case {"type": "refusal", "refusal": str(text)}:
            name = "refusal"
        case _:
            name = "other"
    into.setdefault(name, []).append(text)
