"""The quick check, which clears nearly every answer of breaking any rule.

A plain answer is one text that came to its end. Where it is not sure, it says no, and then
the answer is checked against every rule.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import chain
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from briggs.rules.envelope import is_version_of
from briggs.rules.logprobs import HIDDEN_TOKENS_MAX, TOLERANCE
from briggs.rules.specification import (
    ABSENT,
    Byte,
    KnownStrictUsage,
    NonEmpty,
    StrictChoice,
    StrictResponse,
    StrictUsage,
    is_plausible,
)


def is_plainly_asked(
    values: Mapping[str, Any], *, model: str | None, answered: str, tokens: int
) -> bool:
    """Whether a request allows only one kind of answer: text that ends by itself.

    `answered` is the model that answered, and `model` the one that was asked for, or None if the
    request named a deployment. `tokens` is how many the answer has.
    """
    limit = values.get("max_completion_tokens") or values.get("max_tokens")
    return (
        not (values.get("stop") or values.get("response_format") or values.get("service_tier"))
        and values.get("tool_choice") in (None, "none", "auto")
        and (limit is None or tokens <= limit)
        and (model is None or is_version_of(answered, model))
    )


# Whole answers. The types are checked by one decode, which forbids unknown members.

_REPLACEMENT = "\ufffd"
_Nothing = Annotated[list[Any], Meta(max_length=0)]


class _PlainToken(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    token: str
    logprob: Annotated[float, Meta(le=TOLERANCE)]
    bytes: list[Byte]
    top_logprobs: _Nothing


class _PlainLogprobs(msgspec.Struct, forbid_unknown_fields=True):
    content: list[_PlainToken]
    refusal: None


class _PlainMessage(msgspec.Struct, forbid_unknown_fields=True):
    role: Literal["assistant"]
    content: NonEmpty
    refusal: None
    annotations: _Nothing | UnsetType = UNSET


class _PlainChoice(StrictChoice, forbid_unknown_fields=True):
    finish_reason: Literal["stop"]
    index: Literal[0]
    message: _PlainMessage  # type: ignore[assignment]
    logprobs: _PlainLogprobs | None  # type: ignore[assignment]


class _PlainUsage(KnownStrictUsage):
    completion_tokens: Annotated[int, Meta(ge=1)]


class _PlainResponse(StrictResponse, forbid_unknown_fields=True):
    choices: Annotated[list[_PlainChoice], Meta(min_length=1, max_length=1)]  # type: ignore[assignment]
    usage: _PlainUsage
    system_fingerprint: str | UnsetType = UNSET


_DECODER = msgspec.json.Decoder(_PlainResponse)

# The number of members that every answer has: at the top, in its choice, and in its message.
_MEMBERS = 5 + 4 + 3


def read_plain(body: bytes, *, logprobs: bool) -> StrictResponse | None:
    """A plain answer with one choice, which breaks no rule that an answer alone can break.

    `logprobs` is whether they were requested. Returns None if not sure.
    """
    try:
        response = _DECODER.decode(body)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None
    choice, usage = response.choices[0], response.usage
    if (choice.logprobs is not None) != logprobs or not is_plausible(response.created):
        return None
    counted = _count_usage(usage)
    if counted is None:
        return None
    members = (
        _MEMBERS
        + counted
        + (choice.message.annotations is not UNSET)
        + (response.service_tier is not UNSET)
        + (response.system_fingerprint is not UNSET)
    )
    if choice.logprobs is not None:
        if not _are_plain(choice.logprobs.content, choice.message.content, usage):
            return None
        members += 2 + 4 * len(choice.logprobs.content)
    # Count the names, to find one that came twice. The text may contain some as `\":`.
    names = body.count(b'":')
    if names != members and names - body.count(b'\\":') != members:
        return None
    return response


def _count_usage(usage: _PlainUsage) -> int | None:
    """The number of members of a usage whose counts add up. None for any other usage."""
    prompt, completion = usage.prompt_tokens, usage.completion_tokens
    if usage.total_tokens != prompt + completion:
        return None
    count = 4
    for details, whole in (
        (usage.prompt_tokens_details, prompt),
        (usage.completion_tokens_details, completion),
    ):
        if details is not UNSET:
            parts = msgspec.structs.astuple(details)
            if max(parts) > whole or details.image_tokens > ABSENT:
                return None
            count += 1 + len(parts) - parts.count(ABSENT)
    return count


def _are_plain(tokens: list[_PlainToken], content: str, usage: StrictUsage) -> bool:
    """L3, L5, L6, L12: whether the tokens give the content, and have its bytes."""
    names = [token.token for token in tokens]
    pieces = [token.bytes for token in tokens]
    encoded = names if content.isascii() else [name.encode() for name in names]
    details = usage.completion_tokens_details
    return (
        "".join(names) == content
        and _REPLACEMENT not in content
        and [*map(len, encoded)] == [*map(len, pieces)]
        and bytes([*chain.from_iterable(pieces)]) == content.encode()
        and (details is UNSET or details.reasoning_tokens <= 0)
        and 0 <= usage.completion_tokens - len(tokens) <= HIDDEN_TOKENS_MAX
    )


# Streams. They are checked only if they needed no fix, so most rules are known to hold.

_TIERS = (None, UNSET, "default", "flex", "priority", "scale", "auto", "fast")

_PADDING = re.compile(rb', ?"obfuscation": ?"\w*"')
_CONTENT = re.compile(rb'"content": ?"')
_TEXT = re.compile(rb'[^"\\]*(?:\\.[^"\\]*)*')


def is_plain_stream(stream: bytes, *, alike: int = 0) -> bool:
    """Whether a stream is a role, chunks that differ only in their text, an end, and a usage.

    `alike` is the number of its chunks that are known to differ only in their text.
    """
    is_padded = b'"obfuscation"' in stream
    if alike and not is_padded and stream.count(b"\n") == 2 * (alike + 4) and 13 not in stream:
        begin, first, others = stream.split(b"\n\n", 2)
        *_, end, usage, done, rest = others.rsplit(b"\n\n", 4)
        if (done, rest) == (b"data: [DONE]", b""):
            return _is_plain_frame(begin, first, end, usage)
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
    if is_padded:
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
