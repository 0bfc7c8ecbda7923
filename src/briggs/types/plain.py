"""Streams of which a short look tells that they break no rule: nearly all of them.

It is asked of streams that conform as they came, so that most rules are known to be kept, and
says False wherever it is not sure. What remains is looked for in the book. Of whole answers,
`conform/plain.py` tells it.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec
from msgspec import UNSET

TOLERANCE = 1e-6
"""How far two log probabilities may be apart, or one above 0, and be right but for rounding."""
HIDDEN_TOKENS_MAX = 8
"""The token that ends a choice counts, and so may a few that structure it."""

_TIERS = (None, UNSET, "default", "flex", "priority", "scale", "auto", "fast")

_PADDING = re.compile(rb', ?"obfuscation": ?"\w*"')
_CONTENT = re.compile(rb'"content": ?"')
_TEXT = re.compile(rb'[^"\\]*(?:\\.[^"\\]*)*')


def is_plain_stream(stream: bytes) -> bool:
    """Whether it is a role, chunks that differ in their text alone, an end, and a usage."""
    events = stream.count(b"\n\n")
    if (
        events < 5
        or not stream.startswith(b"data: {")
        or not stream.endswith(b"}\n\ndata: [DONE]\n\n")
        or stream.count(b"\n") != 2 * events
        or stream.count(b"\n\ndata: ") != events - 1
        or b"\r" in stream
    ):
        return False
    if b'"obfuscation"' in stream:
        stream = _PADDING.sub(b"", stream)
    begin, *texts, end, usage, _, _ = stream.split(b"\n\n")
    return _are_alike(texts) and _is_plain_frame(begin, texts[0], end, usage)


def _are_alike(frames: list[bytes]) -> bool:
    """Whether they differ in the text of `content` alone."""
    mark = _CONTENT.search(frames[0])
    text = _TEXT.match(frames[0], mark.end()) if mark else None
    if mark is None or text is None:
        return False
    prefix, suffix = frames[0][: mark.end()], frames[0][text.end() :]
    begin, length = len(prefix), len(suffix)
    return all(
        frame.startswith(prefix)
        and frame.endswith(suffix)
        and _TEXT.fullmatch(frame, begin, len(frame) - length)
        for frame in frames
    )


def _is_plain_frame(*frames: bytes) -> bool:
    """Whether what begins, what goes on, what ends, and the usage say just that."""
    try:
        chunks = [msgspec.json.decode(frame[6:]) for frame in frames]
        counts = [_count_names(chunk) for chunk in chunks]
        if counts != [frame.count(b'":') - frame.count(b'\\":') for frame in frames]:
            return False
        *spoken, usage = chunks
        choices = [choice for chunk in spoken for choice in chunk["choices"]]
        begin, text, end = choices
        return (
            begin["delta"].keys() <= {"role", "content", "refusal"}
            and begin["delta"].get("refusal") is None
            and text["delta"].keys() == {"content"}
            and end["delta"] == {}
            and [choice["finish_reason"] for choice in choices] == [None, None, "stop"]
            and not any(choice.get("logprobs") for choice in choices)
            and not any(chunk.get("usage") for chunk in spoken)
            and all(chunk.get("service_tier") in _TIERS for chunk in chunks)
            and isinstance(usage.get("system_fingerprint", ""), str)
            and usage["choices"] == []
            and bool(usage["usage"]["completion_tokens"])
        )
    except (
        msgspec.DecodeError,
        LookupError,
        RecursionError,
        TypeError,
        ValueError,
        AttributeError,
    ):
        return False


def _count_names(value: Any) -> int:
    if isinstance(value, dict):
        return len(value) + sum([_count_names(item) for item in value.values()])
    if isinstance(value, list):
        return sum([_count_names(item) for item in value])
    return 0
