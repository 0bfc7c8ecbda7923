"""A quick check that clears streams which break no rule. Nearly all streams pass it.

It runs only on streams that needed no fix, so most rules are already known to hold. It returns
False if it is not sure; then the stream is checked against the whole rule book.
`conform/plain.py` does the same for whole answers.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec
from msgspec import UNSET

TOLERANCE = 1e-6
"""The rounding error allowed between two log probabilities, or for one above 0."""
HIDDEN_TOKENS_MAX = 8
"""How many counted tokens may not appear: the end of a choice, and a few for structure."""

_TIERS = (None, UNSET, "default", "flex", "priority", "scale", "auto", "fast")

_PADDING = re.compile(rb', ?"obfuscation": ?"\w*"')
_CONTENT = re.compile(rb'"content": ?"')
_TEXT = re.compile(rb'[^"\\]*(?:\\.[^"\\]*)*')


def is_plain_stream(stream: bytes) -> bool:
    """Whether a stream is a role, chunks that differ only in their text, an end, and a usage."""
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
    """Whether the frames differ only in the text of `content`."""
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
    """Whether the first, a text, the last and the usage frame have only the usual members."""
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
