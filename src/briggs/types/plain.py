"""Answers of which a short look tells that they break no rule: nearly all of them.

Both functions are asked of answers that conform as they came, so that most rules are known to
be kept, and say False wherever they are not sure. What remains is looked for in the book.
"""

from __future__ import annotations

import re
from itertools import chain
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import UNSET

if TYPE_CHECKING:
    from briggs.types.conform.strict import Logprobs, Response, Usage

TOLERANCE = 1e-6
"""How far two log probabilities may be apart, or one above 0, and be right but for rounding."""
HIDDEN_TOKENS_MAX = 8
"""The token that ends a choice counts, and so may a few that structure it."""

# The members that every response has, at its top, in its choice, and in its message.
_MEMBERS = 5 + 4 + 3
_TIERS = (None, UNSET, "default", "flex", "priority", "scale", "auto", "fast")

_PADDING = re.compile(rb', ?"obfuscation": ?"\w*"')
_CONTENT = re.compile(rb'"content": ?"')
_TEXT = re.compile(rb'[^"\\]*(?:\\.[^"\\]*)*')


def is_plain_response(response: Response, body: bytes, *, logprobs_asked: bool) -> bool:
    """Whether it is one text that came to its end, and nothing else."""
    usage, choice = response.usage, response.choices[0]
    message, logprobs = choice.message, choice.logprobs
    if (
        len(response.choices) > 1
        or choice.finish_reason != "stop"
        or not message.content
        or message.refusal is not None
        or message.tool_calls is not UNSET
        or message.function_call is not UNSET
        or message.annotations
        or message.audio is not UNSET
        or (logprobs is None) == logprobs_asked
        or usage is UNSET
        or not usage.completion_tokens
        or response.service_tier not in _TIERS
        or response.system_fingerprint is None
    ):
        return False
    members = _MEMBERS + _count_members(usage)
    members += message.annotations is not UNSET
    members += response.service_tier is not UNSET
    members += response.system_fingerprint is not UNSET
    if logprobs is not None:
        if not _are_plain(logprobs, message.content, usage):
            return False
        members += 2 + 4 * len(logprobs.content or ())
    # A name that came twice, and one that nobody knows, is one too many; a text may have some.
    names = body.count(b'":')
    return names == members or names - body.count(b'\\":') == members


def _count_members(usage: Usage) -> int:
    """The members of a usage, and that it is one."""
    count = 4
    for details in (usage.prompt_tokens_details, usage.completion_tokens_details):
        if details is not UNSET:
            # Those that are not there are less than 0.
            count += 1 + sum(part >= 0 for part in msgspec.structs.astuple(details))
    return count


def _are_plain(logprobs: Logprobs, content: str, usage: Usage) -> bool:
    """L3, L5, L6, L12: tokens that are certain, spell the content, and have its bytes."""
    tokens = logprobs.content
    if not tokens or logprobs.refusal is not None:
        return False
    names = [token.token for token in tokens]
    pieces = [token.bytes or [] for token in tokens]
    encoded = names if content.isascii() else [name.encode() for name in names]
    details = usage.completion_tokens_details
    return (
        "".join(names) == content
        and [*map(len, encoded)] == [*map(len, pieces)]
        and bytes(chain.from_iterable(pieces)) == content.encode()
        and max([token.logprob for token in tokens]) <= TOLERANCE
        and not any(map(_ALTERNATIVES, tokens))
        and (details is UNSET or details.reasoning_tokens <= 0)
        and 0 <= usage.completion_tokens - len(tokens) <= HIDDEN_TOKENS_MAX
    )


_ALTERNATIVES = attrgetter("top_logprobs")


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
