"""Log probabilities: how likely each token was, and its most likely alternatives."""

from __future__ import annotations

from briggs.types.json import Object


class TopLogprobs(Object):
    """One of the most likely tokens at a position."""

    token: str
    logprob: int | float
    """Natural logarithm of the probability. -9999.0 means very unlikely."""
    bytes: list[int] | None
    """The token's UTF-8 bytes, 0 to 255. Null if it has none."""


class ChatCompletionTokenLogprob(Object):
    """One token of the output, its log probability, and its likeliest alternatives.

    A character can span several tokens. Then only their `bytes` together give the text.
    https://platform.openai.com/docs/api-reference/chat/object
    """

    token: str
    logprob: int | float
    """Natural logarithm of the probability. -9999.0 means very unlikely."""
    bytes: list[int] | None
    """The token's UTF-8 bytes, 0 to 255. Null if it has none."""
    top_logprobs: list[TopLogprobs]
    """At most as many as the request's `top_logprobs`. The token itself may be missing."""


class ChoiceLogprobs(Object):
    """The log probabilities of one choice, token by token."""

    content: list[ChatCompletionTokenLogprob] | None = None
    """For the message's content. Null if it has none."""
    refusal: list[ChatCompletionTokenLogprob] | None = None
    """For the message's refusal. Null if it has none."""


Logprobs = ChoiceLogprobs
"""The name of `ChoiceLogprobs` in the Log10 SDKs."""
