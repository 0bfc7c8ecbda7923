"""Estimates the tokens of a call that ended before its provider could report them.

Tokens that came with logprobs are counted. All other text counts as one token per four bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from briggs.conform import Facts
from briggs.types import json
from briggs.types.any_json import members, objects
from briggs.types.envelope import Envelope
from briggs.wires.words.contents import TEXTS

BYTES_PER_TOKEN = 4

# What an image, a recording or a file counts as before its provider has counted it.
_MEDIUM_TOKENS = 1000

_NESTED = frozenset({"content", "custom", "function", "function_call", "tool_calls", "audio"})


def estimate_usage(facts: Facts, *, request: bytes, response: bytes) -> None:
    """Fill in the token counts of a stream that was cut, if any of its answer had come.

    The provider's own count of the prompt is kept. Its count of the completion is kept if it is
    higher than the estimate.
    """
    choices = objects(members(_decode(response)).get("choices"), "choices")
    written = sum(_count_choice(choice) for _, choice in choices)
    if not written:
        return
    if facts.prompt_tokens is None:
        facts.prompt_tokens = _count_request(request)
    facts.completion_tokens = max(written, facts.completion_tokens or 0)
    facts.total_tokens = facts.prompt_tokens + facts.completion_tokens
    facts.is_estimated = True


def estimate_request(envelope: Envelope, answer_tokens: int) -> tuple[int, int]:
    """How many tokens a request has, and how many all its answers may have.

    `answer_tokens` is for an answer without a limit.
    """
    body, values = envelope.body, envelope.values
    if b";base64," in body or b'"input_audio"' in body:
        media = body.count(b";base64,") + body.count(b'"input_audio"')
        prompt = _count_request(body) + media * _MEDIUM_TOKENS
    else:
        prompt = _to_tokens(len(body))
    limit = values.get("max_completion_tokens")
    if limit is None:
        limit = values.get("max_tokens")
    return prompt, max(0, answer_tokens if limit is None else limit) * envelope.choices_asked


def count_text(payload: bytes) -> int:
    """The bytes of text in a chunk."""
    choices = objects(members(_decode(payload)).get("choices"), "choices")
    return sum(_measure(choice.get("delta")) for _, choice in choices)


def _count_choice(choice: dict[str, Any]) -> int:
    logprobs = members(choice.get("logprobs"))
    listed = [tokens for tokens in logprobs.values() if isinstance(tokens, list)]
    return sum(map(len, listed)) or _to_tokens(_measure(choice.get("message")))


def _count_request(request: bytes) -> int:
    asked = members(_decode(request))
    tools = asked.get("tools")
    size = sum(_measure(message) for _, message in objects(asked.get("messages"), "messages"))
    return _to_tokens(size + (len(json.encode(tools)) if tools else 0))


def _measure(value: Any) -> int:
    """The bytes of text in a message or a delta. Images and other data are not text."""
    return sum(len(text.encode("utf-8", "surrogatepass")) for text in _list_texts(value))


def _list_texts(value: Any) -> Iterator[str]:
    waiting = [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, list):
            waiting += each
        elif isinstance(each, dict):
            for name, member in each.items():
                if isinstance(member, str):
                    if name in TEXTS:
                        yield member
                elif name in _NESTED:
                    waiting.append(member)


def _to_tokens(size: int) -> int:
    return -(-size // BYTES_PER_TOKEN)


def _decode(body: bytes) -> Any:
    try:
        return json.decode(body)
    except msgspec.DecodeError:
        return None
