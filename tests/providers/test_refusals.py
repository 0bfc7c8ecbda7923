"""What the vendors say when a request is too long, or when they will not answer it."""

from __future__ import annotations

import pytest

from briggs.providers.refusals import find_cause
from briggs.types.errors import UpstreamRejected, UpstreamTimeout

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
    """What the known vendors say of a context that is too long is understood."""
    assert find_cause(reject(message)) == "context_length"


@pytest.mark.parametrize("message", WITHHELD)
def test_withheld(message: str) -> None:
    """What the known vendors say when a filter stands between is understood."""
    assert find_cause(reject(message)) == "content_filter"


@pytest.mark.parametrize("message", NEITHER)
def test_neither(message: str) -> None:
    """Other refusals are neither."""
    assert find_cause(reject(message)) is None


def test_codes() -> None:
    """A code says it, whatever the words are."""
    assert find_cause(reject("no", code="context_length_exceeded")) == "context_length"
    assert find_cause(reject("no", code="content_filter")) == "content_filter"


def test_limits_of_a_minute() -> None:
    """Too many tokens a minute is not too many for a request."""
    assert find_cause(reject("too many tokens: wait for the context window", 429)) is None
    assert find_cause(reject("Too many tokens, please wait before trying again.")) is None


def test_other_failures() -> None:
    """Who says nothing gives no reason."""
    assert find_cause(UpstreamTimeout("the context length took its time")) is None
