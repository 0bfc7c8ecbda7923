"""The vendors' messages for a request that is too long, or that a filter refuses."""

from __future__ import annotations

import pytest

from briggs.types.errors import UpstreamRejected, UpstreamTimeout
from briggs.wires.refusals import find_cause

TOO_LONG = [
    "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000.",
    "Your input exceeds the context window of this model.",
    "prompt is too long: 208310 tokens > 200000 maximum",
    "input length and `max_tokens` exceed context limit: 188240 + 21333 > 200000",
    "Input is too long for requested model.",
    "The input token count (1196265) exceeds the maximum number of tokens allowed (1048575).",
    "This model's maximum prompt length is 131072 but the request contains 537812 tokens.",
    "Please reduce the length of the messages or completion.",
    "the request exceeds the available context size, try increasing it",
    "Range of input length should be [1, 30720]",
    "Invalid request: Your request exceeded model token limit: 131072 (requested: 200000)",
    "too many tokens: total number of tokens in the prompt cannot exceed 4081",
    "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096.",
]
WITHHELD = [
    "The response was filtered due to the prompt triggering Azure OpenAI's content management policy.",  # noqa: E501
    "Output blocked by content filtering policy",
    "Your input was flagged by the moderation of this model.",
    "Content Exists Risk",
    "Content violates usage guidelines.",
    "Input data may contain inappropriate content.",
]
NEITHER = [
    "Invalid value: 'max_tokens' must be at least 1.",
    "Unsupported parameter: 'temperature' is not supported with this model.",
    "The model `gpt-6` does not exist or you do not have access to it.",
    "Rate limit reached for requests",
    "messages: text content blocks must be non-empty",
    "Invalid schema for function 'search': missing 'description'",
]


def reject(message: str, status: int = 400, code: str | None = None) -> UpstreamRejected:
    return UpstreamRejected(message, upstream_status=status, code=code)


@pytest.mark.parametrize("message", TOO_LONG)
def test_too_long(message: str) -> None:
    """The known vendors' messages about a context that is too long are understood."""
    assert find_cause(reject(message)) == "context_length"


@pytest.mark.parametrize("message", WITHHELD)
def test_withheld(message: str) -> None:
    """The known vendors' messages about a content filter are understood."""
    assert find_cause(reject(message)) == "content_filter"


@pytest.mark.parametrize("message", NEITHER)
def test_neither(message: str) -> None:
    """Other refusals have neither cause."""
    assert find_cause(reject(message)) is None


def test_codes() -> None:
    """A known code is enough, whatever the message."""
    assert find_cause(reject("no", code="context_length_exceeded")) == "context_length"
    assert find_cause(reject("no", code="content_filter")) == "content_filter"


def test_limits_of_a_minute() -> None:
    """Too many tokens per minute are not too many for a request."""
    assert find_cause(reject("too many tokens: wait for the context window", 429)) is None
    assert find_cause(reject("Too many tokens, please wait before trying again.")) is None


def test_other_failures() -> None:
    """An error without a message has no cause."""
    assert find_cause(UpstreamTimeout("the context length took its time")) is None
