"""Usage: the number of tokens that a completion read and wrote."""

from __future__ import annotations

from msgspec import UNSET, UnsetType

from briggs.types.json import Object


class PromptTokensDetails(Object):
    """A breakdown of the prompt's tokens. Each count is part of `prompt_tokens`."""

    cached_tokens: int | UnsetType = UNSET
    """Read from the provider's prompt cache."""
    cache_write_tokens: int | UnsetType = UNSET
    """Written to the provider's prompt cache."""
    audio_tokens: int | UnsetType = UNSET
    text_tokens: int | UnsetType = UNSET
    image_tokens: int | UnsetType = UNSET


class CompletionTokensDetails(Object):
    """A breakdown of the completion's tokens. Each count is part of `completion_tokens`."""

    reasoning_tokens: int | UnsetType = UNSET
    """Used for reasoning, which the answer may not show."""
    audio_tokens: int | UnsetType = UNSET
    text_tokens: int | UnsetType = UNSET
    accepted_prediction_tokens: int | UnsetType = UNSET
    """Tokens of the request's `prediction` that appeared in the answer."""
    rejected_prediction_tokens: int | UnsetType = UNSET
    """Tokens of the request's `prediction` that did not appear. They are billed too."""


PARTS = tuple(
    dict.fromkeys(
        (*PromptTokensDetails.__struct_fields__, *CompletionTokensDetails.__struct_fields__)
    )
)
"""The counts that a breakdown may have."""
COUNT_MAX = 1_000_000_000
"""No answer has more tokens, so a larger count is a mistake."""


class CompletionUsage(Object):
    """The tokens of one completion, over all of its choices.

    https://platform.openai.com/docs/api-reference/chat/object
    """

    prompt_tokens: int
    completion_tokens: int
    """Includes reasoning tokens and all choices."""
    total_tokens: int
    """The sum of `prompt_tokens` and `completion_tokens`."""
    prompt_tokens_details: PromptTokensDetails | UnsetType = UNSET
    completion_tokens_details: CompletionTokensDetails | UnsetType = UNSET
