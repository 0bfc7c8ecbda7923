"""A quick check for plain answers: one text that came to its end. Nearly all answers are plain.

The types are checked by one decode. Unlike in `strict`, unknown members are forbidden. If this
check is not sure, it returns None, and the answer gets the full check.
"""

from __future__ import annotations

from itertools import chain
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from briggs.conform.strict import (
    ABSENT,
    Asked,
    Byte,
    Choice,
    KnownUsage,
    NonEmpty,
    Response,
    Usage,
    is_plausible,
)
from briggs.types.plain import HIDDEN_TOKENS_MAX, TOLERANCE

_REPLACEMENT = "\ufffd"
_Nothing = Annotated[list[Any], Meta(max_length=0)]


class _Token(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    token: str
    logprob: Annotated[float, Meta(le=TOLERANCE)]
    bytes: list[Byte]
    top_logprobs: _Nothing


class _Logprobs(msgspec.Struct, forbid_unknown_fields=True):
    content: list[_Token]
    refusal: None


class _Message(msgspec.Struct, forbid_unknown_fields=True):
    role: Literal["assistant"]
    content: NonEmpty
    refusal: None
    annotations: _Nothing | UnsetType = UNSET


class _Choice(Choice, forbid_unknown_fields=True):
    finish_reason: Literal["stop"]
    index: Literal[0]
    message: _Message  # type: ignore[assignment]
    logprobs: _Logprobs | None  # type: ignore[assignment]


class _Usage(KnownUsage):
    completion_tokens: Annotated[int, Meta(ge=1)]


class _Response(Response, forbid_unknown_fields=True):
    choices: Annotated[list[_Choice], Meta(min_length=1, max_length=1)]  # type: ignore[assignment]
    usage: _Usage
    system_fingerprint: str | UnsetType = UNSET


_DECODER = msgspec.json.Decoder(_Response)

# The number of members that every answer has: at the top, in its choice, and in its message.
_MEMBERS = 5 + 4 + 3


def read_plain(body: bytes, asked: Asked) -> Response | None:
    """A plain answer that breaks no rule which the answer alone can show. None if not sure."""
    if asked.choices != 1:
        return None
    try:
        response = _DECODER.decode(body)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None
    choice, usage = response.choices[0], response.usage
    if (choice.logprobs is not None) != asked.logprobs or not is_plausible(response.created):
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


def _count_usage(usage: _Usage) -> int | None:
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


def _are_plain(tokens: list[_Token], content: str, usage: Usage) -> bool:
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
